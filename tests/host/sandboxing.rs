//! The options by which a guest's own units are confined (systemd.exec(5)) work in a container that is confined itself.

use std::time::Duration;

use crate::container::Container;
use crate::harness::Result;

/// Properties of a unit, and a command that succeeds only where they hold.
const OPTIONS: [(&str, &str); 54] = [
    ("PrivateDevices=yes", "test -c /dev/null && ! test -e /dev/console"),
    ("DevicePolicy=closed DeviceAllow=/dev/full", "! echo x 2>/dev/null >/dev/full && echo x >/dev/null"),
    ("ProtectSystem=yes", "! touch /usr/x && touch /etc/x"),
    ("ProtectSystem=strict", "! touch /usr/x && ! touch /etc/x && ! touch /var/x"),
    ("ProtectSystem=strict ReadWritePaths=/var", "! touch /etc/y && touch /var/y"),
    ("ProtectHome=yes", "! ls /root"),
    ("ProtectHome=read-only", "! touch /root/x"),
    ("ProtectHome=tmpfs", "test -z \"$(ls -A /root)\""),
    ("PrivateUsers=yes", "test $(wc -l </proc/self/uid_map) -ge 1 && test $(stat -c %u /etc/passwd) = 0"),
    ("PrivateUsers=yes User=nobody", "test $(id -un) = nobody"),
    ("DynamicUser=yes", "test $(id -u) -ge 61184 && ! touch /etc/z"),
    ("DynamicUser=yes StateDirectory=dynamic", "touch $STATE_DIRECTORY/x"),
    ("PrivateTmp=yes", "test -z \"$(ls -A /tmp)\" && touch /tmp/x"),
    ("PrivateNetwork=yes", "test $(grep -c : /proc/net/dev) = 1"),
    ("PrivateIPC=yes", "test $(readlink /proc/self/ns/ipc) != $(cat /run/ipc)"),
    ("PrivatePIDs=yes", "test $$ = 1"),
    ("PrivateMounts=yes", "mount -t tmpfs none /mnt"),
    ("RestrictNamespaces=yes", "! unshare -m true && ! unshare -U true"),
    ("RestrictNamespaces=mnt", "unshare -m true && ! unshare -U true"),
    ("RestrictAddressFamilies=AF_UNIX", "! perl -MSocket -e 'socket(S, PF_INET, SOCK_STREAM, 0) or exit 1'"),
    ("RestrictRealtime=yes", "! chrt -f 1 true"),
    ("RestrictSUIDSGID=yes", "touch /run/suid && ! chmod u+s /run/suid"),
    ("LockPersonality=yes", "! setarch --addr-no-randomize true"),
    ("MemoryDenyWriteExecute=yes", "true"),
    ("SystemCallFilter=~mkdir+mkdirat SystemCallErrorNumber=EPERM", "! mkdir /run/filtered"),
    ("SystemCallFilter=@system-service SystemCallErrorNumber=EPERM", "! mount -t tmpfs none /mnt"),
    ("SystemCallArchitectures=native", "true"),
    ("SetCredential=a:b", "test $(cat $CREDENTIALS_DIRECTORY/a) = b"),
    (
        "LoadCredential=a:/etc/debian_version DynamicUser=yes",
        "cmp $CREDENTIALS_DIRECTORY/a /etc/debian_version",
    ),
    ("BindPaths=/etc:/mnt", "test -e /mnt/passwd"),
    ("BindReadOnlyPaths=/etc:/mnt", "test -e /mnt/passwd && ! touch /mnt/x"),
    ("InaccessiblePaths=/etc/passwd", "! cat /etc/passwd"),
    ("ReadOnlyPaths=/var", "! touch /var/z"),
    ("TemporaryFileSystem=/var", "test -z \"$(ls -A /var)\" && touch /var/z"),
    ("NoExecPaths=/ ExecPaths=/usr ExecPaths=/lib64", "! /run/program"),
    ("NoNewPrivileges=yes", "grep -q 'NoNewPrivs:.1' /proc/self/status"),
    ("ProtectKernelTunables=yes", "! sh -c 'echo 1 >/proc/sys/kernel/shmmni'"),
    ("ProtectKernelModules=yes", "! ls /usr/lib/modules/."),
    ("ProtectKernelLogs=yes", "! cat /dev/kmsg"),
    ("ProtectControlGroups=yes", "! mkdir /sys/fs/cgroup/x"),
    ("ProtectHostname=yes", "! hostname other"),
    ("ProtectClock=yes", "! date -s @0"),
    ("CapabilityBoundingSet=CAP_CHOWN", "grep -q 'CapBnd:.0000000000000001' /proc/self/status"),
    (
        "User=nobody AmbientCapabilities=CAP_NET_BIND_SERVICE",
        "grep -q 'CapEff:.0000000000000400' /proc/self/status",
    ),
    ("SecureBits=noroot", "true"),
    ("KeyringMode=private", "true"),
    ("User=nobody Group=daemon SupplementaryGroups=adm", "test \"$(id -gn) $(id -Gn | wc -w)\" = 'daemon 2'"),
    (
        "RuntimeDirectory=a CacheDirectory=a LogsDirectory=a ConfigurationDirectory=a",
        "touch /run/a/x /var/cache/a/x",
    ),
    ("UMask=0077", "touch /run/umask && test $(stat -c %a /run/umask) = 600"),
    ("LimitNOFILE=100", "test $(ulimit -n) = 100"),
    ("OOMScoreAdjust=100", "test $(cat /proc/self/oom_score_adj) = 100"),
    ("MemoryMax=100M TasksMax=100 CPUWeight=50", "true"),
    ("IPAddressDeny=any", "true"),
    ("Delegate=yes", "mkdir /sys/fs/cgroup$(cut -d: -f3 /proc/self/cgroup | tail -n 1)/x"),
];

