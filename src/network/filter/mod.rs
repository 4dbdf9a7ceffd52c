//! The packet filter: tables of our own in the families bridge, inet and netdev, and nobody else's touched.
//!
//! Whatever is added for a container, it and how to take it back are written into its run-time directory first: so it
//! goes whoever dies. All of it is idempotent, base chains included, for somebody may have flushed the whole rule set:
//! then the next start, or `containerctl network restore`, puts back what all running containers had.

/// What other people's rules do.
pub mod foreign;
/// What a container may send.
pub mod guard;
/// nft(8).
pub mod nft;
/// Ports of the host that lead into containers.
pub mod ports;
/// Limits of bandwidth.
pub mod rates;
/// What was added for whom.
pub mod record;
/// What is there.
mod signs;

use std::fs;
use std::net::IpAddr;

use self::record::Rules;
use super::managed::BRIDGE;
use super::wiring::{Driver, Wire};
use crate::config::network::Port;
use crate::error::{Context, Error, Result};
use crate::name::MachineName;
use crate::paths::Root;

/// The name of each table of ours.
pub const TABLE: &str = "containerctl";

/// The tables and their chains, made or made anew. networkd masquerades, too; but what it has added somebody may flush,
/// and it adds it no more before it is started again.
fn base() -> String {
    format!(
        "add table bridge {TABLE}
add map bridge {TABLE} ports {{ type ifname : verdict; }}
add set bridge {TABLE} members {{ type ifname; }}
add set bridge {TABLE} isolated {{ type ifname; }}
add chain bridge {TABLE} prerouting {{ type filter hook prerouting priority -350; policy accept; }}
add chain bridge {TABLE} forward {{ type filter hook forward priority -350; policy accept; }}
flush chain bridge {TABLE} prerouting
flush chain bridge {TABLE} forward
add rule bridge {TABLE} prerouting iifname vmap @ports
add rule bridge {TABLE} forward iifname @isolated oifname @members drop
add rule bridge {TABLE} forward oifname @isolated iifname @members drop
add table inet {TABLE}
add map inet {TABLE} dnat4 {{ type inet_proto . inet_service : ipv4_addr . inet_service; }}
add map inet {TABLE} dnat6 {{ type inet_proto . inet_service : ipv6_addr . inet_service; }}
add set inet {TABLE} itself4 {{ type ipv4_addr . ipv4_addr; }}
add set inet {TABLE} itself6 {{ type ipv6_addr . ipv6_addr; }}
add set inet {TABLE} isolated4 {{ type ipv4_addr; }}
add set inet {TABLE} isolated6 {{ type ipv6_addr; }}
add chain inet {TABLE} prerouting {{ type nat hook prerouting priority dstnat - 5; policy accept; }}
add chain inet {TABLE} output {{ type nat hook output priority dstnat - 5; policy accept; }}
add chain inet {TABLE} postrouting {{ type nat hook postrouting priority srcnat - 5; policy accept; }}
add chain inet {TABLE} forward {{ type filter hook forward priority filter - 5; policy accept; }}
flush chain inet {TABLE} prerouting
flush chain inet {TABLE} output
flush chain inet {TABLE} postrouting
flush chain inet {TABLE} forward
add rule inet {TABLE} prerouting fib daddr type local dnat ip to meta l4proto . th dport map @dnat4
add rule inet {TABLE} prerouting fib daddr type local dnat ip6 to meta l4proto . th dport map @dnat6
add rule inet {TABLE} output fib daddr type local dnat ip to meta l4proto . th dport map @dnat4
add rule inet {TABLE} output fib daddr type local ip6 daddr != ::1 dnat ip6 to meta l4proto . th dport map @dnat6
add rule inet {TABLE} postrouting iifname {BRIDGE} oifname {BRIDGE} ct status dnat masquerade
add rule inet {TABLE} postrouting oifname {BRIDGE} ct status dnat ip saddr . ip daddr @itself4 masquerade
add rule inet {TABLE} postrouting oifname {BRIDGE} ct status dnat ip6 saddr . ip6 daddr @itself6 masquerade
add rule inet {TABLE} postrouting oifname {BRIDGE} ip saddr 127.0.0.0/8 masquerade
add rule inet {TABLE} postrouting iifname {BRIDGE} oifname != {BRIDGE} masquerade
add rule inet {TABLE} forward ct status dnat accept
add rule inet {TABLE} forward iifname {BRIDGE} oifname {BRIDGE} ip saddr @isolated4 drop
add rule inet {TABLE} forward iifname {BRIDGE} oifname {BRIDGE} ip daddr @isolated4 drop
add rule inet {TABLE} forward iifname {BRIDGE} oifname {BRIDGE} ip6 saddr @isolated6 drop
add rule inet {TABLE} forward iifname {BRIDGE} oifname {BRIDGE} ip6 daddr @isolated6 drop
"
    )
}

/// The rules for the links of a machine, all of which have their addresses, and for its ports.
pub fn rules(machine: &MachineName, wires: &[Wire], forwarded: &[Port]) -> Vec<Rules> {
    let managed = wires.iter().filter(|wire| wire.is_managed());
    let mut rules: Vec<Rules> = managed.filter_map(link).collect();
    let addresses = addresses(wires);
    rules.extend(forwarded.iter().map(|port| ports::rules(machine, *port, &addresses)));
    rules.extend((!forwarded.is_empty()).then(|| ports::itself(&addresses)));
    rules
}

