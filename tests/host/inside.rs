//! What a container is to those inside: its posture, and the effect of each key of its definition.

use crate::container::Container;
use crate::harness::{Host, Result};

/// Prints what a process of the container sees, then stays.
const PROBE: &str = "tried() { \"$@\" >/dev/null 2>&1 && echo \"$* works\" || echo \"$* fails\"; }
    cat /proc/self/uid_map
    tried umount /proc/kallsyms
    tried umount -l /proc/sys
    tried mount -o remount,rw /proc/sys
    tried mount -o remount,rw,bind /proc/sys
    tried mount -o remount,rw /sys
    tried cat /proc/kallsyms
    tried mkdir /sys/fs/cgroup/mine
    tried mknod /dev/sda b 8 0
    tried mount -t tmpfs none /mnt
    tried chroot / true
    tried hostname other
    tried sh -c 'echo 1 >/proc/sys/kernel/panic'
    tried sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
    tried sh -c 'echo b >/proc/sysrq-trigger'
    tried dmesg
    tried reboot -f -n -d 1000 --nonsense
    grep -E 'Cap(Prm|Eff|Bnd|Inh|Amb)|NoNewPrivs|Seccomp' /proc/1/status
    echo probed; trap 'exit 0' TERM; while :; do sleep 1; done";

/// The console of a container so far, once its probe is done.
fn probed(container: &Container) -> Result<String> {
    container.start()?;
    container.says("probed")?;
    container.host.ok(&format!(
        "journalctl _SYSTEMD_UNIT={} CONTAINER_NAME={} -o cat",
        container.unit(),
        container.name
    ))
}

#[test]
fn the_payload_is_confined() -> Result<()> {
    let host = boot!();
    host.ok("mkdir -p /mnt")?;
    let p1 = Container::running(&host, "p1", PROBE)?;
    host.ok("mkdir /var/lib/containerctl/p1/rootfs/mnt")?;
    let seen = probed(&p1)?;
    let leader = p1.leader()?;
    host.case("it has namespaces of its own", || {
        for namespace in ["mnt", "pid", "uts", "ipc", "net", "user", "cgroup"] {
            host.ok(&format!(
                "test $(readlink /proc/{leader}/ns/{namespace}) != $(readlink /proc/1/ns/{namespace})"
            ))?;
        }
        Ok(())
    });
    host.case("its root is nobody on the host", || {
        let map: Vec<u32> = host
            .ok(&format!("cat /proc/{leader}/uid_map"))?
            .split_whitespace()
            .filter_map(|n| n.parse().ok())
            .collect();
        ensure!(
            map.len() == 3
                && map[0] == 0
                && map[1] >= 65536
                && map[1].is_multiple_of(65536)
                && map[2] == 65536,
            "{map:?}"
        );
        ensure!(host.ok(&format!("stat -c %u /proc/{leader}"))?.trim() == map[1].to_string(), "other owner");
        // The tree itself belongs to the host's root: the mount is idmapped.
        ensure!(
            host.ok("stat -c %u /var/lib/containerctl/p1/rootfs/bin/busybox")?.trim() == "0",
            "tree was chowned"
        );
        Ok(())
    });
    for line in [
        "umount /proc/kallsyms fails",
        "umount -l /proc/sys fails",
        "mount -o remount,rw /proc/sys fails",
        "mount -o remount,rw,bind /proc/sys fails",
        "mount -o remount,rw /sys fails",
        "mknod /dev/sda b 8 0 fails",
        "sh -c echo 1 >/proc/sys/kernel/panic fails",
        "sh -c echo b >/proc/sysrq-trigger fails",
        "dmesg fails",
        "cat /proc/kallsyms fails",
    ] {
        host.case(line, || {
            ensure!(seen.lines().any(|seen| seen == line), "{seen}");
            Ok(())
        });
    }
    for line in [
        "mkdir /sys/fs/cgroup/mine works",
        "mount -t tmpfs none /mnt works",
        "chroot / true works",
        "hostname other works",
        "sh -c echo 1 >/proc/sys/net/ipv4/ip_forward works",
    ] {
        host.case(line, || {
            ensure!(seen.lines().any(|seen| seen == line), "{seen}");
            Ok(())
        });
    }
    host.case("two filters of system calls, and no dangerous capability", || {
        ensure!(seen.contains("Seccomp:\t2") && seen.contains("Seccomp_filters:\t2"), "{seen}");
        let bounding = seen.lines().find_map(|line| line.strip_prefix("CapBnd:\t")).unwrap_or_default();
        let bounding = u64::from_str_radix(bounding, 16).unwrap_or(u64::MAX);
        for (name, bit) in [
            ("CAP_SYS_MODULE", 16),
            ("CAP_SYS_RAWIO", 17),
            ("CAP_SYS_TIME", 25),
            ("CAP_SYSLOG", 34),
            ("CAP_BPF", 39),
        ] {
            ensure!(bounding & (1 << bit) == 0, "{name} in {bounding:x}");
        }
        Ok(())
    });
    host.case("no descriptor of the host's is open", || {
        let fds = host.ok(&format!("cd /proc/{leader}/fd && for f in *; do echo $f $(readlink $f); done"))?;
        for fd in fds.lines() {
            ensure!(fd.ends_with(" /dev/console") || fd.ends_with(" /script"), "{fds}");
        }
        Ok(())
    });
    host.case("the environment is that of the container interface", || {
        let environment = host.ok(&format!("tr '\\0' '\\n' </proc/{leader}/environ | cut -d= -f1 | sort"))?;
        let expected = [
            "HOME",
            "LOGNAME",
            "NOTIFY_SOCKET",
            "PATH",
            "TERM",
            "USER",
            "container",
            "container_host_id",
            "container_host_version_id",
            "container_uuid",
        ];
        ensure!(environment.split_whitespace().collect::<Vec<_>>() == expected, "{environment}");
        Ok(())
    });
    host.finish()
}

