//! What the container's root tries against the host's settings, against rights that are not its own, and against the
//! cgroups above it.

use std::fs;

use crate::container::{Container, private_users};
use crate::harness::{Host, Result};

/// Settings of the kernel that are everybody's, or the host's; a value that none has stands behind each.
const SETTINGS: [(&str, &str); 22] = [
    ("/proc/sys/kernel/core_pattern", "|/evil"),
    ("/proc/sys/kernel/modprobe", "/evil"),
    ("/proc/sys/kernel/hotplug", "/evil"),
    ("/proc/sys/kernel/panic", "77"),
    ("/proc/sys/kernel/sysrq", "77"),
    ("/proc/sys/kernel/printk", "7 7 7 7"),
    ("/proc/sys/kernel/randomize_va_space", "0"),
    ("/proc/sys/kernel/threads-max", "7777"),
    ("/proc/sys/kernel/yama/ptrace_scope", "0"),
    ("/proc/sys/kernel/kptr_restrict", "0"),
    ("/proc/sys/kernel/perf_event_paranoid", "-1"),
    ("/proc/sys/kernel/domainname", "evil"),
    ("/proc/sys/fs/suid_dumpable", "2"),
    ("/proc/sys/fs/protected_symlinks", "0"),
    ("/proc/sys/fs/file-max", "7777"),
    ("/proc/sys/vm/overcommit_memory", "2"),
    ("/proc/sys/vm/swappiness", "77"),
    ("/proc/sys/net/ipv4/ip_forward", "1"),
    ("/proc/sys/net/ipv4/conf/all/rp_filter", "2"),
    ("/proc/sys/kernel/shmmax", "77777"),
    ("/sys/kernel/uevent_helper", "/evil"),
    ("/sys/module/printk/parameters/time", "N"),
];

fn settings(host: &Host) -> Result<String> {
    let paths: Vec<&str> = SETTINGS.iter().map(|(path, _)| *path).collect();
    host.ok(&format!("for f in {}; do echo $f $(cat $f 2>/dev/null); done", paths.join(" ")))
}

/// SEC-7: by the container's root, as it is and from a namespace of users made inside; without one, what is read-only
/// stays so.
#[test]
fn no_setting_of_the_host_is_changed_from_inside() -> Result<()> {
    let host = boot!();
    let write =
        |(path, value): &(&str, &str)| format!("echo '{value}' >{path}; echo '{value}' | dd of={path};");
    let writes: String = SETTINGS.iter().map(write).collect();
    // Of the container's own namespaces, so that it is seen that something was tried.
    let script = format!(
        "try() {{ {writes} }} 2>/dev/null\nexec </dev/null\ntry; unshare -Ur sh -c \"$(type try | sed 1d); try\"
         for c in b c e; do echo $c >/proc/sysrq-trigger; done 2>/dev/null
         cat /proc/sys/kernel/shmmax; echo tried; trap 'exit 0' TERM; while :; do sleep 0.1; done"
    );
    let before = settings(&host)?;
    for users in ["pick", "no"] {
        host.case(&format!("PrivateUsers={users}"), || {
            let p1 = Container { host: &host, name: if users == "no" { "plain" } else { "mapped" } };
            Container::running(&host, p1.name, &script)?;
            // The managed network has the host forward packets, which is not the container's doing.
            p1.define(&format!(
                "[Exec]\n{}Boot=no\nParameters=/bin/sh /script\n[Network]\nVirtualEthernet=no\n",
                private_users(users)
            ))?;
            p1.start()?;
            p1.says("tried")?;
            p1.says("77777")?;
            let after = settings(&host)?;
            ensure!(before == after, "before\n{before}\nafter\n{after}");
            p1.stop()
        });
    }
    host.finish()
}

/// Gives a file capabilities, as the host's root (linux/capability.h: version 2): which, where CAP_NET_RAW is bit 13.
const SET_CAPABILITIES: &str = "import os, struct, sys
raw = 1 << 13
permitted, inheritable = (raw, 0) if sys.argv[2] == 'permitted' else (0, raw)
os.setxattr(sys.argv[1], 'security.capability', struct.pack('<5I', 0x02000001, permitted, inheritable, 0, 0))";