/// What keeps one link in the managed network to its own addresses and, where it is isolated, from its neighbours.
fn link(wire: &Wire) -> Option<Rules> {
    let (Driver::Veth(veth), Some(mac)) = (&wire.driver, wire.mac) else { return None };
    let addresses = addresses(std::slice::from_ref(wire));
    let mut add = guard::add(&veth.outside, mac, &addresses);
    let mut undo = guard::remove(&veth.outside);
    if veth.isolated {
        add += &format!("add element bridge {TABLE} isolated {{ \"{}\" }}\n", veth.outside);
        for address in &addresses {
            let set = if address.is_ipv4() { "isolated4" } else { "isolated6" };
            add += &format!("add element inet {TABLE} {set} {{ {address} }}\n");
            undo += &format!("destroy element inet {TABLE} {set} {{ {address} }}\n");
        }
    }
    Some(Rules { what: guard::what(&wire.name), add, undo })
}

/// All addresses of some links, without their lengths.
pub fn addresses(wires: &[Wire]) -> Vec<IpAddr> {
    wires.iter().flat_map(|wire| wire.addresses.iter().map(|prefix| prefix.address)).collect()
}

/// Begins to add rules; nothing is begun where there are none.
pub fn begin(root: &Root, machine: &MachineName, rules: &[Rules]) -> Result<Option<nft::Running>> {
    if rules.is_empty() {
        return Ok(None);
    }
    record::remember(root, machine, rules)?;
    let added: String = rules.iter().map(|rules| rules.add.as_str()).collect();
    change(root, machine, &added).map(Some)
}

/// Begins to change what is a machine's. Where somebody has flushed the rule set, the others have theirs back first.
fn change(root: &Root, machine: &MachineName, script: &str) -> Result<nft::Running> {
    if !nft::is_there()? {
        let others: Vec<MachineName> =
            record::machines(root).into_iter().filter(|other| other != machine).collect();
        restore(root, &others).iter().for_each(|problem| eprintln!("{problem}, ignoring"));
    }
    nft::start(&format!("{}{script}", base()))
}

/// Adds rules.
pub fn apply(root: &Root, machine: &MachineName, rules: &[Rules]) -> Result<()> {
    begin(root, machine, rules)?.map_or(Ok(()), |running| running.finish().map(drop))
}

/// Takes back some rules of a machine, by what they are for; there may be none.
pub fn undo(root: &Root, machine: &MachineName, meant: &[String]) -> Result<()> {
    let undoing = record::undoing(root, machine, |what| meant.iter().any(|meant| meant == what))?;
    if undoing.is_empty() {
        return Ok(());
    }
    change(root, machine, &undoing)?.finish()?;
    let gone = |what: &String| Rules { what: what.clone(), ..Rules::default() };
    record::remember(root, machine, &meant.iter().map(gone).collect::<Vec<_>>())
}

/// Takes back all that was ever added for a machine since it started.
pub fn tear_down(root: &Root, machine: &MachineName) -> Result<()> {
    let undoing = record::undoing(root, machine, |_| true)?;
    if !undoing.is_empty() {
        // What went with its interface is fine.
        change(root, machine, &undoing)?.finish()?;
    }
    record::forget(root, machine)
}

/// Puts back all that some machines are to have. Returns what went wrong.
pub fn restore(root: &Root, machines: &[MachineName]) -> Vec<Error> {
    let added = |machine| record::added(root, machine);
    let all: Result<String> = machines.iter().map(added).collect();
    // Together it is quick; by itself each where one cannot be helped, as its link is gone.
    match all.and_then(|all| if all.is_empty() { Ok(()) } else { nft::run(&format!("{}{all}", base())) }) {
        Ok(()) => Vec::new(),
        Err(error) if machines.len() == 1 => vec![error],
        Err(_) => machines.iter().flat_map(|machine| restore(root, std::slice::from_ref(machine))).collect(),
    }
}

/// Those of some machines of which rules are not there.
pub fn lacking(root: &Root, machines: Vec<MachineName>) -> Result<Vec<MachineName>> {
    let there = signs::there();
    let mut lacking = Vec::new();
    for machine in machines {
        let added = record::added(root, &machine)?;
        if !added.is_empty() && !signs::of(&format!("{}{added}", base())).is_subset(&there) {
            lacking.push(machine);
        }
    }
    Ok(lacking)
}

/// Whether the rules for routed packets see bridged ones, too (br_netfilter): it is so where Docker runs, for one.
pub fn sees_bridged() -> bool {
    let read =
        |family: &str| fs::read_to_string(format!("/proc/sys/net/bridge/bridge-nf-call-{family}tables"));
    ["ip", "ip6"].iter().any(|family| read(family).is_ok_and(|text| text.trim() == "1"))
}

/// Lets the host's own programs reach forwarded ports at 127.0.0.1: their packets leave by the bridge (ip-sysctl). No
/// container gets there by it, since its port drops what is for 127.0.0.0/8.
pub fn allow_loopback() -> Result<()> {
    let path = format!("/proc/sys/net/ipv4/conf/{BRIDGE}/route_localnet");
    fs::write(&path, "1").context(|| format!("failed to write '{path}'"))
}
