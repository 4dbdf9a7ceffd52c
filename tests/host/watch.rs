//! Waiting for states and watching them change.

use crate::container::{Container, SOON};
use crate::harness::Result;

#[test]
fn changes_are_told_as_they_happen() -> Result<()> {
    let host = boot!();
    let quick = "trap 'exit 0' TERM; while :; do sleep 0.1; done";
    let p1 = Container::running(&host, "web-1", quick)?;
    let other = Container::busybox(&host, "other")?;
    host.case("wait ends at once where it is so already", || {
        host.ok("containerctl wait web-1 --state stopped")?;
        p1.start()?;
        host.ok("containerctl wait web-1 && containerctl wait web-1 --state 'STOPPED|RUNNING'").map(drop)
    });
    host.case("wait ends when it becomes so", || {
        for (change, state) in [
            ("containerctl freeze web-1", "frozen"),
            ("containerctl thaw web-1", "running"),
            ("systemctl stop container@web-1", "stopped"),
            ("systemctl start container@web-1", "running"),
            ("systemctl restart container@web-1", "stopping|starting"),
            ("kill -KILL $(machinectl show -p Leader --value web-1)", "failed"),
        ] {
            host.ok("containerctl wait web-1 --state 'running|stopped|frozen' --timeout 20")?;
            let wait = format!("containerctl wait web-1 --state '{state}' --timeout 20");
            host.ok(&format!("{wait} & sleep 0.2; {change}; wait $!"))?;
        }
        Ok(())
    });
    host.case("wait has a limit, and says what the state is", || {
        let said = host.ok("containerctl wait web-1 --state running --timeout 1 2>&1; test $? = 124")?;
        ensure!(said.lines().count() == 1 && said.contains("'web-1' is failed"), "{said}");
        let output = host.fails("containerctl wait web-1 --state thawed")?;
        ensure!(
            output.code == 78 && output.stderr.contains("'thawed'") && output.stderr.contains("frozen"),
            "{output}"
        );
        Ok(())
    });
    host.case("no change is missed between looking and listening", || {
        // A stop that ends while wait begins is seen, whichever of the two is first.
        for millis in [0, 2, 4, 8, 16] {
            p1.start()?;
            let seconds = f64::from(millis) / 1000.0;
            host.ok(&format!("systemctl stop --no-block container@web-1; sleep {seconds}; containerctl wait web-1 --state stopped --timeout 20"))?;
        }
        Ok(())
    });
    host.case("monitor prints a life in order, of those that match", || {
        host.ok("systemd-run -q --unit=monitor -p StandardOutput=file:/srv/monitor containerctl monitor 'web-*' --json
            systemd-run -q --unit=all -p StandardOutput=file:/srv/all containerctl monitor; sleep 0.5")?;
        host.ok("containerctl start web-1 && containerctl freeze web-1 && containerctl thaw web-1 && containerctl stop web-1")?;
        host.ok("containerctl start other")?;
        host.wait_until(SOON, "grep -x 'other starting -> running' /srv/all")?;
        let lived = "stopped-starting starting-running running-frozen frozen-running running-stopping stopping-stopped";
        let seen = host.ok("jq -rs 'map(select(.name == \"web-1\" and .time_usec > 0) | .previous + \"-\" + .state) | join(\" \")' /srv/monitor")?;
        ensure!(seen.trim() == lived, "seen {seen}");
        host.fails("grep other /srv/monitor").map(drop)
    });
    host.case("monitor goes on over a restart of the bus and of systemd", || {
        host.ok("systemctl daemon-reload; systemctl daemon-reexec; systemctl restart dbus; sleep 1")?;
        other.stop()?;
        host.wait_until(SOON, "grep -x 'other stopping -> stopped' /srv/all")?;
        ensure!(host.ok("grep -c other /srv/all")?.trim() == "4", "{}", host.ok("cat /srv/all")?);
        host.ok("systemctl is-active all && systemctl stop all monitor").map(drop)
    });
    host.case("monitor ends well when nobody reads it", || {
        host.ok("containerctl monitor | head -n 1 >/srv/one & sleep 0.3; containerctl start other; containerctl stop other; containerctl start other; wait; grep other /srv/one")
            .map(drop)
    });
    host.finish()
}
