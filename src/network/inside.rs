//! Configuration of a link in the container's namespace, from outside: no program of the guest takes part.

use nix::errno::Errno;

use super::link::{Link, Links, failed};
use super::links::{Driver, LinkConfig};
use super::netlink::Refusal;
use crate::error::Result;
use crate::name::MachineName;

/// Finishes a link that is there under its name: names, address, marks, up, addresses, routes.
pub fn configure(links: &mut Links, machine: &MachineName, config: &LinkConfig) -> Result<Link> {
    let link = links.require(config.name.as_str())?;
    let step = |what: &str, result: Result<(), Refusal>| {
        result.map_err(|refusal| failed(&format!("{what} '{}' in the container", config.name), &refusal))
    };
    if let Some(alternative) = config.alternative {
        step("give another name to", links.add_alternative(link.index, alternative))?;
    }
    let (mac, mtu) =
        (config.mac.filter(|mac| link.mac != Some(*mac)), config.mtu.filter(|mtu| link.mtu != *mtu));
    if mac.is_some() || mtu.is_some() {
        step("adjust", links.adjust(link.index, mac, mtu))?;
    }
    // An interface of the host stays unmarked; the guest may write another alias.
    if !matches!(config.driver, Driver::Physical { .. }) {
        step("mark", links.mark(link.index, Some(&config.tag(machine))))?;
    }
    step("set up", links.set_up(link.index))?;
    for prefix in &config.addresses {
        let what = format!("give address {prefix} to");
        step(
            &what,
            unless_managed(config, prefix.address.is_ipv6(), links.add_address(link.index, *prefix)),
        )?;
    }
    for gateway in &config.gateways {
        let what = format!("route through {gateway} by");
        let added = links.add_default_route(link.index, *gateway);
        step(&what, unless_managed(config, gateway.is_ipv6(), added))?;
    }
    Ok(link)
}

/// IPv6 in the managed network is not asked for: a host without it has none. And of several links there the first one
/// leads out.
fn unless_managed(config: &LinkConfig, is_ipv6: bool, result: Result<(), Refusal>) -> Result<(), Refusal> {
    match result.as_ref().map_err(|refusal| refusal.errno) {
        Err(Errno::EEXIST) if config.is_managed() => Ok(()),
        Err(Errno::EOPNOTSUPP | Errno::EACCES | Errno::EPERM) if is_ipv6 && config.is_managed() => Ok(()),
        _ => result,
    }
}
