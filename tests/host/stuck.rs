//! A container whose process the kernel does not let go: everything else goes on, and it is cleared away later.

use std::fs;
use std::time::{Duration, Instant};

use crate::container::{Container, SOON};
use crate::harness::{Host, Result};

/// Mounts a file system that does not answer at /srv/stuck; false where that cannot be done here.
fn mount(host: &Host) -> Result<bool> {
    fs::write(host.path("/srv/stuckfs.py")?, include_str!("stuckfs.py"))?;
    host.ok("mkdir -p /srv/stuck; systemd-run -q --unit=stuckfs python3 /srv/stuckfs.py /srv/stuck")?;
    for _ in 0..50 {
        if host.run("findmnt -t fuse /srv/stuck")?.code == 0 {
            return Ok(true);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(false)
}

/// REL-17: a FUSE file system that never answers.
#[test]
fn a_file_system_that_is_silent_holds_nobody_up() -> Result<()> {
    let host = boot!();
    if !mount(&host)? {
        skip!("there is no file system that never answers: /dev/fuse cannot be used");
    }
    let p1 = Container::defined(&host, "p1", "[Files]\nBind=/srv/stuck:/mnt\n")?;
    p1.start()?;
    p1.inside("mount --bind /mnt /dev/pts")?;
    host.case("with one at /dev/pts there is no terminal, and one is told so", || {
        let attach = "timeout 20 script -qec 'containerctl attach p1 -- echo hi' /dev/null";
        let output = host.run(attach)?;
        ensure!(output.code == 1 && output.stdout.contains("no devpts"), "{output}");
        Ok(())
    });
    host.case("all that needs no terminal goes on", || {
        let attach = "timeout 20 containerctl attach p1 -- echo hi </dev/null 2>&1 | cat";
        ensure!(host.ok(attach)?.trim() == "hi", "no echo");
        host.ok("timeout 20 containerctl console p1 </dev/null && timeout 20 containerctl info p1")?;
        host.ok("timeout 20 ls /dev/pts && timeout 20 containerctl list | grep -E '^p1 +running '")?;
        host.ok("timeout 20 containerctl stop p1")?;
        p1.is_gone()
    });
    host.ok("systemctl stop stuckfs; umount -l /srv/stuck")?;
    host.finish()
}

/// REL-7: a process in state D.
#[test]
fn what_cannot_be_killed_is_told_and_reaped_later() -> Result<()> {
    let host = boot!();
    if !mount(&host)? {
        skip!("nothing here makes a process that cannot be killed: /dev/fuse cannot be used");
    }
    let p1 = Container::running(&host, "p1", "cat /mnt/file &\nwhile :; do sleep 1; done\n")?;
    p1.define("[Exec]\nBoot=no\nParameters=/bin/sh /script\n[Files]\nBind=/srv/stuck:/mnt\n")?;
    let other = Container::busybox(&host, "other")?;
    p1.start()?;
    host.wait_until(SOON, "pgrep -x cat")?;
    host.case("stop ends, with a code of its own and the process by name", || {
        let began = Instant::now();
        let output = host.fails("containerctl stop p1 --timeout 1")?;
        ensure!(output.code == 71, "{output}");
        ensure!(began.elapsed() < Duration::from_secs(30), "it took {:?}", began.elapsed());
        ensure!(output.stderr.lines().count() == 1, "{output}");
        let pid = host.ok("pgrep -x cat")?;
        for part in ["'p1' is stuck", &format!("{} (cat, in ", pid.trim())] {
            ensure!(output.stderr.contains(part), "no '{part}': {output}");
        }
        let status = p1.property("StatusText")?;
        ensure!(status.contains("'p1' is stuck") && status.contains("(cat, in "), "status '{status}'");
        Ok(())
    });
    host.case("list and info show it, and what it needs is still there", || {
        host.ok("containerctl list | grep -E '^p1 +stuck '; containerctl info p1 | grep 'State: stuck'")?;
        host.ok("test -e /run/containerctl/p1/state && findmnt /srv/stuck").map(drop)
    });
    host.case("it can be neither started nor destroyed, and says why", || {
        for verb in ["start", "restart", "stop", "stop --kill"] {
            let output = host.fails(&format!("containerctl {verb} p1"))?;
            ensure!(output.code == 71 && output.stderr.contains("'p1' is stuck"), "{verb}: {output}");
        }
        let output = host.fails("containerctl destroy p1 --force")?;
        ensure!(output.code == 71 && output.stderr.contains("'p1' is stuck"), "{output}");
        ensure!(host.ok("containerctl list")?.contains("stuck"), "it is no longer listed as stuck");
        host.ok("test -e /var/lib/containerctl/p1/rootfs/script").map(drop)
    });
    host.case("other containers do not notice", || {
        host.ok("timeout 10 containerctl start other && timeout 10 containerctl list && timeout 10 containerctl stop other")?;
        other.is_gone()
    });
    host.case("once the kernel lets go it is stopped, and nothing is left", || {
        host.ok("(containerctl wait p1 --state stopped --timeout 20; echo $? >/srv/waited) & sleep 0.2; systemctl stop stuckfs; wait")?;
        ensure!(host.ok("cat /srv/waited")?.trim() == "0", "it did not become stopped");
        p1.is_gone()?;
        host.fails("systemctl is-active container-reaper@p1")?;
        host.run("umount -l /srv/stuck")?;
        p1.define("")?;
        p1.start()?;
        p1.stop()
    });
    host.case("a supervisor that is killed meanwhile changes nothing of that", || {
        host.ok("systemctl reset-failed stuckfs; true")?;
        ensure!(mount(&host)?, "not mounted a second time");
        p1.define("[Exec]\nBoot=no\nParameters=/bin/sh /script\n[Files]\nBind=/srv/stuck:/mnt\n")?;
        p1.start()?;
        host.wait_until(SOON, "pgrep -x cat")?;
        host.run("systemctl stop --no-block container@p1; sleep 0.1; systemctl kill -s KILL --kill-whom=main container@p1; containerctl stop p1")?;
        host.ok("containerctl list | grep -E '^p1 +stuck '")?;
        let output = host.fails("containerctl start p1")?;
        ensure!(output.code == 71, "{output}");
        host.ok("systemctl stop stuckfs; containerctl wait p1 --state stopped --timeout 20")?;
        p1.is_gone()
    });
    host.finish()
}
