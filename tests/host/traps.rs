//! Root file systems that mean harm: nothing in them makes a start or a look touch the host, or wait.

use std::fs;
use std::time::Duration;

use crate::container::{Container, SOON, private_users};
use crate::harness::{Failure, Host, Result};

/// The matrix of traps and paths, a script because hundreds of cases are to take no longer than they need.
const MATRIX: &str = include_str!("traps.sh");

/// SEC-1.
#[test]
fn a_hostile_tree_reaches_nothing_of_the_host() -> Result<()> {
    let host = boot!();
    Container::busybox(&host, "t")?;
    fs::write(host.path("/root/traps.sh")?, MATRIX)?;
    host.case("every trap on every path", || {
        let told = host.run_within(Duration::from_secs(560), "sh /root/traps.sh")?;
        let (violations, sum) = told.stdout.trim_end().rsplit_once('\n').unwrap_or(("", told.stdout.trim()));
        eprintln!("{sum}");
        ensure!(told.code == 0 && violations.is_empty() && sum.contains("cases"), "{told}");
        Ok(())
    });
    host.finish()
}

/// Rounds of the race; each is a start under a storm of renames.
const RACE: &str = include_str!("race.sh");

/// SEC-2. The suite has three rounds for each place; CONTAINERCTL_RACES=2000 makes it as many (by cargo test, for
/// nextest ends a test that takes minutes).
#[test]
fn nothing_is_lost_in_a_race_for_a_mount_point() -> Result<()> {
    let host = boot!();
    Container::busybox(&host, "r")?;
    fs::write(host.path("/root/race.sh")?, RACE)?;
    let rounds = std::env::var("CONTAINERCTL_RACES").ok().and_then(|text| text.parse().ok()).unwrap_or(45);
    host.case("no start under a storm of renames reaches the host", || {
        let limit = Duration::from_secs(60 + rounds * 2);
        let told = host.run_within(limit, &format!("bash /root/race.sh {rounds}"))?;
        let (violations, sum) = told.stdout.trim_end().rsplit_once('\n').unwrap_or(("", told.stdout.trim()));
        eprintln!("{sum}");
        ensure!(told.code == 0 && violations.is_empty(), "{told}");
        let numbers: Vec<u64> = sum.split(' ').filter_map(|word| word.parse().ok()).collect();
        let [_, started, refused, gave_up, exchanged] = numbers[..] else {
            return Err(Failure::new(format!("no sum in '{sum}'")));
        };
        // The storm was one, and neither always too late nor always too early.
        ensure!(started > 0 && refused > 0 && exchanged > 100 * rounds, "no race: {sum}");
        ensure!(gave_up * 500 < rounds, "starts give up: {sum}");
        Ok(())
    });
    host.finish()
}

/// What is worth pointing a device at.
const KERNEL_FILES: [&str; 20] = [
    "/proc/sys/kernel/core_pattern",
    "/proc/sys/kernel/modprobe",
    "/proc/sys/kernel/hotplug",
    "/proc/sysrq-trigger",
    "/proc/kcore",
    "/proc/kallsyms",
    "/proc/kmsg",
    "/proc/keys",
    "/proc/timer_list",
    "/proc/self/mem",
    "/proc/self/attr/current",
    "/proc/1/root",
    "/proc/sys/fs/binfmt_misc/register",
    "/proc/sys/vm/overcommit_memory",
    "/sys/kernel/uevent_helper",
    "/sys/power/state",
    "/sys/firmware",
    "/sys/kernel/security",
    "/sys/fs/cgroup/cgroup.procs",
    "/proc/sys/kernel/panic",
];