/// SEC-18, where the first process's own sets are in the golden posture.
#[test]
fn nobody_inherits_capabilities() -> Result<()> {
    let host = boot!();
    let look =
        |file: &str| format!("echo {file} $(su user -s /bin/sh -c '/{file}/grep CapEff /proc/self/status');");
    let script = format!(
        "{}{} su user -s /bin/sh -c 'cat /proc/self/status' | grep Cap
         echo probed; trap 'exit 0' TERM; while :; do sleep 0.1; done",
        look("inheritable"),
        look("permitted")
    );
    let p1 = Container::running(&host, "p1", &script)?;
    p1.write("/etc/passwd", "root:x:0:0::/:/bin/sh\nuser:x:1000:1000::/:/bin/sh\n")?;
    fs::write(host.path("/root/capabilities.py")?, SET_CAPABILITIES)?;
    for kind in ["inheritable", "permitted"] {
        let file = format!("{0}/{kind}/grep", p1.root());
        host.ok(&format!(
            "mkdir {0}/{kind} && cp /bin/busybox {file} && python3 /root/capabilities.py {file} {kind}",
            p1.root()
        ))?;
    }
    p1.start()?;
    p1.says("probed")?;
    let seen = host.ok("journalctl -q CONTAINER_NAME=p1 -o cat")?;
    host.case("what a file makes inheritable is nobody's, for nobody has it to inherit", || {
        ensure!(seen.contains("inheritable CapEff: 0000000000000000"), "{seen}");
        Ok(())
    });
    host.case("what a file permits is had, or the case before would say nothing", || {
        ensure!(seen.contains("permitted CapEff: 0000000000002000"), "{seen}");
        Ok(())
    });
    host.case("a user has none by himself", || {
        for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
            let line = format!("{set}:\t0000000000000000");
            ensure!(seen.lines().any(|seen| seen.trim_end() == line), "no '{line}' in: {seen}");
        }
        Ok(())
    });
    host.finish()
}

/// SEC-20: what can be written is in the golden posture; here, that there is no way up.
#[test]
fn no_cgroup_above_the_container_is_reached() -> Result<()> {
    let host = boot!();
    let p1 = Container::running(
        &host,
        "p1",
        "cd /sys/fs/cgroup
         echo up: $(ls -d .. ../*.slice ../../*.slice /sys/fs/cgroup/../cgroup/*.slice 2>/dev/null)
         mkdir /fresh; mount -t cgroup2 none /fresh && echo fresh: $(ls -d /fresh/*/ 2>/dev/null) .
         echo own: $(cut -d: -f3 /proc/self/cgroup | tail -n 1)
         for f in cgroup.max.depth cgroup.max.descendants cgroup.freeze cgroup.kill memory.max pids.max cpu.max; do
             for d in . /fresh; do { echo 1 >$d/$f; } 2>/dev/null && echo wrote $d/$f; done; done
         mkdir inner && echo 0 >inner/cgroup.procs && echo moved: $(cut -d: -f3 /proc/self/cgroup | tail -n 1)
         for c in memory pids cpu devices name=systemd; do
             mount -t cgroup -o $c none /fresh 2>/dev/null && echo version 1 of $c || continue
             for f in /fresh/*; do { true >>$f; } 2>/dev/null && echo wrote $f; done; done
         echo probed; trap 'exit 0' TERM; while :; do sleep 0.1; done",
    )?;
    p1.start()?;
    p1.says("probed")?;
    let seen = host.ok("journalctl -q CONTAINER_NAME=p1 -o cat")?;
    host.case("its cgroup is the root of what it sees", || {
        for line in ["up: ..", "fresh: .", "own: /"] {
            ensure!(seen.lines().any(|seen| seen.trim_end() == line), "no '{line}' in: {seen}");
        }
        ensure!(!seen.contains("wrote"), "{seen}");
        Ok(())
    });
    host.case("cgroups of version 1 are not to be had", || {
        if host.run("awk '!/^#/ && $2 != 0' /proc/cgroups | grep .")?.code == 0 {
            skip!("this machine has cgroups of version 1, which no supported host has; nothing in them can be written");
        }
        ensure!(!seen.contains("version 1"), "{seen}");
        Ok(())
    });
    host.case("and what it makes is below that, where the host sees it", || {
        ensure!(seen.contains("moved: /inner"), "{seen}");
        host.ok("find /sys/fs/cgroup -path '*machine-p1.scope/payload/inner' | grep .").map(drop)
    });
    host.case("a limit that is none is refused with its place", || {
        p1.define("[Resources]\nTasksMax=10\nMemoryMax=lots\n")?;
        let told = host.fails("containerctl plan p1")?;
        ensure!(told.code == 78 && told.stderr.contains("p1.conf:3:11: "), "{told}");
        ensure!(told.stderr.contains("MemoryMax=: 'lots'"), "{told}");
        Ok(())
    });
    host.case("no limit names a file", || {
        for line in ["../MemoryMax=1", "MemoryMax/..=1", "/sys/fs/cgroup/x=1"] {
            p1.define(&format!("[Resources]\n{line}\n"))?;
            let told = host.fails("containerctl plan p1")?;
            ensure!(told.code == 78 && told.stderr.contains("p1.conf:2:1: "), "{told}");
        }
        Ok(())
    });
    host.finish()
}
