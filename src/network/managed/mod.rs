//! The managed network: the bridge `ctl0`, made when the first container needs it, and the addresses in it.
//!
//! The bridge, its addresses and forwarding are the kernel's and stay whoever dies; masquerading is a rule of the packet
//! filter's. Nothing of it needs a network manager of the host's, and networkd and NetworkManager are told to leave it
//! alone. Guests that ask (DNS, DHCP, router solicitations) are answered by `containerctl-names`, see
//! [`service`](super::service), which goes by the [`leases::Table`].

/// Forwarding of packets by the host.
pub mod forwarding;
/// The ranges, and which container has which address.
pub mod leases;

use std::fs::{self, File};
use std::net::{IpAddr, Ipv4Addr};

use nix::errno::Errno;
use nix::fcntl::Flock;

use self::leases::Table;
use super::host_end::{self, Role};
use super::link::{Link, Links, failed};
use super::links::{Driver, LinkConfig};
use super::netlink::Refusal;
use super::service;
use super::tag::{self, Side, Tag};
use crate::config::network::{IfName, Prefix};
use crate::error::{Context, Error, Kind, Result};
use crate::name::MachineName;
use crate::paths::Root;
use crate::replace::{remove_directory, replace};
use crate::sys::lock::lock_file;
use crate::systemd::networkd;

/// The bridge.
pub const BRIDGE: &str = "ctl0";
/// Drop-ins by which earlier versions had networkd serve the network.
const OLD_DROP_INS: &str = "/run/systemd/network/80-containerctl-ctl0.network.d";

/// Takes part in the managed network: the bridge is there afterwards, and `config` has its addresses. Returns the bridge's
/// number.
pub fn join(
    root: &Root,
    links: &mut Links,
    machine: &MachineName,
    host_id: &str,
    config: &mut LinkConfig,
) -> Result<u32> {
    let _lock = lock(root)?;
    let mut table = table(root, links, host_id)?;
    let mac =
        config.mac.unwrap_or_else(|| tag::mac(host_id, machine.as_str(), config.name.as_str(), Side::Inside));
    let (address, is_new) = table.lease(machine, &config.name, mac, chosen(config))?;
    if is_new {
        replace(&root.network_table(), &table.text())?;
    }
    let (bridge, state) = ensure(root, links, &table, host_id)?;
    // After a boot the copy is missing.
    if is_new || !root.network_leases().exists() {
        replace(&root.network_leases(), &table.text())?;
    }
    service::ensure(root, state);
    config.mac = Some(mac);
    config.addresses = vec![
        Prefix { address: address.into(), length: table.length },
        Prefix { address: table.address6(mac).into(), length: 64 },
    ];
    config.gateways = table.addresses().map(|prefix| prefix.address).to_vec();
    Ok(bridge)
}

/// The table as it is, or as the first container will have it.
pub fn table(root: &Root, links: &mut Links, host_id: &str) -> Result<Table> {
    match Table::read(&root.network_table())? {
        Some(table) => Ok(table),
        None => Table::begin(host_id, &taken(links)?),
    }
}

/// Puts back what the network is to have besides its packet filter, once a container ever needed it: for hosts on which
/// somebody changed it, or on which an earlier version left it to networkd.
pub fn restore(root: &Root, host_id: &str) -> Result<()> {
    let mut links = Links::here()?;
    let _lock = lock(root)?;
    let (Some(table), true) = (Table::read(&root.network_table())?, links.find(BRIDGE)?.is_some()) else {
        return Ok(());
    };
    let (_, state) = ensure(root, &mut links, &table, host_id)?;
    replace(&root.network_leases(), &table.text())?;
    service::ensure(root, state);
    Ok(())
}

/// State in which the bridge was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bridge {
    /// It is there as it should be.
    Found,
    /// It was made, or taken over from an earlier version: whoever served it before knows nothing of it.
    New,
}

/// Has the bridge be there with its addresses, and packets forwarded. Returns its number and how it was found.
fn ensure(root: &Root, links: &mut Links, table: &Table, host_id: &str) -> Result<(u32, Bridge)> {
    let found = links.find(BRIDGE)?;
    found.as_ref().map_or(Ok(()), require_ours)?;
    let taken_over = take_from_networkd(root)?;
    let state = if found.is_none() || taken_over { Bridge::New } else { Bridge::Found };
    let index = match &found {
        None => make(links, host_id)?,
        Some(found) => found.index,
    };
    set_up(links, index, table)?;
    forwarding::enable()?;
    Ok((index, state))
}

/// Refuses an interface of somebody else's that has the bridge's name.
pub fn require_ours(found: &Link) -> Result<()> {
    match found.tag() {
        Some(Tag::Managed) => Ok(()),
        _ => Err(Error::new(Kind::Busy, format!("'{BRIDGE}' is an interface that is not ours"))
            .hint("rename it, or give containers a bridge of your own by Bridge=")),
    }
}

/// Gives the bridge its addresses, and sets it up.
fn set_up(links: &mut Links, index: u32, table: &Table) -> Result<()> {
    for prefix in table.addresses() {
        let added = links.add_address(index, prefix);
        unless_without_ipv6(prefix.address, added)
            .map_err(|refusal| failed(&format!("give an address to bridge '{BRIDGE}'"), &refusal))?;
    }
    links.set_up(index).map_err(|refusal| failed(&format!("set '{BRIDGE}' up"), &refusal))
}

/// Makes the bridge for as long as nobody needs it but a probe. Returns its number.
pub fn make_bridge(links: &mut Links, table: &Table, host_id: &str) -> Result<u32> {
    let index = make(links, host_id)?;
    set_up(links, index, table)?;
    Ok(index)
}

