//! Where the processes of a container and those that enter it lie, and what becomes of them when their supervisor cannot be.

use std::time::Duration;

use crate::container::{Container, SOON};
use crate::harness::{Host, Result};

/// More than a boot needs here.
const BOOT: Duration = Duration::from_secs(60);
const SCOPE: &str = "/sys/fs/cgroup/machine.slice/machine-p1.slice/machine-p1.scope";

fn attached(host: &Host, command: &str) -> Result<String> {
    host.ok(&format!("timeout 30 containerctl attach p1 -- {command} </dev/null"))
}

/// The cgroup of a process that is attached, as it sees it.
fn seen(host: &Host) -> Result<String> {
    Ok(attached(host, "grep ^0:: /proc/self/cgroup")?.trim().to_string())
}

#[test]
fn attached_processes_are_below_the_payload() -> Result<()> {
    let host = boot!();
    let p1 = Container::busybox(&host, "p1")?;
    p1.start()?;
    let leaf = "/sys/fs/cgroup/.containerctl";
    host.case("inside they are in a cgroup of the container's root", || {
        ensure!(seen(&host)? == "0::/.containerctl", "{}", seen(&host)?);
        ensure!(attached(&host, &format!("stat -c %u:%g {leaf}"))?.trim() == "0:0", "another owner");
        host.ok(&format!("ls -d {SCOPE}/payload/.containerctl")).map(drop)
    });
    host.case("that the container has removed, it is made again", || {
        p1.inside(&format!("rmdir {leaf}"))?;
        ensure!(seen(&host)? == "0::/.containerctl", "{}", seen(&host)?);
        Ok(())
    });
    host.case("that the container has made itself, frozen or made useless, they lie beside", || {
        p1.inside(&format!("rmdir {leaf}; mkdir {leaf}; chown 1:1 {leaf}"))?;
        ensure!(seen(&host)? == "0::/../attached", "{}", seen(&host)?);
        p1.inside(&format!("echo 1 >{leaf}/cgroup.freeze"))?;
        ensure!(seen(&host)? == "0::/../attached", "{}", seen(&host)?);
        p1.inside(&format!("rmdir {leaf}"))?;
        host.ok(&format!("echo 0 >{SCOPE}/payload/cgroup.max.descendants"))?;
        ensure!(seen(&host)? == "0::/../attached", "{}", seen(&host)?);
        host.ok(&format!("echo 100 >{SCOPE}/payload/cgroup.max.descendants"))?;
        ensure!(seen(&host)? == "0::/.containerctl", "{}", seen(&host)?);
        Ok(())
    });
    host.case("that is a part of a threaded one, they lie beside", || {
        p1.inside("mkdir /sys/fs/cgroup/t && echo threaded >/sys/fs/cgroup/t/cgroup.type")?;
        ensure!(seen(&host)? == "0::/../attached", "{}", seen(&host)?);
        p1.inside("rmdir /sys/fs/cgroup/t").map(drop)
    });
    host.case("a kill of all reaches them", || {
        host.ok("(containerctl attach p1 -- sleep 1000 </dev/null; echo $? >/srv/ended) & sleep 1; containerctl kill p1 --whom all --signal KILL; wait; grep -x 137 /srv/ended")?;
        host.ok("! pgrep -x sleep -a | grep 1000").map(drop)
    });
    host.finish()
}

#[test]
fn a_guests_systemd_takes_attached_processes_over() -> Result<()> {
    let host = boot!("--guest");
    host.ok("containerctl create p1 --from-tar /srv/guests/debian.tar && containerctl start p1")?;
    host.wait_until(BOOT, "systemctl -M p1 is-system-running | grep -x running")?;
    host.case("into a scope", || {
        ensure!(seen(&host)? == "0::/.containerctl", "{}", seen(&host)?);
        let moved = attached(&host, "systemd-run -q --scope --unit=mine grep ^0:: /proc/self/cgroup")?;
        ensure!(moved.trim() == "0::/system.slice/mine.scope", "{moved}");
        Ok(())
    });
    host.case("into a session", || {
        attached(&host, "useradd -m -s /bin/sh u")?;
        attached(&host, "loginctl enable-linger u")?;
        let session = attached(&host, "su - u -c 'echo $XDG_SESSION_ID'")?;
        ensure!(!session.trim().is_empty(), "su gives no session");
        attached(&host, "su - u -c 'systemctl --user is-system-running --wait'").map(drop)
    });
    host.case("and is not degraded by that", || {
        let state = attached(&host, "systemctl is-system-running")?;
        ensure!(state.trim() == "running", "it is {state}");
        host.ok("systemctl is-active machine-p1.scope").map(drop)
    });
    host.finish()
}