/// Those that need a procfs of the unit's own, which the kernel lets nobody mount where parts of the one that is there
/// are covered: by default the unit runs without it, as systemd has it, and `Nesting=yes` gives it.
const OWN_PROC: [(&str, &str); 3] = [
    ("ProtectProc=invisible User=nobody", "! test -e /proc/1"),
    ("ProcSubset=pid", "test -e /proc/self && ! test -e /proc/cpuinfo"),
    // PID 1 of that namespace, this shell, and those that count.
    ("PrivatePIDs=yes", "test $(ls -d /proc/[0-9]* | wc -l) -le 4"),
];

/// One that does not even run without it: systemd's helper writes the id map of its parent by the number that this has
/// in the unit's namespace, and in the container's procfs that is somebody else.
const OWN_PROC_TO_RUN: [(&str, &str); 1] = [("PrivatePIDs=yes PrivateUsers=yes", "test $$ = 1")];

const HOLDS: &str = "holds";
const RUNS: &str = "runs";

/// Has a unit of the guest's manager for each of the options, and returns what they said, a number in front.
fn run(d1: &Container, options: &[(&str, &str)]) -> Result<String> {
    let mut script = String::from("readlink /proc/1/ns/ipc >/run/ipc; cp /bin/true /run/program\n");
    for (index, (properties, command)) in options.iter().enumerate() {
        let properties: String =
            properties.split(' ').map(|property| format!("-p '{}' ", property.replace('+', " "))).collect();
        script += &format!(
            "systemd-run -q --wait -P {properties} sh /srv/{index}.sh 2>&1 </dev/null | sed 's/^/{index}: /'\n"
        );
        let test = format!("echo {RUNS}; {{ {command}; }} >/dev/null 2>&1 && echo {HOLDS}\n");
        d1.write(&format!("/srv/{index}.sh"), &test)?;
    }
    d1.write("/srv/all.sh", &script)?;
    d1.start()?;
    let running = format!("systemctl -M {} is-system-running | grep -x running", d1.name);
    d1.host.wait_until(Duration::from_secs(60), &running)?;
    let attach = format!("containerctl attach {} -- sh /srv/all.sh", d1.name);
    Ok(d1.host.run_within(Duration::from_secs(120), &attach)?.stdout)
}

/// A case for each option: its unit has said `word`.
fn check(d1: &Container, options: &[(&str, &str)], told: &str, word: &str) {
    for (index, (properties, command)) in options.iter().enumerate() {
        d1.host.case(&format!("{properties} {word}"), || {
            let own = format!("{index}: ");
            let said: Vec<&str> = told.lines().filter_map(|line| line.strip_prefix(&own)).collect();
            ensure!(said.contains(&word), "'{command}': {}", said.join("; "));
            Ok(())
        });
    }
}

#[test]
fn a_guests_units_are_confined_as_they_ask() -> Result<()> {
    let host = boot!("--guest");
    host.ok("containerctl create d1 --from-tar /srv/guests/debian.tar")?;
    let d1 = Container { host: &host, name: "d1" };
    let told = run(&d1, &OPTIONS)?;
    check(&d1, &OPTIONS, &told, HOLDS);
    host.case("and no unit of the guest has failed by itself", || {
        let failed = host.ok("systemctl -M d1 --failed --no-legend --plain | grep -v ^run- || true")?;
        ensure!(failed.trim().is_empty(), "{failed}");
        Ok(())
    });
    let own_proc = run(&d1, &OWN_PROC)?;
    check(&d1, &OWN_PROC, &own_proc, RUNS);
    d1.stop()?;
    d1.define("[Exec]\nNesting=yes\n")?;
    let own_proc = run(&d1, &OWN_PROC)?;
    check(&d1, &OWN_PROC, &own_proc, HOLDS);
    let own_proc = run(&d1, &OWN_PROC_TO_RUN)?;
    check(&d1, &OWN_PROC_TO_RUN, &own_proc, HOLDS);
    host.finish()
}
