//! How containers end: by themselves, by request, by force; and that nothing is left of them.

use std::time::{Duration, Instant};

use crate::container::Container;
use crate::harness::Result;

/// REL-18: reboot, halt and power-off inside.
#[test]
fn the_guests_own_shutdown_decides_what_the_unit_does() -> Result<()> {
    let host = boot!();
    let p1 = Container::busybox(&host, "p1")?;
    p1.start()?;
    for (claim, command) in [
        ("reboot -f inside restarts the unit", "reboot -f"),
        ("init's own reboot restarts the unit", "kill -TERM 1"),
    ] {
        host.case(claim, || {
            let (leader, restarts) = (p1.leader()?, p1.property("NRestarts")?);
            p1.inside(command)?;
            let restarted =
                format!("test $(systemctl show --value -p NRestarts {}) -gt {restarts}", p1.unit());
            host.wait_until(Duration::from_secs(10), &restarted)?;
            p1.becomes("active")?;
            ensure!(p1.leader()? != leader, "the leader is still {leader}");
            ensure!(p1.property("Result")? == "success", "result {}", p1.property("Result")?);
            host.ok("journalctl CONTAINER_NAME=p1 -o cat | grep -x 'the container reboots'").map(drop)
        });
    }
    for (claim, command) in [
        ("poweroff -f inside ends the unit as success", "poweroff -f"),
        ("halt -f inside ends the unit as success", "halt -f"),
        ("init's own poweroff ends the unit as success", "poweroff"),
    ] {
        host.case(claim, || {
            p1.start()?;
            p1.inside(command)?;
            p1.becomes("inactive")?;
            ensure!(p1.property("Result")? == "success", "result {}", p1.property("Result")?);
            p1.is_gone()
        });
    }
    host.case("the last line of the console is journaled", || {
        p1.define("[Exec]\nBoot=no\nParameters=/bin/sh -c \"echo last words; printf 'no newline'\"\n")?;
        host.run("systemctl start container@p1")?;
        p1.becomes("inactive")?;
        p1.says("last words")?;
        p1.says("no newline")
    });
    host.finish()
}

#[test]
fn a_first_process_that_ends_ends_the_unit_with_its_status() -> Result<()> {
    let host = boot!();
    let p1 = Container::running(&host, "p1", "")?;
    for (script, state, result, status) in [
        ("exit 0", "inactive", "success", "0"),
        ("exit 3", "failed", "exit-code", "3"),
        ("exit 7", "failed", "exit-code", "7"),
        ("exit 255", "failed", "exit-code", "255"),
        ("exit 133", "failed", "exit-code", "1"),
    ] {
        host.case(&format!("'{script}' leaves it {state}"), || {
            p1.write("/script", &format!("sleep 0.2\n{script}\n"))?;
            p1.start()?;
            p1.becomes(state)?;
            let seen = (p1.property("Result")?, p1.property("ExecMainStatus")?, p1.property("NRestarts")?);
            ensure!(seen == (result.into(), status.into(), "0".into()), "result, status, restarts: {seen:?}");
            p1.is_gone()
        });
    }
    host.case("what ends it tells the journal", || {
        host.ok("journalctl CONTAINER_NAME=p1 -p err -o cat | grep -Fx \"the container's first process ended with status 7\"")
            .map(drop)
    });
    host.case("one that is killed from outside fails the unit", || {
        p1.write("/script", "sleep 1000")?;
        p1.start()?;
        host.ok(&format!("kill -KILL {}", p1.leader()?))?;
        p1.becomes("failed")?;
        p1.is_gone()
    });
    host.case("a program that is not there is named, and nothing is left", || {
        p1.define("[Exec]\nBoot=no\nParameters=/bin/nonsense\n")?;
        host.fails("systemctl start container@p1")?;
        ensure!(p1.property("StatusText")?.contains("/bin/nonsense"), "{}", p1.property("StatusText")?);
        p1.is_gone()
    });
    host.finish()
}

#[test]
fn a_stop_comes_to_its_end() -> Result<()> {
    let host = boot!();
    let p1 = Container::busybox(&host, "p1")?;
    let seconds = |begin: Instant| begin.elapsed().as_secs();
    host.case("a stop right after the start is clean and short", || {
        let begin = Instant::now();
        host.ok("systemctl start container@p1; systemctl stop container@p1")?;
        ensure!(seconds(begin) < 10, "it took {} s", seconds(begin));
        ensure!(p1.property("Result")? == "success", "result {}", p1.property("Result")?);
        p1.is_gone()
    });
    host.case("a stop in the middle of the start is short, wherever it comes", || {
        for millis in [0, 5, 10, 15, 20, 25, 30, 40, 60, 80] {
            let begin = Instant::now();
            host.ok(&format!(
                "systemctl start --no-block container@p1; sleep {}; systemctl stop container@p1",
                f64::from(millis) / 1000.0
            ))?;
            ensure!(seconds(begin) < 10, "after {millis} ms it took {} s", seconds(begin));
            p1.is_gone()?;
            host.run("systemctl reset-failed container@p1")?;
        }
        Ok(())
    });
    host.case("restart gives a new leader", || {
        p1.start()?;
        let leader = p1.leader()?;
        host.ok("systemctl restart container@p1")?;
        ensure!(p1.leader()? != leader, "the same leader {leader}");
        p1.stop()
    });
    host.case("a frozen container is stopped cleanly", || {
        for stop in ["systemctl stop container@p1", "containerctl stop p1", "containerctl stop --kill p1"] {
            p1.start()?;
            host.ok("containerctl freeze p1")?;
            host.ok(stop)?;
            ensure!(p1.property("Result")? == "success", "'{stop}': result {}", p1.property("Result")?);
            p1.is_gone()?;
        }
        Ok(())
    });
    host.case("machinectl terminate ends it at once, and nothing is left", || {
        p1.start()?;
        host.ok("machinectl terminate p1")?;
        host.wait_until(Duration::from_secs(10), "! systemctl is-active container@p1")?;
        p1.is_gone()?;
        host.run("systemctl reset-failed container@p1").map(drop)
    });
    host.case("a payload that ignores its signal is killed in the end", || {
        host.ok(
            "mkdir -p /etc/systemd/system/container@p1.service.d &&
            printf '[Service]\\nTimeoutStopSec=3\\n' >/etc/systemd/system/container@p1.service.d/short.conf",
        )?;
        p1.define(
            "[Exec]\nBoot=no\nParameters=/bin/sh -c \"trap 'echo deaf' TERM; while :; do sleep 1; done\"\n",
        )?;
        p1.start()?;
        let begin = Instant::now();
        host.run("systemctl stop container@p1")?;
        ensure!(seconds(begin) < 15, "it took {} s", seconds(begin));
        p1.says("deaf")?;
        host.wait_until(Duration::from_secs(5), "! pgrep -f '[w]hile :; do sleep 1'")?;
        p1.is_gone()
    });
    host.case("the shutdown of the host stops containers cleanly", || {
        host.ok("rm /etc/systemd/system/container@p1.service.d/short.conf")?;
        p1.define("")?;
        host.run("systemctl reset-failed container@p1")?;
        p1.start()?;
        host.reboot()?;
        let journal = host.ok("journalctl -b -1 CONTAINER_NAME=p1 -o cat")?;
        ensure!(journal.contains("is going down") && journal.contains("powered off"), "{journal}");
        p1.is_gone()
    });
    host.finish()
}
