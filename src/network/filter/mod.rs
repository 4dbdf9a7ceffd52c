//! The packet filter: tables of our own in the families bridge, inet and netdev, and nobody else's touched.
//!
//! Whatever is added for a container, it and how to take it back are written into its run-time directory first: so it
//! goes whoever dies. All of it is idempotent, base chains included, for somebody may have flushed the whole rule set:
//! then the next start, or `containerctl network restore`, puts back what all running containers had.

/// Tables, sets and chains that all containers share.
pub mod base;
/// Rules for frames from containers.
pub mod guard;
/// The hook of a port's rules.
mod hook;
/// Contents of the filter.
mod inventory;
/// nft(8).
pub mod nft;
/// Ports of the host that lead into containers.
pub mod ports;
/// Limits of bandwidth.
pub mod rates;
/// Rules that were added for each machine.
pub mod record;

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use self::guard::{Claims, Guard};
use self::record::Rules;
use super::links::{Driver, LinkConfig, Veth};
use super::managed::BRIDGE;
use crate::config::network::{Mac, Port, Prefix};
use crate::error::{Context, Error, Result};
use crate::name::MachineName;
use crate::paths::Root;

/// The name of each table of ours.
pub const TABLE: &str = "containerctl";
/// Addresses of the managed IPv4 network that are neither given out nor left to DHCP, by their distance from its first:
/// behind the pool of the DHCP server, before the first lease.
const CLAIMABLE: (u32, u32) = (211, 255);
/// The longest IPv4 network that has them.
const CLAIMABLE_LENGTH: u8 = 22;

/// The rules for the links of a machine, all of which have their addresses, and for its ports.
pub fn rules(machine: &MachineName, configs: &[LinkConfig], forwarded: &[Port]) -> Vec<Rules> {
    let ports = configs.iter().filter(|config| config.is_managed() || config.is_filtered());
    let mut rules: Vec<Rules> = ports.filter_map(link).collect();
    let addresses = addresses(configs);
    rules.extend(forwarded.iter().map(|port| ports::rules(machine, *port, &addresses)));
    rules.extend((!forwarded.is_empty()).then(|| ports::itself(&addresses)));
    rules
}

/// The rules of one port: what may be sent by it, and whom it reaches.
fn link(config: &LinkConfig) -> Option<Rules> {
    let (Driver::Veth(veth), Some(mac)) = (&config.driver, config.mac) else { return None };
    let addresses = addresses(std::slice::from_ref(config));
    let mut add = match veth.filter {
        true => guard(config, veth, mac).add(),
        false => String::new(),
    };
    if config.is_managed() {
        add += &guard::member(&veth.outside);
    }
    let mut undo = guard::remove(&veth.outside);
    if veth.isolated && config.is_managed() {
        add += &guard::isolate(&veth.outside);
    }
    let sets =
        [(veth.isolated && config.is_managed()).then_some("isolated"), veth.routed.then_some("routed")];
    for set in sets.into_iter().flatten() {
        for address in &addresses {
            let family = if address.is_ipv4() { '4' } else { '6' };
            add += &format!("add element inet {TABLE} {set}{family} {{ {address} }}\n");
            undo += &format!("destroy element inet {TABLE} {set}{family} {{ {address} }}\n");
        }
    }
    let port = veth.filter.then(|| veth.outside.to_string());
    Some(Rules { what: guard::what(&config.name), add, undo, port })
}

fn guard<'a>(config: &LinkConfig, veth: &'a Veth, mac: Mac) -> Guard<'a> {
    let alone =
        |address: &IpAddr| Prefix { address: *address, length: if address.is_ipv4() { 32 } else { 128 } };
    let own = addresses(std::slice::from_ref(config)).iter().map(alone).chain(veth.allowed.clone()).collect();
    let claims = config.is_managed().then(|| claims(config, veth)).flatten();
    Guard { port: &veth.outside, mac, own, claims, any_network: !config.is_managed() }
}

/// Addresses of the managed network that a port can claim: none that is given out, or left to DHCP.
fn claims(config: &LinkConfig, veth: &Veth) -> Option<Claims> {
    let v4 = config.addresses.iter().find_map(|prefix| match prefix.address {
        IpAddr::V4(address) => Some((u32::from(address), prefix.length)),
        IpAddr::V6(_) => None,
    });
    let v6 = config.addresses.iter().find_map(|prefix| match prefix.address {
        IpAddr::V6(address) => Some(u128::from(address)),
        IpAddr::V4(_) => None,
    });
    let ((owner, length), v6) = v4.zip(v6)?;
    let network6 = Ipv6Addr::from(v6 & !u128::from(u64::MAX));
    let first = owner & u32::MAX.checked_shl(u32::from(32 - length)).unwrap_or(0);
    // A range that somebody made smaller has no part that is not given out.
    let range = (length <= CLAIMABLE_LENGTH)
        .then(|| (Ipv4Addr::from(first + CLAIMABLE.0), Ipv4Addr::from(first + CLAIMABLE.1)));
    let reserved = config.gateways.iter().copied().chain([network6.into()]);
    let allowed = veth.allowed.iter().filter(|prefix| is_one(prefix)).map(|prefix| prefix.address);
    Some(Claims { owner, range, network6, reserved: reserved.chain(allowed).collect() })
}

/// Whether a prefix is a single address.
pub fn is_one(prefix: &Prefix) -> bool {
    prefix.length == if prefix.address.is_ipv4() { 32 } else { 128 }
}

/// Hooks the rules of links whose ports are there to them.
pub fn attach(configs: &[LinkConfig]) -> Result<()> {
    let mut filtered = configs.iter().filter_map(|config| match &config.driver {
        Driver::Veth(veth) if veth.filter => Some(&veth.outside),
        _ => None,
    });
    filtered.try_for_each(hook::attach)
}

/// Frames that were dropped, by the name of the port that received them.
pub fn dropped() -> Result<BTreeMap<String, u64>> {
    let listed = nft::list(&["list", "counters", "table", "netdev", TABLE])?;
    let objects = listed["nftables"].as_array().into_iter().flatten();
    let packets = |object: &serde_json::Value| {
        let counter = &object["counter"];
        Some((guard::port(counter["name"].as_str()?)?, counter["packets"].as_u64()?))
    };
    Ok(objects.filter_map(packets).collect())
}

/// All addresses of some links, without their lengths.
pub fn addresses(configs: &[LinkConfig]) -> Vec<IpAddr> {
    configs.iter().flat_map(|config| config.addresses.iter().map(|prefix| prefix.address)).collect()
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
    restore(root, &others).iter().for_each(|problem| log::warn!("{problem}, ignoring"));
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
        // A rule that went with its interface is no error.
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

/// The machines whose rules are missing in the kernel.
pub fn lacking(root: &Root, machines: Vec<MachineName>) -> Result<Vec<MachineName>> {
    let there = inventory::loaded();
    let mut lacking = Vec::new();
    for machine in machines {
        let added = record::added(root, &machine)?;
        if !added.is_empty() && !inventory::added_by(&format!("{}{added}", base::script())).is_subset(&there)
        {
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
