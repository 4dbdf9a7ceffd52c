//! What a link is given inside the container's namespace, from outside: nothing of the guest takes part.

use nix::errno::Errno;

use super::link::{Link, Links, failed};
use super::netlink::Refusal;
use super::wiring::{Driver, Wire};
use crate::error::Result;
use crate::name::MachineName;

/// Finishes a link that is there under its name: names, address, marks, up, addresses, routes.
pub fn configure(links: &mut Links, machine: &MachineName, wire: &Wire) -> Result<Link> {
    let link = links.require(wire.name.as_str())?;
    let step = |what: &str, result: Result<(), Refusal>| {
        result.map_err(|refusal| failed(&format!("{what} '{}' in the container", wire.name), &refusal))
    };
    if let Some(alternative) = wire.alternative {
        step("give another name to", links.add_alternative(link.index, alternative))?;
    }
    let (mac, mtu) = (wire.mac.filter(|mac| link.mac != Some(*mac)), wire.mtu.filter(|mtu| link.mtu != *mtu));
    if mac.is_some() || mtu.is_some() {
        step("adjust", links.adjust(link.index, mac, mtu))?;
    }
    // What is the host's stays unmarked: it comes back with what the guest may have written on it.
    if !matches!(wire.driver, Driver::Physical { .. }) {
        step("mark", links.mark(link.index, Some(&wire.tag(machine))))?;
    }
    step("set up", links.set_up(link.index))?;
    for prefix in &wire.addresses {
        let what = format!("give address {prefix} to");
        step(&what, unless_managed(wire, prefix.address.is_ipv6(), links.add_address(link.index, *prefix)))?;
    }
    for gateway in &wire.gateways {
        let what = format!("route through {gateway} by");
        let added = links.add_default_route(link.index, *gateway);
        step(&what, unless_managed(wire, gateway.is_ipv6(), added))?;
    }
    Ok(link)
}

/// IPv6 in the managed network is not asked for: a host without it has none. And of several links there the first one
/// leads out.
fn unless_managed(wire: &Wire, is_ipv6: bool, result: Result<(), Refusal>) -> Result<(), Refusal> {
    match result.as_ref().map_err(|refusal| refusal.errno) {
        Err(Errno::EEXIST) if wire.is_managed() => Ok(()),
        Err(Errno::EOPNOTSUPP | Errno::EACCES | Errno::EPERM) if is_ipv6 && wire.is_managed() => Ok(()),
        _ => result,
    }
}
