//! The container goes on when what is around it dies: its supervisor, systemd's helpers, the bus.

use std::time::Duration;

use crate::container::{Container, SOON};
use crate::harness::Result;

/// The leader's pid and start time (proc_pid_stat(5), field 22): together they name one process.
fn leader(p1: &Container) -> Result<(i32, String)> {
    let leader = p1.leader()?;
    let start = p1.host.ok(&format!("sed 's/.*) //' /proc/{leader}/stat | cut -d' ' -f20"))?;
    Ok((leader, start))
}

/// What must work of a container that runs, however often it changed hands.
fn works(p1: &Container, word: &str) -> Result<()> {
    p1.inside(&format!("echo {word} >/dev/console"))?;
    p1.says(word)?;
    let attached = p1.host.ok(&format!("timeout 10 containerctl console {} </dev/null", p1.name))?;
    ensure!(attached.contains(word), "not in the scrollback: {attached}");
    p1.host.ok(&format!("machinectl list --no-legend | grep '^{} '", p1.name)).map(drop)
}

/// REL-1, REL-16: killed and re-executed supervisors are replaced.
#[test]
fn the_supervisor_may_be_killed() -> Result<()> {
    let host = boot!();
    let p1 = Container::busybox(&host, "p1")?;
    p1.start()?;
    p1.says("p1 is up")?;
    host.case("a reload hands over to the newest binary in place", || {
        let before = (leader(&p1)?, p1.property("MainPID")?);
        host.ok("systemctl reload container@p1")?;
        works(&p1, "word-of-the-newest")?;
        let after = (leader(&p1)?, p1.property("MainPID")?);
        ensure!(before == after, "before {before:?}, after {after:?}");
        Ok(())
    });
    host.case("the payload is adopted, not restarted", || {
        let before = leader(&p1)?;
        p1.kill_supervisor()?;
        ensure!(leader(&p1)? == before, "the leader was {before:?}, is {:?}", leader(&p1)?);
        ensure!(
            p1.property("StatusText")? == "Container running.",
            "status '{}'",
            p1.property("StatusText")?
        );
        works(&p1, "word-one")
    });
    host.case("again and again", || {
        let before = leader(&p1)?;
        for _ in 0..8 {
            p1.kill_supervisor()?;
        }
        ensure!(leader(&p1)? == before, "the leader was {before:?}, is {:?}", leader(&p1)?);
        works(&p1, "word-two")
    });
    host.case("the scrollback of before is still there", || {
        let attached = host.ok("timeout 10 containerctl console p1 </dev/null")?;
        ensure!(attached.contains("p1 is up") && attached.contains("word-one"), "{attached}");
        Ok(())
    });
    host.case("stop is clean after adoption", || {
        p1.stop()?;
        ensure!(p1.property("Result")? == "success", "result {}", p1.property("Result")?);
        host.ok("journalctl CONTAINER_NAME=p1 -o cat | grep 'p1 is going down'")?;
        p1.is_gone()
    });
    host.case("an exit status is seen after adoption", || {
        let p2 = Container::running(&host, "p2", "trap 'exit 5' USR1; while :; do sleep 0.1; done")?;
        p2.start()?;
        p2.kill_supervisor()?;
        p2.inside("kill -USR1 1")?;
        p2.becomes("failed")?;
        ensure!(p2.property("ExecMainStatus")? == "5", "status {}", p2.property("ExecMainStatus")?);
        p2.is_gone()
    });
    host.case("killed during the stop, nothing is left", || {
        p1.start()?;
        host.ok("systemctl stop --no-block container@p1; sleep 0.2; systemctl kill -s KILL --kill-whom=main container@p1")?;
        host.wait_until(Duration::from_secs(10), "! systemctl is-active container@p1")?;
        host.wait_until(Duration::from_secs(10), "systemctl show -p ActiveState container@p1 | grep -E 'inactive|failed'")?;
        p1.is_gone()?;
        host.run("systemctl reset-failed container@p1")?;
        p1.start()?;
        p1.stop()
    });
    host.case("killed in the middle of a start, it starts anew or leaves nothing", || {
        for millis in [0, 5, 10, 15, 20, 30, 40] {
            host.ok(&format!(
                "systemctl start --no-block container@p1; sleep {}; systemctl kill -s KILL --kill-whom=main container@p1; true",
                f64::from(millis) / 1000.0
            ))?;
            host.wait_until(Duration::from_secs(10), "systemctl show -p ActiveState container@p1 | grep -E '=(active|inactive|failed)'")?;
            p1.stop()?;
            p1.is_gone()?;
            host.run("systemctl reset-failed container@p1")?;
        }
        Ok(())
    });
    host.case("an empty scope of a start that was cut short is no obstacle", || {
        host.ok(&format!("sh -c 'sleep 0.01 & exec sleep 10' & keeper=$!; sleep 0.1; {SCOPE_OF_A_ZOMBIE}; kill $keeper"))?;
        host.ok("systemctl is-active machine-p1.scope && systemctl show -p ControlGroup machine-p1.scope | grep scope")?;
        p1.start()?;
        p1.stop()?;
        p1.is_gone()
    });
    host.case(
        "a first process that ends before it is placed is told of each time, and ends nobody else",
        || {
            for _ in 0..6 {
                p1.define("[Exec]\nLimitNOFILE=4\n")?;
                let refused = host.fails("containerctl start p1")?;
                ensure!(refused.code == 1 && refused.stderr.contains("Too many open files"), "{refused}");
                p1.is_gone()?;
            }
            p1.define("")?;
            p1.start()?;
            p1.stop()
        },
    );
    host.case("a scope that somebody is in is not taken away", || {
        host.ok("systemd-run --scope --unit machine-p1 --collect sleep 60 >/dev/null 2>&1 & sleep 0.5")?;
        let refused = host.fails("containerctl start p1")?;
        ensure!(
            refused.code == 75 && refused.stderr.contains("'machine-p1.scope' still exists"),
            "{refused}"
        );
        host.ok("systemctl is-active machine-p1.scope && systemctl stop machine-p1.scope")?;
        p1.is_gone()
    });
    host.finish()
}