/// Prints what the devices are and whether a cover lets something through.
const LOOK: &str = "stat -c '%n %t:%T' /dev/null /dev/zero /dev/full /dev/tty; stat -c 'console %t' /dev/console;
    awk '$5 == \"/dev/console\" { print \"console is of\", $4, $(NF-2) }' /proc/self/mountinfo
    for f in kallsyms keys timer_list kmsg interrupts; do echo $f $(cat /proc/$f 2>/dev/null | head -c 10 | wc -c); done
    echo probed; trap 'exit 0' TERM; while :; do sleep 0.1; done";

/// SEC-4: neither covers nor the console are made from what the tree has for devices.
#[test]
fn devices_of_the_tree_are_never_mounted() -> Result<()> {
    let host = boot!();
    let p1 = Container::running(&host, "p1", LOOK)?;
    let settings = "cd /proc/sys && grep -s . kernel/core_pattern kernel/modprobe vm/overcommit_memory kernel/panic; true";
    let before = host.ok(settings)?;
    let devices = ["null", "zero", "full", "tty", "console", "ptmx", "pts/0"];
    for start in 0..5 {
        host.case(&format!("each device a link to some of the kernel's files, {start}"), || {
            for (index, device) in devices.iter().enumerate() {
                let target = KERNEL_FILES[(start * 4 + index * 3) % KERNEL_FILES.len()];
                host.ok(&format!("cd {} && mkdir -p dev/pts && ln -sfn {target} dev/{device}", p1.root()))?;
            }
            p1.start()?;
            let id = p1.property("InvocationID")?;
            let journal = format!("journalctl -o cat CONTAINER_NAME=p1 _SYSTEMD_INVOCATION_ID={id}");
            host.wait_until(SOON, &format!("{journal} | grep -x probed"))?;
            let seen = host.ok(&journal)?;
            for line in [
                "/dev/null 1:3",
                "/dev/zero 1:5",
                "/dev/full 1:7",
                "/dev/tty 5:0",
                "console 88",
                "console is of /0 devpts",
                "kallsyms 0",
                "keys 0",
                "timer_list 0",
                "kmsg 0",
                "interrupts 0",
            ] {
                ensure!(seen.lines().any(|seen| seen.trim_end() == line), "no '{line}' in: {seen}");
            }
            p1.stop()
        });
    }
    host.case("the host's settings are as they were", || {
        let after = host.ok(settings)?;
        ensure!(before == after, "before\n{before}\nafter\n{after}");
        Ok(())
    });
    host.finish()
}

/// SEC-28.
#[test]
fn containers_do_not_own_each_others_files() -> Result<()> {
    let host = boot!();
    host.ok("mkdir -m 777 /srv/shared")?;
    let a = Container::defined(&host, "a", "[Files]\nBind=/srv/shared\n")?;
    let b = Container::defined(&host, "b", "[Files]\nBind=/srv/shared\n")?;
    a.start()?;
    b.start()?;
    host.case("a file of one's root is its range's on the host and nobody's in the other", || {
        a.inside("umask 022; echo mine >/srv/shared/file")?;
        let base = host.ok(&format!("awk '{{ print $2 }}' /proc/{}/uid_map", a.leader()?))?;
        let owner = host.ok("stat -c %u:%g /srv/shared/file")?;
        let base = base.trim();
        ensure!(base != "0" && owner.trim() == format!("{base}:{base}"), "{owner} is not {base}");
        let seen = b.inside("stat -c %u:%g /srv/shared/file")?;
        ensure!(seen.trim() == "65534:65534", "{seen}");
        b.inside("! { echo more >>/srv/shared/file; } 2>/dev/null")?;
        b.inside("! chown 0 /srv/shared/file 2>/dev/null")?;
        b.inside("! chmod 777 /srv/shared/file 2>/dev/null").map(drop)
    });
    host.finish()
}