/// A key's effect: lines of the definition, what the container runs, and what it must print.
fn shows(host: &Host, definition: &str, command: &str, expected: &str) -> Result<()> {
    let script = format!("{command}\necho probed; trap 'exit 0' TERM; while :; do sleep 0.1; done");
    let p1 = Container { host, name: "p1" };
    p1.define(&format!("{definition}\n[Exec]\nBoot=no\nParameters=/bin/sh /script\n"))?;
    p1.write("/script", &script)?;
    host.ok("journalctl --rotate --vacuum-time=1s -q 2>/dev/null; true")?;
    p1.start()?;
    let id = p1.property("InvocationID")?;
    let journal = format!("journalctl -o cat CONTAINER_NAME=p1 _SYSTEMD_INVOCATION_ID={id}");
    host.wait_until(crate::container::SOON, &format!("{journal} | grep -x probed"))?;
    let seen = host.ok(&journal)?;
    p1.stop()?;
    ensure!(seen.lines().any(|line| line.trim_end() == expected), "no '{expected}' in: {seen}");
    Ok(())
}

#[test]
fn each_key_has_its_effect() -> Result<()> {
    let host = boot!();
    Container::busybox(&host, "p1")?;
    host.ok("mkdir /srv/data && echo kept >/srv/data/file && chmod 777 /srv/data")?;
    for (definition, command, expected) in [
        ("[Exec]\nEnvironment=A=b \"C=d e\"", "echo $A $C", "b d e"),
        ("[Exec]\nHostname=other", "hostname", "other"),
        ("[Exec]\nWorkingDirectory=/etc", "pwd", "/etc"),
        (
            "[Exec]\nMachineID=0123456789abcdef0123456789abcdef",
            "echo $container_uuid",
            "01234567-89ab-cdef-0123-456789abcdef",
        ),
        ("[Exec]\nLimitNOFILE=77", "ulimit -n", "77"),
        ("[Exec]\nLimitNOFILE=77:78", "ulimit -Hn", "78"),
        ("[Exec]\nOOMScoreAdjust=123", "cat /proc/1/oom_score_adj", "123"),
        ("[Exec]\nNoNewPrivileges=yes", "grep NoNewPrivs /proc/1/status", "NoNewPrivs:\t1"),
        ("[Exec]\nPrivateUsers=no\nPrivileged=yes", "cat /proc/1/uid_map | tr -s ' '", " 0 0 4294967295"),
        ("[Exec]\nPrivateUsers=identity", "cat /proc/1/uid_map | tr -s ' '", " 0 0 65536"),
        ("[Exec]\nPrivateUsers=1048576", "cat /proc/1/uid_map | tr -s ' '", " 0 1048576 65536"),
        (
            "[Exec]\nSystemCallFilter=~mkdir mkdirat",
            "mkdir /tmp/new 2>&1",
            "mkdir: can't create directory '/tmp/new': Operation not permitted",
        ),
        ("[Exec]\nDropCapability=CAP_CHOWN", "chown 1 /tmp 2>&1", "chown: /tmp: Operation not permitted"),
        (
            "[Exec]\nCapability=CAP_SYS_TIME",
            "test $((0x$(sed -n 's/CapEff:.//p' /proc/1/status) >> 25 & 1)) = 1 && echo has it",
            "has it",
        ),
        ("[Files]\nBind=/srv/data", "cat /srv/data/file; echo x >/srv/data/new && echo written", "written"),
        ("[Files]\nBind=/srv/data:/other", "cat /other/file", "kept"),
        ("[Files]\nBindReadOnly=/srv/data", "echo x 2>&1 >/srv/data/new || echo refused", "refused"),
        ("[Files]\nBind=-/nowhere", "ls -d /nowhere 2>/dev/null || echo none", "none"),
        (
            "[Files]\nTemporaryFileSystem=/scratch:size=1m",
            "grep -c '/scratch tmpfs.*size=1024k' /proc/mounts",
            "1",
        ),
        ("[Files]\nInaccessible=/etc/passwd", "cat /etc/passwd >/dev/null 2>&1 || echo hidden", "hidden"),
        (
            "[Files]\nReadOnly=yes",
            "touch /x 2>&1; touch /run/x && echo run",
            "touch: /x: Read-only file system",
        ),
        ("[Network]\nPrivate=no", "ip link | grep -c lo:", "1"),
        ("[Network]\nVirtualEthernet=no", "ip link | grep -c '^[0-9]'", "1"),
        ("", "ip link | grep -c '^[0-9]'", "2"),
    ] {
        host.case(&format!("{} gives {expected:?}", definition.replace('\n', " ")), || {
            shows(&host, definition, command, expected)
        });
    }
    host.case("Private=no shares the host's network", || {
        let p1 = Container { host: &host, name: "p1" };
        p1.define("[Exec]\nBoot=no\nParameters=/bin/sleep 1000\n[Network]\nPrivate=no\n")?;
        p1.start()?;
        host.ok(&format!("test $(readlink /proc/{}/ns/net) = $(readlink /proc/1/ns/net)", p1.leader()?))?;
        host.ok("systemctl kill -s KILL machine-p1.scope")?;
        host.wait_until(crate::container::SOON, "! systemctl is-active container@p1").map(drop)
    });
    host.case("KillSignal= is what a stop sends", || {
        let p1 = Container { host: &host, name: "p1" };
        p1.define("[Exec]\nBoot=no\nKillSignal=SIGUSR1\nParameters=/bin/sh /script\n")?;
        p1.write("/script", "trap 'echo got it; exit 0' USR1; echo probed; while :; do sleep 0.1; done")?;
        host.run("systemctl reset-failed container@p1")?;
        p1.start()?;
        p1.stop()?;
        ensure!(p1.property("Result")? == "success", "result {}", p1.property("Result")?);
        p1.says("got it")
    });
    host.finish()
}
