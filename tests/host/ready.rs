//! `NotifyReady=network`: a start that counts as one once there is an address.

use crate::container::{Container, SOON};
use crate::harness::{Host, Result};

/// Gives itself an address once it may, as a guest's DHCP client does after a while.
const ASKS: &str =
    "ip link set host0 up; until test -e /go; do sleep 0.1; done; ip addr add 192.0.2.5/24 dev host0
    trap 'exit 0' TERM; while :; do sleep 1000 & wait; done\n";

/// Asks a DHCP server, as a guest does.
const LEASES: &str = "ip link set host0 up; trap 'exit 0' TERM
    udhcpc -f -i host0 -s /dhcp & while :; do sleep 1000 & wait $!; done\n";

/// What it does with an answer.
const ON_LEASE: &str = "#!/bin/sh
    [ \"$1\" = bound ] || exit 0
    ip addr add $ip/$mask dev $interface && ip route add default via $router\n";

const WAITS: &str = "systemctl show -p ActiveState -p StatusText container@p1 | tr '\\n' ' ' |
    grep 'activating' | grep 'waiting for an address'";

/// A container of a link that nobody gives an address from outside.
fn asking<'a>(host: &'a Host, name: &'a str) -> Result<Container<'a>> {
    let container = Container::running(host, name, ASKS)?;
    container.define(
        "[Exec]\nBoot=no\nParameters=/bin/sh /script\nNotifyReady=network\n[Network]\nVirtualEthernet=yes\n",
    )?;
    Ok(container)
}

#[test]
fn a_start_can_wait_for_an_address() -> Result<()> {
    let host = boot!();
    let p1 = asking(&host, "p1")?;
    host.case("in the managed network there is nothing to wait for", || {
        let p2 = Container::defined(&host, "p2", "[Exec]\nNotifyReady=network\n")?;
        p2.start()?;
        ensure!(p2.property("StatusText")? == "Container running.", "{}", p2.property("StatusText")?);
        host.ok("containerctl list p2 | grep '^p2 *running *10[.]'")?;
        p2.stop()
    });
    host.case("an address that comes later is waited for, and a link-local address does not count", || {
        host.ok("systemctl start --no-block container@p1")?;
        host.wait_until(SOON, WAITS)?;
        host.ok("sleep 2.5; ip -6 addr show dev ve-p1 | grep fe80")?;
        host.ok(WAITS)?;
        p1.write("/go", "")?;
        p1.becomes("active")?;
        ensure!(p1.property("StatusText")? == "Container running.", "{}", p1.property("StatusText")?);
        host.ok("containerctl info p1 | grep -F 192.0.2.5").map(drop)
    });
    host.case(
        "one that DHCP gives, as in a zone, is one, and the host knows the container's name by it",
        || {
            let p3 = Container::running(&host, "p3", LEASES)?;
            p3.write("/dhcp", ON_LEASE)?;
            host.ok(&format!("chmod +x {}/dhcp", p3.root()))?;
            p3.define(
                "[Exec]\nBoot=no\nParameters=/bin/sh /script\nNotifyReady=network\n[Network]\nZone=z\n",
            )?;
            p3.start()?;
            let address =
                p3.inside("ip -4 -o addr show dev host0 scope global | sed 's/.*inet //; s,/.*,,'")?;
            ensure!(!address.trim().is_empty(), "no address, and yet it is started");
            host.ok(&format!("containerctl info p3 | grep -F {}", address.trim()))?;
            host.ok(&format!("getent ahostsv4 p3 | grep -F {}", address.trim()))?;
            host.ok(&format!("networkctl status vz-z | grep -F {}", address.trim()))?;
            p3.inside("ping -c 1 -W 5 $(ip route | sed -n 's/^default via \\([0-9.]*\\).*/\\1/p')")?;
            p3.stop()?;
            p3.is_gone()
        },
    );
    host.case("once it was ready it is, whoever takes over", || {
        host.ok("ip link set ve-p1 down; systemctl reload container@p1; systemctl kill -s KILL --kill-whom=main container@p1")?;
        p1.becomes("active")?;
        p1.stop()?;
        p1.is_gone()
    });
    host.case("who takes over in between goes on waiting", || {
        host.ok(&format!("rm {}/go", p1.root()))?;
        host.ok("systemctl start --no-block container@p1")?;
        host.wait_until(SOON, WAITS)?;
        let leader = p1.leader()?;
        let pid = p1.property("MainPID")?;
        host.ok("systemctl kill -s KILL --kill-whom=main container@p1")?;
        host.wait_until(
            SOON,
            &format!("{WAITS} && test \"$(systemctl show --value -p MainPID container@p1)\" -gt {pid}"),
        )?;
        p1.write("/go", "")?;
        p1.becomes("active")?;
        ensure!(p1.leader()? == leader, "the leader was {leader}, is {}", p1.leader()?);
        p1.stop()
    });
    host.case("the unit's time limit holds, and says what there was to wait for", || {
        host.ok(&format!("rm {}/go", p1.root()))?;
        host.ok("mkdir -p /run/systemd/system/container@p1.service.d
            printf '[Service]\\nTimeoutStartSec=2s\\nRestart=no\\n' >/run/systemd/system/container@p1.service.d/limit.conf; systemctl daemon-reload")?;
        let output = host.run("containerctl start p1; echo $?")?;
        let told = output.stdout.trim() == "124"
            && output.stderr.contains("no interface of the container had an address")
            && output.stderr.lines().count() == 1;
        ensure!(told, "{output}");
        p1.is_gone()
    });
    host.case("without a link it would wait for ever, and is refused", || {
        p1.define("[Exec]\nNotifyReady=network\n[Network]\nVirtualEthernet=no\n")?;
        host.run("systemctl reset-failed container@p1")?;
        let output = host.fails("containerctl start p1")?;
        ensure!(
            output.code == 78 && output.stderr.contains("p1.conf:2: NotifyReady=: the container has no link"),
            "{output}"
        );
        let output = host.fails("containerctl config set p1 NotifyReady=soon")?;
        ensure!(
            output.code == 78 && output.stderr.contains("'soon' is neither yes, no nor network"),
            "{output}"
        );
        p1.is_gone()
    });
    host.finish()
}