/// Prints how each of the three system calls for keys fares; needs their numbers and a perl.
const KEY_CALLS: &str = "
    my ($add, $request, $control) = (`uname -m` =~ /^x86_64/) ? (248, 249, 250) : (217, 218, 219);
    sub told { print shift, ': ', (shift == -1 ? 0 + $! : 'works'), qq(\\n) }
    my ($user, $name, $value) = ('user', 'host-secret', 'x');
    my $mine = 'mine';
    told('add_key', syscall($add, $user, $mine, $value, 1, -4));
    told('request_key', syscall($request, $user, $name, 0, -4));
    told('keyctl', syscall($control, 0, -4, 0));
    told('clear', syscall($control, 7, -4));
    $| = 1; open(K, '<', '/proc/keys') or print qq(no keys\\n); my @keys = <K>; print scalar(@keys), qq( keys\\n);
    print qq(probed\\n); $SIG{TERM} = sub { exit 0 }; sleep 1 while 1;";

/// SEC-21.
#[test]
fn keys_of_the_host_stay_its_own() -> Result<()> {
    let host = boot!();
    // In root's user keyring, which without a user namespace would be the container's root's as well.
    let add =
        "perl -e '$n = `uname -m` =~ /^x86_64/ ? 248 : 217; $t = \"user\"; $d = \"host-secret\"; $v = \"v\";
        exit(syscall($n, $t, $d, $v, 1, -4) == -1)'";
    host.ok(add)?;
    host.ok("grep -q host-secret /proc/keys")?;
    for users in ["pick", "no"] {
        host.case(&format!("PrivateUsers={users}: no key is seen, and no call for keys is there"), || {
            let name = if users == "no" { "plain" } else { "mapped" };
            let script =
                "l=$(ls /h/lib/*/ld-linux-*.so.* | head -n 1); exec $l --library-path ${l%/*} /h/bin/perl /p";
            let p1 = Container::running(&host, name, script)?;
            p1.write("/p", KEY_CALLS)?;
            p1.define(&format!(
                "[Exec]\n{}Boot=no\nParameters=/bin/sh /script\n[Files]\nBindReadOnly=/usr:/h\n",
                private_users(users)
            ))?;
            p1.start()?;
            p1.says("probed")?;
            let seen = host.ok(&format!("journalctl -q CONTAINER_NAME={name} -o cat"))?;
            for line in ["add_key: 38", "request_key: 38", "keyctl: 38", "clear: 38", "0 keys"] {
                ensure!(seen.lines().any(|seen| seen.trim_end() == line), "no '{line}' in: {seen}");
            }
            p1.stop()
        });
    }
    host.ok("grep -q host-secret /proc/keys")?;
    host.finish()
}

/// What a container makes of a file that somebody may read.
const REPLACEMENTS: [(&str, &str); 5] = [
    ("a FIFO", "mkfifo $f"),
    ("a huge file", "truncate -s 10G $f"),
    ("a link to the host", "ln -s ../../../../../../../../opt/marker $f"),
    ("a link to itself", "ln -s $f $f"),
    ("a terminal", "ln -s /dev/console $f"),
];

/// SEC-30.
#[test]
fn no_file_of_a_container_delays_or_deceives_a_look() -> Result<()> {
    let host = boot!();
    host.ok("echo host-secret >/opt/marker; chmod 600 /opt/marker")?;
    let t = Container::busybox(&host, "t")?;
    t.start()?;
    for (what, make) in REPLACEMENTS {
        host.case(&format!("{what} in place of its files"), || {
            t.inside(&format!(
                "for f in /etc/os-release /usr/lib/os-release /etc/machine-id /etc/hostname /etc/passwd; do
                     mkdir -p ${{f%/*}}; rm -f $f; {make}; done"
            ))?;
            looks(&host)
        });
    }
    host.finish()
}

/// Each look answers within a second, and tells nothing of the host's; the second one is for a busy machine.
fn looks(host: &Host) -> Result<()> {
    for look in ["list", "list --json", "info t", "images link", "plan t"] {
        let told = host.ok(&format!("timeout 2 containerctl {look} 2>&1"))?;
        ensure!(!told.contains("host-secret"), "{look}: {told}");
    }
    Ok(())
}
