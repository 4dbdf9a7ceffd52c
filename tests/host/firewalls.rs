//! Firewalls of the host's that keep containers from names, from DHCP or from the world: `check` names the one that does,
//! and the command that it prints mends it.

use std::time::Duration;

use crate::container::{Container, SOON};
use crate::harness::{Host, Result};

/// A firewall in Python needs a moment.
const STARTED: Duration = Duration::from_secs(30);

/// The row of `check` that is about names, DHCP or forwarding, as `STATE FOUND HINT`.
fn row(host: &Host, what: &str) -> Result<String> {
    let filter = format!(
        ".[] | select(.what | test(\"{what}\")) | [(.found | if type == \"string\" then . else to_entries[] | .key, .value end), .hint] | join(\"|\")"
    );
    Ok(host.ok(&format!("containerctl check --json | jq -r '{filter}'"))?.trim().to_owned())
}

const NAMES: &str = "name server gets";
const DHCP: &str = "DHCP server gets";
const WORLD: &str = "are forwarded";

/// Carries out the command that `check` prints for a row that is wrong.
fn mend(host: &Host, what: &str) -> Result<()> {
    let row = row(host, what)?;
    let command = row.rsplit('|').next().unwrap_or_default();
    ensure!(row.starts_with("missing|") && !command.is_empty(), "{row}");
    host.ok(command).map(drop)
}

fn all_well(host: &Host) -> Result<()> {
    for what in [NAMES, DHCP, WORLD] {
        let row = row(host, what)?;
        ensure!(row.starts_with("ok|"), "{what}: {row}");
    }
    Ok(())
}

/// Checks that nothing made for the probe is left.
fn nothing_is_left(host: &Host) -> Result<()> {
    host.fails("ip -o link | grep ctl0-")?;
    host.fails("nft list tables | grep containerctl_probe").map(drop)
}

/// Rules of the shapes that ufw, firewalld, Docker and administrators make: the hook, and all that is in the chain.
const ESTABLISHED: &str = "ct state established,related accept; iif lo accept; tcp dport 22 accept;";

#[test]
fn check_names_the_rules_that_keep_containers_from_names_and_the_world() -> Result<()> {
    let host = boot!();
    host.case("before the first container", || {
        all_well(&host)?;
        host.fails("ip link show ctl0")?;
        nothing_is_left(&host)
    });
    let p1 = Container::busybox(&host, "p1")?;
    p1.start()?;
    host.wait_until(SOON, "systemctl is-active containerctl-names")?;
    host.case("with a container, which it does not disturb", || {
        let before = host.ok("ip -o addr show dev ctl0; nft list ruleset | grep -v packets")?;
        all_well(&host)?;
        nothing_is_left(&host)?;
        let after = host.ok("ip -o addr show dev ctl0; nft list ruleset | grep -v packets")?;
        ensure!(after == before, "before\n{before}\nafter\n{after}");
        Ok(())
    });
    for (shape, hook, rules, wrong) in [
        ("deny incoming", "input", format!("policy drop; {ESTABLISHED}"), [NAMES, DHCP].as_slice()),
        (
            "reject at the end",
            "input",
            format!("policy accept; {ESTABLISHED} reject with icmpx admin-prohibited;"),
            &[NAMES, DHCP],
        ),
        ("no DHCP", "input", "policy accept; udp dport 67 drop;".to_string(), &[DHCP]),
        ("forwarded, reject", "forward", format!("policy accept; {ESTABLISHED} reject;"), &[WORLD]),
        ("forwarded, drop", "forward", "policy drop;".to_string(), &[WORLD]),
        ("accepts the bridge", "input", "policy drop; iifname \"ctl0\" accept;".to_string(), &[]),
        ("accepts it by a pattern", "input", "policy drop; iifname \"ct*\" accept;".to_string(), &[]),
    ] {
        host.case(shape, || {
            host.ok(&format!(
                "nft 'destroy table inet labfw; table inet labfw {{ chain theirs {{ type filter hook {hook} priority 10; {rules} }}; }}'"
            ))?;
            for what in [NAMES, DHCP, WORLD] {
                let row = row(&host, what)?;
                match wrong.contains(&what) {
                    true => ensure!(row.starts_with("missing|dropped by inet labfw theirs|"), "{what}: {row}"),
                    false => ensure!(row.starts_with("ok|"), "{what}: {row}"),
                }
            }
            if let Some(what) = wrong.first() {
                mend(&host, what)?;
                all_well(&host)?;
            }
            host.ok("nft delete table inet labfw").map(drop)
        });
    }
    host.case("forwarding is off", || {
        host.ok("sysctl -qw net.ipv4.ip_forward=0")?;
        let row = row(&host, WORLD)?;
        ensure!(row.contains("the host does not forward packets"), "{row}");
        mend(&host, WORLD)?;
        all_well(&host)
    });
    host.case("somebody else's ctl0", || {
        p1.stop()?;
        host.ok("ip link del ctl0; ip link add ctl0 type bridge")?;
        ensure!(row(&host, NAMES)?.contains("is an interface that is not ours"), "{}", row(&host, NAMES)?);
        host.ok("ip link show ctl0 && ip link del ctl0").map(drop)
    });
    host.finish()
}

#[test]
fn real_firewalls_are_mended_by_the_command_that_check_prints() -> Result<()> {
    let host = boot!("--packages", crate::stock::MANAGERS);
    host.ok("systemctl disable -q --now ufw firewalld NetworkManager dhcpcd named 2>&1; nft flush ruleset")?;
    let p1 = Container::busybox(&host, "p1")?;
    p1.start()?;
    host.wait_until(SOON, "systemctl is-active containerctl-names")?;
    for (firewall, begin, end) in [
        ("ufw", "ufw --force enable", "ufw --force reset; ufw disable"),
        ("firewalld", "systemctl start firewalld", "systemctl stop firewalld"),
        (
            "iptables",
            "iptables -P INPUT DROP; iptables -P FORWARD DROP",
            "iptables -F; iptables -P INPUT ACCEPT; iptables -P FORWARD ACCEPT",
        ),
    ] {
        host.case(firewall, || {
            host.ok(begin)?;
            host.wait_until(STARTED, "nft list ruleset | grep -iE 'policy drop|reject|firewalld'")?;
            ensure!(row(&host, NAMES)?.starts_with("missing|"), "{}", row(&host, NAMES)?);
            mend(&host, NAMES)?;
            if !row(&host, WORLD)?.starts_with("ok|") {
                mend(&host, WORLD)?;
            }
            all_well(&host)?;
            p1.inside("nslookup p1.ctl.internal | grep 10.")?;
            host.ok(end).map(drop)
        });
    }
    host.finish()
}
