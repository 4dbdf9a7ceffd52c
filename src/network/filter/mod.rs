//! The packet filter: tables of our own in the families bridge, inet and netdev, and nobody else's touched.
//!
//! Whatever is added for a container, it and how to take it back are written into its run-time directory first: so it
//! goes whoever dies. All of it is idempotent, base chains included, for somebody may have flushed the whole rule set:
//! then the next start, or `containerctl network restore`, puts back what all running containers had.

/// What is there before there is any container.
pub mod base;
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
        add += &guard::isolate(&veth.outside);
    }
    for set in [veth.isolated.then_some("isolated"), veth.routed.then_some("routed")].into_iter().flatten() {
        for address in &addresses {
            let family = if address.is_ipv4() { '4' } else { '6' };
            add += &format!("add element inet {TABLE} {set}{family} {{ {address} }}\n");
            undo += &format!("destroy element inet {TABLE} {set}{family} {{ {address} }}\n");
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
    if base::is_there()? {
        return nft::start(script);
    }
    let others: Vec<MachineName> =
        record::machines(root).into_iter().filter(|other| other != machine).collect();
    restore(root, &others).iter().for_each(|problem| eprintln!("{problem}, ignoring"));
    nft::start(&format!("{}{script}", base::script()))
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
    match all
        .and_then(|all| if all.is_empty() { Ok(()) } else { nft::run(&format!("{}{all}", base::script())) })
    {
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
        if !added.is_empty() && !signs::of(&format!("{}{added}", base::script())).is_subset(&there) {
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
