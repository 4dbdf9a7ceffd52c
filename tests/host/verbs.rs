//! The verbs of a container's day: what each does, for one and for several at once.

use std::time::{Duration, Instant};

use crate::container::{Container, SOON};
use crate::harness::Result;

/// Counts in /count without end.
const COUNT: &str = "i=0; while :; do i=$((i+1)); echo $i >/count; sleep 0.05; done";

#[test]
fn freeze_and_kill_reach_the_payload() -> Result<()> {
    let host = boot!();
    let p1 = Container::running(&host, "p1", COUNT)?;
    p1.start()?;
    host.wait_until(SOON, &format!("test -s {}/count", p1.root()))?;
    let counts = || -> Result<bool> {
        let before = p1.read("/count")?;
        std::thread::sleep(Duration::from_millis(400));
        Ok(p1.read("/count")? != before)
    };
    host.case("a frozen container stands still, and is shown so", || {
        host.ok("containerctl freeze p1")?;
        ensure!(!counts()?, "it goes on");
        host.ok("containerctl list | grep -E '^p1 +frozen '")?;
        host.ok("containerctl info p1 --json | jq -e '.state == \"frozen\" and .leader > 1'")?;
        host.ok("systemctl show -p FreezerState machine-p1.scope | grep -x FreezerState=frozen")?;
        host.ok("containerctl freeze p1").map(drop)
    });
    host.case("thawed, it goes on where it was", || {
        host.ok("containerctl thaw p1")?;
        ensure!(counts()?, "it stands still");
        host.ok("containerctl list | grep -E '^p1 +running '")?;
        host.ok("containerctl thaw p1").map(drop)
    });
    host.case("what systemctl freezes is the same", || {
        host.ok("systemctl freeze machine-p1.scope && containerctl list | grep -E '^p1 +frozen '")?;
        host.ok("containerctl thaw p1 && containerctl list | grep -E '^p1 +running '").map(drop)
    });
    host.case("frozen by its slice it is thawed there, and the verbs say so", || {
        host.ok("systemctl freeze machine-p1.slice && containerctl list | grep -E '^p1 +frozen '")?;
        let output = host.fails("containerctl thaw p1")?;
        ensure!(output.code == 75 && output.stderr.contains("'systemctl thaw machine-p1.slice'"), "{output}");
        host.ok("timeout 20 containerctl stop p1 && containerctl start p1")?;
        host.ok("systemctl thaw machine-p1.slice && containerctl list | grep -E '^p1 +running '").map(drop)
    });
    host.case("kill sends the leader the signal that was named, and all only if asked", || {
        p1.stop()?;
        p1.write(
            "/script",
            "trap 'echo leader >>/marks' USR1\n(trap 'echo child >>/marks' USR1; while :; do sleep 0.1; done) &
            touch /ready; while :; do sleep 0.1; done",
        )?;
        let marks = |wanted: &str| format!("sort -u {}/marks | tr '\\n' ' ' | grep -x '{wanted}'", p1.root());
        p1.start()?;
        host.wait_until(SOON, &format!("test -e {}/ready", p1.root()))?;
        host.ok("sleep 0.3; containerctl kill p1 --signal USR1")?;
        host.wait_until(SOON, &marks("leader "))?;
        // The sleep that a shell waits for has no handler, and ends by it.
        host.ok("containerctl kill p1 --signal SIGUSR1 --whom all")?;
        host.wait_until(SOON, &marks("child leader "))?;
        host.ok("containerctl list | grep -E '^p1 +running '").map(drop)
    });
    host.case("without a name it is SIGTERM, and KILL ends it as a failure", || {
        host.ok("containerctl kill p1")?;
        host.ok("containerctl list | grep -E '^p1 +running '")?;
        host.ok("containerctl kill p1 --signal 9")?;
        p1.becomes("failed")?;
        p1.is_gone()
    });
    host.case("a container that is not running, a signal that is none", || {
        for (verb, code) in [("freeze p1", 66), ("thaw p1", 66), ("kill p1", 66), ("kill p1 --whom all", 66)]
        {
            let output = host.fails(&format!("containerctl {verb}"))?;
            ensure!(output.code == code && output.stderr.contains("'p1' is not running"), "{verb}: {output}");
            ensure!(output.stderr.lines().count() == 1, "{verb}: {output}");
        }
        let output = host.fails("containerctl kill p1 --signal SIGNAL")?;
        ensure!(output.code == 78 && output.stderr.contains("'SIGNAL' is not a signal"), "{output}");
        ensure!(host.fails("containerctl kill p1 --whom me")?.code == 2, "another code");
        Ok(())
    });
    host.finish()
}