/// Makes the scope of `p1` for a process that has ended and was not waited for: systemd has it started, and empty.
const SCOPE_OF_A_ZOMBIE: &str = "busctl call org.freedesktop.systemd1 /org/freedesktop/systemd1 \
    org.freedesktop.systemd1.Manager StartTransientUnit 'ssa(sv)a(sa(sv))' \
    machine-p1.scope fail 1 PIDs au 1 $(pgrep -P $keeper) 0";

/// A container with links on the host that ends at once when it is asked to.
const QUICK: &str = "[Exec]\nBoot=no\nParameters=/bin/sh -c \"trap 'exit 0' TERM; while :; do sleep 1000 & wait; done\"\n\
    [Interface eth0]\n[Interface eth1]\nZone=z\n";

#[test]
fn a_stop_just_after_the_supervisor_was_killed_leaves_nothing() -> Result<()> {
    let host = boot!();
    let p1 = Container::defined(&host, "p1", QUICK)?;
    let kill = "systemctl kill -s KILL --kill-whom=main container@p1";
    let ended = |what: &str| {
        host.wait_until(Duration::from_secs(10), "! test -e /run/containerctl/p1")?;
        host.wait_until(Duration::from_secs(10), "! systemctl is-active container-reaper@p1")?;
        let left = host.run("ip link show vz-z")?;
        ensure!(left.code != 0, "{what}: {left}");
        p1.is_gone()?;
        host.run("systemctl reset-failed container@p1").map(drop)
    };
    host.case("in the pause before it is started again", || {
        host.ok("mkdir -p /run/systemd/system/container@p1.service.d
            printf '[Service]\\nRestartSec=5s\\n' >/run/systemd/system/container@p1.service.d/pause.conf; systemctl daemon-reload")?;
        p1.start()?;
        host.ok(&format!("{kill}; until systemctl show -p SubState container@p1 | grep -x SubState=auto-restart; do :; done; systemctl stop container@p1"))?;
        ended("paused")
    });
    host.case("a start just after that stop begins anew", || {
        p1.start()?;
        let before = leader(&p1)?;
        host.ok(&format!("{kill}; until systemctl show -p SubState container@p1 | grep -x SubState=auto-restart; do :; done; systemctl stop container@p1; systemctl start container@p1"))?;
        ensure!(p1.property("ActiveState")? == "active" , "state {}", p1.property("ActiveState")?);
        host.ok("sleep 0.5; systemctl is-active container@p1 && ip link show vz-z && ip link show vb-p1")?;
        let after = leader(&p1)?;
        host.ok("rm -r /run/systemd/system/container@p1.service.d; systemctl daemon-reload; systemctl stop container@p1")?;
        ended(&format!("before {before:?}, after {after:?}"))
    });
    host.case("at any time", || {
        for millis in [0, 5, 15, 30, 50, 80, 100, 110, 130] {
            p1.start()?;
            host.ok(&format!("{kill}; sleep {}; systemctl stop container@p1", f64::from(millis) / 1000.0))?;
            ended(&format!("after {millis} ms"))?;
        }
        Ok(())
    });
    host.case("killed too often, it runs on without one", || {
        host.ok("mkdir -p /run/systemd/system/container@p1.service.d
            printf '[Unit]\\nStartLimitBurst=1\\n' >/run/systemd/system/container@p1.service.d/limit.conf; systemctl daemon-reload")?;
        p1.start()?;
        let before = leader(&p1)?;
        host.ok(kill)?;
        p1.becomes("failed")?;
        host.wait_until(Duration::from_secs(10), "! systemctl is-active container-reaper@p1")?;
        host.ok("rm -r /run/systemd/system/container@p1.service.d; systemctl daemon-reload; systemctl reset-failed container@p1; systemctl start container@p1")?;
        ensure!(leader(&p1)? == before, "the leader was {before:?}, is {:?}", leader(&p1)?);
        p1.stop()?;
        p1.is_gone()
    });
    host.finish()
}

/// REL-2: restarts of systemd's parts between verbs.
#[test]
fn the_host_may_restart_what_it_likes() -> Result<()> {
    let host = boot!();
    let p1 = Container::busybox(&host, "p1")?;
    p1.start()?;
    let before = leader(&p1)?;
    for (what, command) in [
        ("daemon-reload", "systemctl daemon-reload"),
        ("daemon-reexec", "systemctl daemon-reexec"),
        ("a restart of machined", "systemctl restart systemd-machined"),
        ("a killed machined", "systemctl kill -s KILL systemd-machined; sleep 0.5"),
        ("a restart of the journal", "systemctl restart systemd-journald"),
        ("a restart of the bus", "systemctl restart dbus; sleep 0.5"),
    ] {
        host.case(&format!("{what} is not noticed"), || {
            host.ok(command)?;
            works(&p1, &format!("after-{}", what.replace(' ', "-")))?;
            ensure!(leader(&p1)? == before, "the leader was {before:?}, is {:?}", leader(&p1)?);
            ensure!(p1.property("NRestarts")? == "0", "restarts {}", p1.property("NRestarts")?);
            Ok(())
        });
    }
    host.case("and the stop is clean after all of it", || {
        p1.stop()?;
        ensure!(p1.property("Result")? == "success", "result {}", p1.property("Result")?);
        p1.is_gone()
    });
    host.case("without machined it runs, with a warning", || {
        host.ok("systemctl mask --runtime --now systemd-machined")?;
        p1.start()?;
        host.ok("journalctl CONTAINER_NAME=p1 -p warning -o cat | grep \"machined does not list 'p1'\"")?;
        host.ok("containerctl list --json | jq -e '.[0].leader > 1'")?;
        p1.stop()?;
        ensure!(p1.property("Result")? == "success", "result {}", p1.property("Result")?);
        host.ok("systemctl unmask --runtime systemd-machined")?;
        p1.is_gone()
    });
    host.case("of two starts both are content, and one container runs", || {
        host.ok("systemctl start container@p1 & one=$!; containerctl start p1 && wait $one")?;
        ensure!(host.ok("pgrep -fc '[c]ontainerctl-supervisor run p1'")?.trim() == "1", "not one supervisor");
        p1.stop()
    });
    host.case("of two creates one wins, and the other says why", || {
        let output =
            host.run("for i in 1 2; do (containerctl create q --template busybox; echo $?) & done; wait")?;
        let mut codes: Vec<&str> = output.stdout.lines().collect();
        codes.sort_unstable();
        ensure!(codes == ["0", "75"], "{output}");
        ensure!(output.stderr.contains("q'") && output.stderr.lines().count() == 1, "{output}");
        host.ok("containerctl start q && containerctl stop q && containerctl destroy q")?;
        host.fails("ls -A /var/lib/containerctl | grep -E 'q|partial|trash'").map(drop)
    });
    host.finish()
}

/// A shell function: the path of the memfd in which the process `$1` has the state.
const STATE_OF: &str = "state_of() { for fd in /proc/$1/fd/*; do case $(readlink $fd) in '/memfd:state (deleted)') echo $fd; return;; esac; done; false; }";

#[test]
fn a_container_outlives_an_upgrade_and_a_downgrade() -> Result<()> {
    let host = boot!();
    let p1 = Container::busybox(&host, "p1")?;
    p1.start()?;
    let before = leader(&p1)?;
    let kill = "systemctl kill -s KILL --kill-whom=main container@p1";
    let state = "/run/containerctl/p1/state";
    let is_same = || {
        ensure!(leader(&p1)? == before, "the leader was {before:?}, is {:?}", leader(&p1)?);
        Ok(())
    };
    host.case("one that the release before has started is taken over", || {
        // What it recorded are the lines after the first: the same text without the part that is new.
        host.ok(&format!("{STATE_OF}; sed -i 1d {state} && head -1 {state} | grep -x VERSION=1 && main=$(systemctl show -P MainPID container@p1) && cat {state} >$(state_of $main) && {kill}"))?;
        let main = "$(systemctl show -P MainPID container@p1)";
        host.wait_until(SOON, &format!("{STATE_OF}; head -1 $(state_of {main}) | grep '^{{'"))?;
        is_same()?;
        works(&p1, "word-of-before")?;
        host.ok("containerctl audit p1").map(drop)
    });
    host.case("a state of a later release is left to that, with all that is kept", || {
        let later = "{\"version\":9,\"readable_from\":9,\"later\":true}";
        host.ok(&format!("{STATE_OF}; cp {state} /srv/state; main=$(systemctl show -P MainPID container@p1); echo '{later}' >{state}; echo '{later}' >$(state_of $main); {kill}"))?;
        p1.becomes("failed")?;
        let status = p1.property("StatusText")?;
        ensure!(status.contains("has format 9 of a newer containerctl; this one reads up to 2"), "{status}");
        ensure!(status.contains("systemctl stop machine-p1.scope"), "{status}");
        ensure!(p1.property("ExecMainStatus")? == "69", "{}", p1.property("ExecMainStatus")?);
        host.ok("systemctl is-active machine-p1.scope && systemd-analyze fdstore container@p1.service | grep -w leader")?;
        is_same()?;
        let told = host.fails("containerctl attach p1 -- true </dev/null")?;
        ensure!(told.code == 69 && told.stderr.contains("format 9"), "{told}");
        host.fails("containerctl destroy p1")?;
        is_same()
    });
    host.case("a program that can read it takes the container over", || {
        host.ok(&format!("{STATE_OF}; cp /srv/state {state}; cat /srv/state >$(state_of 1)"))?;
        host.ok("systemctl reset-failed container@p1; systemctl start container@p1")?;
        is_same()?;
        works(&p1, "word-of-later")?;
        p1.stop()?;
        p1.is_gone()
    });
    host.finish()
}
