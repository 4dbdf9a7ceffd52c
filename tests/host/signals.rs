//! Which signal reaches a container's init by which verb. The init is a script that writes down what it gets.

use crate::container::{Container, SOON};
use crate::harness::{Host, Result};

/// Ends with the first signal, and writes its number down: those that ask any init for something.
const INIT: &str = "#!/bin/sh
for s in 1 2 3 10 12 15 18 30 37 38 39; do trap \"echo $s >>/marks; exit 0\" $s; done
touch /ready
while :; do sleep 0.1; done
";

/// Puts the script at `file`, and makes /sbin/init lead there.
fn with_init<'a>(host: &'a Host, name: &'a str, file: &str) -> Result<Container<'a>> {
    let container = Container::busybox(host, name)?;
    let root = container.root();
    host.ok(&format!("cd {root} && rm -f sbin/init usr/sbin/init && mkdir -p $(dirname .{file})"))?;
    container.write(file, INIT)?;
    host.ok(&format!("cd {root} && chmod 0755 .{file} && test -e sbin/init || ln -s {file} sbin/init"))?;
    Ok(container)
}

/// The signals that the script got by `command`, which ends it.
fn got_by(container: &Container, command: &str) -> Result<String> {
    let (host, root) = (container.host, container.root());
    host.ok(&format!(
        "rm -f {root}/marks {root}/ready; systemctl reset-failed {} || true",
        container.unit()
    ))?;
    container.start()?;
    host.wait_until(SOON, &format!("test -e {root}/ready"))?;
    host.run(command)?;
    let over = format!(
        "rm -f {root}/ready.old; containerctl wait {} --state 'stopped|failed|running' --timeout 20 && test -s {root}/marks || ! systemctl is-active {}",
        container.name,
        container.unit()
    );
    host.wait_until(SOON, &over)?;
    Ok(host.ok(&format!("cat {root}/marks 2>/dev/null | tr '\\n' ' '"))?.trim().to_string())
}

#[test]
fn each_init_gets_the_signal_that_it_understands() -> Result<()> {
    let host = boot!();
    for (name, file, signal) in [
        ("systemd", "/usr/lib/systemd/systemd", "38"),
        ("openrc", "/sbin/openrc-init", "15"),
        ("runit", "/sbin/runit-init", "18"),
        ("busybox", "/opt/busybox", "12"),
        ("sysv", "/sbin/init", "30"),
    ] {
        host.case(&format!("{name} is asked to power off by signal {signal}, once"), || {
            let guest = with_init(&host, name, file)?;
            let got = got_by(&guest, &format!("containerctl stop {name}"))?;
            ensure!(got == signal, "it got '{got}'");
            ensure!(guest.property("Result")? == "success", "result {}", guest.property("Result")?);
            guest.is_gone()
        });
    }
    let p1 = Container { host: &host, name: "sysv" };
    for (command, signals) in [
        ("systemctl stop container@sysv", "30"),
        ("systemctl kill container@sysv", "30"),
        ("containerctl restart sysv", "30"),
        ("systemctl restart container@sysv", "30"),
        ("containerctl stop sysv --timeout 30", "30"),
        ("containerctl stop sysv --kill", ""),
        ("containerctl kill sysv", "15"),
        ("containerctl kill sysv --signal SIGRTMIN+3", "37"),
        ("containerctl kill sysv --whom all --signal HUP", "1"),
        ("systemctl kill -s USR1 machine-sysv.scope", "10"),
        ("machinectl poweroff sysv", "38"),
        ("machinectl reboot sysv", "2"),
        ("machinectl kill sysv --kill-whom=leader -s QUIT", "3"),
        ("machinectl terminate sysv", ""),
    ] {
        host.case(&format!("'{command}' sends '{signals}'"), || {
            let got = got_by(&p1, command)?;
            host.run("containerctl stop sysv --kill")?;
            ensure!(got == signals, "it got '{got}'");
            p1.is_gone()
        });
    }
    host.case("KillSignal= has the last word", || {
        p1.define("[Exec]\nKillSignal=SIGRTMIN+3\n")?;
        let got = got_by(&p1, "containerctl stop sysv")?;
        ensure!(got == "37", "it got '{got}'");
        p1.is_gone()
    });
    host.finish()
}