#[test]
fn nested_cgroups_have_an_end() -> Result<()> {
    let host = boot!();
    let p1 = Container::busybox(&host, "p1")?;
    // A shell cannot change to a directory whose path is too long.
    let nest = |levels: usize| {
        let python = "import os, sys; os.chdir(sys.argv[1])\nfor i in range(int(sys.argv[2])): os.mkdir('d' * 16); os.chdir('d' * 16)";
        format!("python3 -c \"{python}\" {SCOPE}/payload {levels}")
    };
    p1.start()?;
    host.case("a container nests no deeper than is allowed, and cannot change that", || {
        let refused = host.fails(&nest(33))?;
        ensure!(refused.stderr.contains("Resource temporarily unavailable"), "{refused}");
        ensure!(host.ok(&format!("find {SCOPE}/payload -type d | wc -l"))?.trim() == "33", "another depth");
        host.fails("containerctl attach p1 -- sh -c 'echo max >/sys/fs/cgroup/cgroup.max.depth' </dev/null")?;
        p1.stop()?;
        p1.is_gone()
    });
    host.case("what is nested deeper than a path is long goes with the container", || {
        p1.start()?;
        host.ok(&format!("echo max >{SCOPE}/payload/cgroup.max.depth"))?;
        host.ok(&nest(400))?;
        p1.stop()?;
        p1.is_gone()
    });
    host.case("what is left of an earlier run is not fatal", || {
        host.ok(&format!("mkdir -p {SCOPE}/payload && {}", nest(400)))?;
        p1.start()?;
        host.ok(&format!("! ls -d {SCOPE}/payload/dddddddddddddddd"))?;
        p1.stop()?;
        p1.is_gone()
    });
    host.finish()
}

#[test]
fn a_payload_without_a_supervisor_is_ended() -> Result<()> {
    let host = boot!();
    let p1 = Container::busybox(&host, "p1")?;
    let supervisor = "/usr/lib/containerctl/containerctl-supervisor";
    let orphan = || {
        p1.start()?;
        host.ok(&format!(
            "mv {supervisor} {supervisor}.away && systemctl kill -s KILL --kill-whom=main container@p1"
        ))?;
        p1.becomes("failed")?;
        host.ok(&format!("mv {supervisor}.away {supervisor}; containerctl list | grep -E '^p1 +stuck '"))
            .map(drop)
    };
    host.case("it is told that it runs, and not that it was killed", || {
        orphan()?;
        let output = host.fails("containerctl destroy p1")?;
        ensure!(!output.stderr.contains("it was killed"), "{output}");
        host.ok("pgrep -x init >/dev/null").map(drop)
    });
    host.case("a start takes it over", || {
        host.ok("systemctl reset-failed container@p1; containerctl start p1; containerctl list | grep -E '^p1 +running '")?;
        ensure!(host.ok("journalctl -b -u container@p1 -o cat | grep -c 'p1 is up'")?.trim() == "1", "it was started anew");
        p1.stop()
    });
    host.case("stop asks it to shut down", || {
        orphan()?;
        let output = host.run("timeout 60 containerctl stop p1")?;
        ensure!(output.code == 0 && !output.stderr.contains("killed"), "{output}");
        p1.is_gone()
    });
    host.case("stop --kill kills it, frozen or not", || {
        for before in ["true", "systemctl freeze machine-p1.scope"] {
            orphan()?;
            host.ok(before)?;
            host.ok("timeout 20 containerctl stop p1 --kill")?;
            p1.is_gone()?;
        }
        host.ok("containerctl list | grep -E '^p1 +stopped '").map(drop)
    });
    host.finish()
}

#[test]
fn a_container_of_the_earlier_placement_is_adopted() -> Result<()> {
    let host = boot!();
    let p1 = Container::busybox(&host, "p1")?;
    host.ok("mkdir -p /run/systemd/system/container@p1.service.d && printf '[Service]\\nSlice=machine-p1.slice\\n' >/run/systemd/system/container@p1.service.d/earlier.conf && systemctl daemon-reload")?;
    p1.start()?;
    host.ok("grep machine-p1.slice /proc/$(pgrep -f 'containerctl-supervisor run p1$')/cgroup")?;
    let leader = p1.leader()?;
    host.case("by a reload", || {
        host.ok("rm -r /run/systemd/system/container@p1.service.d && systemctl daemon-reload && systemctl reload container@p1")?;
        ensure!(p1.leader()? == leader, "another leader");
        host.ok("containerctl list | grep -E '^p1 +running '").map(drop)
    });
    host.case("after a kill, in the place that it has now", || {
        p1.kill_supervisor()?;
        ensure!(p1.leader()? == leader, "another leader");
        host.ok("grep -x 0::/machine.slice/container@p1.service /proc/$(pgrep -f 'containerctl-supervisor run p1$')/cgroup").map(drop)
    });
    host.case("and is stopped", || {
        p1.stop()?;
        p1.is_gone()?;
        host.wait_until(SOON, "! systemctl is-failed container@p1")
    });
    host.finish()
}