#[test]
fn several_are_started_and_stopped_at_once() -> Result<()> {
    let host = boot!();
    let slow = "trap 'sleep 2; exit 0' TERM; while :; do sleep 0.1; done";
    let all: Vec<Container> = ["a", "b", "c"]
        .into_iter()
        .map(|name| Container::running(&host, name, slow))
        .collect::<Result<_>>()?;
    let [a, b, _] = all[..] else { unreachable!() };
    let states = |wanted: &str| -> Result<()> {
        let seen = host.ok("containerctl list --json | jq -r 'map(.state) | join(\" \")'")?;
        ensure!(seen.trim() == wanted, "they are {seen}");
        Ok(())
    };
    host.case("all that are named start, and one that is missing does not hold the others up", || {
        let output = host.fails("containerctl start a nosuch b a c")?;
        ensure!(output.code == 66 && output.stderr.lines().count() == 1, "{output}");
        ensure!(output.stderr.contains("'nosuch'"), "{output}");
        states("running running running")
    });
    host.case("they stop side by side", || {
        let began = Instant::now();
        host.ok("sleep 0.3; containerctl stop a b c")?;
        // One after the other it would be six seconds, however fast the machine is.
        ensure!(began.elapsed() < Duration::from_secs(6), "it took {:?}", began.elapsed());
        states("stopped stopped stopped")?;
        all.iter().try_for_each(Container::is_gone)
    });
    host.case("the exit code is that of the first that failed, and each is told", || {
        b.define("[Exec]\nBoot=perhaps\n")?;
        let output = host.fails("containerctl start a b nosuch")?;
        ensure!(output.code == 78 && output.stderr.lines().count() == 2, "{output}");
        ensure!(output.stderr.contains("b.conf:2:6") && output.stderr.contains("'nosuch'"), "{output}");
        let output = host.fails("containerctl start nosuch b a")?;
        ensure!(output.code == 66, "{output}");
        states("running failed stopped")
    });
    host.case("restart gives a new leader, and starts what does not run", || {
        let leader = a.leader()?;
        host.ok("containerctl restart a c")?;
        ensure!(a.leader()? != leader, "the same leader {leader}");
        states("running failed running")
    });
    host.case("--no-wait asks and leaves", || {
        host.ok("sleep 0.3; containerctl stop a c --no-wait")?;
        states("stopping failed stopping")?;
        host.wait_until(
            SOON,
            "containerctl list --json | jq -e 'map(.state) == [\"stopped\", \"failed\", \"stopped\"]'",
        )
    });
    host.case("--timeout kills what is too slow, and says so", || {
        a.write("/script", "trap 'touch /asked' TERM; touch /ready; while :; do sleep 0.1; done")?;
        a.start()?;
        host.wait_until(SOON, &format!("test -e {}/ready", a.root()))?;
        let output = host.run("sleep 0.3; containerctl stop a c --timeout 1")?;
        ensure!(output.code == 0 && output.stderr.lines().count() == 1, "{output}");
        ensure!(output.stderr.contains("'a'") && output.stderr.contains("killed"), "{output}");
        host.ok(&format!("test -e {}/asked", a.root()))?;
        ensure!(a.property("Result")? == "success", "result {}", a.property("Result")?);
        a.is_gone()
    });
    host.case("what takes long is shown on a terminal, and in a log by a line now and then", || {
        let stop = |seconds: u32| format!("containerctl stop a --timeout {seconds}");
        let start = || {
            host.ok(&format!("rm -f {}/ready", a.root()))?;
            a.start()?;
            host.wait_until(SOON, &format!("test -e {}/ready", a.root()))
        };
        start()?;
        let shown = host.ok(&format!("script -qec '{}' /dev/null", stop(3)))?;
        ensure!(shown.contains("stopping: waiting for 'a' ") && shown.contains(" 0/1 "), "{shown:?}");
        start()?;
        let output = host.run(&stop(12))?;
        let line = "containerctl: stopping: waiting for 'a', 0 of 1 done";
        ensure!(output.stdout.is_empty(), "{output}");
        ensure!(output.stderr.lines().filter(|told| *told == line).count() == 1, "{output}");
        Ok(())
    });
    host.case("--kill asks nobody", || {
        host.ok(&format!("rm {0}/asked {0}/ready", a.root()))?;
        a.start()?;
        host.wait_until(SOON, &format!("test -e {}/ready", a.root()))?;
        host.ok("sleep 0.3; containerctl stop a --kill")?;
        host.fails(&format!("test -e {}/asked", a.root()))?;
        ensure!(a.property("Result")? == "success", "result {}", a.property("Result")?);
        ensure!(a.property("NRestarts")? == "0", "restarts {}", a.property("NRestarts")?);
        a.is_gone()?;
        host.ok("containerctl stop a --kill").map(drop)
    });
    host.case("--kill in the middle of a start leaves nothing either", || {
        for millis in [0, 10, 20, 40, 60] {
            let seconds = f64::from(millis) / 1000.0;
            host.ok(&format!(
                "systemctl start --no-block container@a; sleep {seconds}; containerctl stop a --kill"
            ))?;
            a.is_gone()?;
        }
        Ok(())
    });
    host.case("options that contradict each other, and names that are none", || {
        for line in ["stop a --kill --no-wait", "stop a --kill --timeout 1", "stop", "stop a --timeout x"] {
            let output = host.fails(&format!("containerctl {line}"))?;
            ensure!(output.code == 2, "{line}: {output}");
        }
        let output = host.fails("containerctl start c 'b c'")?;
        ensure!(output.code == 78 && output.stderr.contains("'b c' is not a machine name"), "{output}");
        states("stopped failed stopped")
    });
    host.finish()
}
