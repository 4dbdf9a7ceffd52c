//! Many verbs at once on the same containers, and verbs while everything around them is restarted.

use std::fs;
use std::time::Duration;

use crate::container::Container;
use crate::harness::{Host, Result};

/// A container that is up at once and ends at once, as often as one likes.
fn quick<'a>(host: &'a Host, name: &'a str) -> Result<Container<'a>> {
    let script = "trap 'exit 0' TERM; trap : WINCH; while :; do sleep 0.1; done";
    let container = Container::running(host, name, script)?;
    container.define("[Exec]\nBoot=no\nParameters=/bin/sh /script\n[Unit]\nStartLimitIntervalSec=0\n")?;
    Ok(container)
}

/// REL-10: random verbs of 32 clients.
#[test]
fn clients_at_once_come_to_an_end_and_to_an_order() -> Result<()> {
    let host = boot!();
    let names = ["a", "b", "c"];
    let all = names.into_iter().map(|name| quick(&host, name)).collect::<Result<Vec<_>>>()?;
    fs::write(host.path("/srv/clients.py")?, include_str!("clients.py"))?;
    host.case("of 32 clients none waits for ever, and none gets an answer that is not documented", || {
        let run = host.run_within(Duration::from_secs(100), "python3 /srv/clients.py 32 15 a b c")?;
        ensure!(run.code == 0 && run.stdout.lines().count() == 1, "{run}");
        eprintln!("{}", run.stdout.trim());
        Ok(())
    });
    host.case("afterwards each can be started and stopped, and nothing is left", || {
        host.ok("systemctl list-jobs --no-legend | (! grep container)")?;
        host.ok("containerctl stop --all && containerctl start a b c")?;
        host.ok("containerctl list --json | jq -e 'all(.state == \"running\")'")?;
        host.ok("containerctl stop --all")?;
        all.iter().try_for_each(Container::is_gone)
    });
    host.finish()
}

/// REL-2: restarts of systemd's parts during verbs.
#[test]
fn what_is_restarted_around_verbs_is_not_noticed() -> Result<()> {
    let host = boot!();
    host.ok("for unit in dbus systemd-machined; do mkdir -p /run/systemd/system/$unit.service.d &&
        printf '[Unit]\\nStartLimitIntervalSec=0\\n' >/run/systemd/system/$unit.service.d/often.conf; done")?;
    let p1 = quick(&host, "p1")?;
    let p2 = quick(&host, "p2")?;
    p2.start()?;
    let leader = p2.leader()?;
    for (what, command) in [
        ("daemon-reload", "systemctl daemon-reload"),
        ("daemon-reexec", "systemctl daemon-reexec"),
        ("the bus", "systemctl restart dbus"),
        ("machined, killed", "systemctl kill -s KILL systemd-machined"),
        (
            "machined, masked",
            "systemctl mask --runtime --now systemd-machined; sleep 0.2; systemctl unmask --runtime systemd-machined",
        ),
    ] {
        host.case(&format!("verbs go on during a restart: {what}"), || {
            let verbs = "for i in 1 2; do containerctl start p1 && containerctl restart p1 && containerctl stop p1 || exit 1; done";
            host.ok(&format!("({verbs}) & for i in 1 2 3 4; do sleep 0.15; {command} || true; done; wait $!"))?;
            ensure!(p2.property("NRestarts")? == "0", "p2 restarted {} times", p2.property("NRestarts")?);
            p1.is_gone()
        });
    }
    host.case("no machine was registered twice, and the other one has not noticed", || {
        host.fails("journalctl -b -o cat | grep -i 'already exists'")?;
        host.ok("systemctl start systemd-machined; containerctl list --json | jq -e 'map(.state) == [\"stopped\", \"running\"]'")?;
        host.ok(&format!("containerctl info p2 --json | jq -e '.leader == {leader}'"))?;
        p2.stop()?;
        p2.is_gone()
    });
    host.finish()
}