/// Has networkd let go of the bridge where an earlier version told it to configure it; whether that was so.
fn take_from_networkd(root: &Root) -> Result<bool> {
    let was_told = remove_directory(&root.path(OLD_DROP_INS))?;
    if was_told && let Err(error) = networkd::reload() {
        log::warn!("{error}, ignoring");
    }
    Ok(was_told)
}

/// The address that the definition asks for.
fn chosen(config: &LinkConfig) -> Option<Ipv4Addr> {
    config.addresses.iter().find_map(|prefix| match prefix.address {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    })
}

/// Refuses the address that the definition asks for where the network cannot give it.
pub fn refuse_address(root: &Root, machine: &MachineName, config: &LinkConfig) -> Result<()> {
    // The first container of all comes before there is a range, and is told when there is.
    let Some(table) = Table::read(&root.network_table())? else { return Ok(()) };
    chosen(config).map_or(Ok(()), |address| table.refuse(machine, &config.name, address))
}

/// Refuses to let a link use an address that is somebody else's.
pub fn refuse_allowed(root: &Root, machine: &MachineName, config: &LinkConfig) -> Result<()> {
    let (Some(table), Driver::Veth(veth)) = (Table::read(&root.network_table())?, &config.driver) else {
        return Ok(());
    };
    let owner = |prefix: &Prefix| {
        let own = table.addresses().map(|own| own.address).contains(&prefix.address);
        let lease = table.leases.iter().find(|lease| {
            lease.machine != *machine
                && [lease.address.into(), table.address6(lease.mac).into()].contains(&prefix.address)
        });
        own.then(|| "the host's own".to_string())
            .or(lease.map(|lease| format!("that of container '{}'", lease.machine)))
    };
    let taken = veth.allowed.iter().find_map(|prefix| owner(prefix).map(|owner| (prefix.address, owner)));
    taken.map_or(Ok(()), |(address, owner)| Err(Error::new(Kind::Busy, format!("{address} is {owner}"))))
}

/// The addresses of a machine by interface, without asking the kernel.
pub fn addresses_of(root: &Root, machine: &MachineName) -> Result<Vec<(IfName, Vec<IpAddr>)>> {
    let Some(table) = Table::read(&root.network_table())? else { return Ok(Vec::new()) };
    let leases = table.leases.iter().filter(|lease| lease.machine == *machine);
    let both = |lease: &leases::Lease| vec![lease.address.into(), table.address6(lease.mac).into()];
    Ok(leases.map(|lease| (lease.interface.clone(), both(lease))).collect())
}

/// Takes back the addresses of a machine; it may have none.
pub fn release(root: &Root, machine: &MachineName) -> Result<()> {
    change(root, |table| table.release(machine))
}

/// Gives the addresses of a machine to its new name; it may have none.
pub fn rename(root: &Root, old: &MachineName, new: &MachineName) -> Result<()> {
    change(root, |table| table.rename(old, new))
}

/// Writes the table where `edit` has changed something in it.
fn change(root: &Root, edit: impl FnOnce(&mut Table) -> bool) -> Result<()> {
    let path = root.network_table();
    if !path.exists() {
        return Ok(());
    }
    let _lock = lock(root)?;
    let Some(mut table) = Table::read(&path)? else { return Ok(()) };
    if !edit(&mut table) {
        return Ok(());
    }
    replace(&path, &table.text())?;
    // Where there is no copy nobody is served.
    if root.network_leases().exists() { replace(&root.network_leases(), &table.text()) } else { Ok(()) }
}

/// Networks that the host has an address in or a route to.
fn taken(links: &mut Links) -> Result<Vec<Prefix>> {
    let mut taken = links.routes()?;
    taken.extend(links.addresses()?.into_iter().map(|(_, prefix)| prefix));
    Ok(taken)
}

/// Makes the bridge, which is still down.
fn make(links: &mut Links, host_id: &str) -> Result<u32> {
    let step = |what: &str, result: Result<(), Refusal>| {
        result.map_err(|refusal| failed(&format!("{what} bridge '{BRIDGE}'"), &refusal))
    };
    let Some(name) = IfName::new(BRIDGE) else { unreachable!("'{BRIDGE}' is the name of an interface") };
    let mac = tag::mac(host_id, "", BRIDGE, Side::Outside);
    step("create", links.make_bridge(&name, mac))?;
    let index = links.require(BRIDGE)?.index;
    step("mark", links.mark(index, Some(&Tag::Managed)))?;
    host_end::prepare(BRIDGE, Role::Managed)?;
    // Router advertisements come from this address, at once: nobody else has it.
    let local = Prefix { address: leases::link_local(mac).into(), length: 64 };
    let added = links.add_address(index, local);
    step("give an address to", unless_without_ipv6(local.address, added))?;
    Ok(index)
}

/// A host without IPv6 has a network without it.
fn unless_without_ipv6(address: IpAddr, added: Result<(), Refusal>) -> Result<(), Refusal> {
    match added {
        Err(Refusal { errno: Errno::EOPNOTSUPP | Errno::EACCES | Errno::EPERM, .. }) if address.is_ipv6() => {
            Ok(())
        }
        other => other,
    }
}

/// Waits until nobody else changes the network, and keeps others waiting as long as the lock is held.
pub fn lock(root: &Root) -> Result<Flock<File>> {
    let path = root.network_lock();
    let failed = || format!("failed to lock '{}'", path.display());
    fs::create_dir_all(root.runtime()).context(failed)?;
    lock_file(&path).context(failed)
}
