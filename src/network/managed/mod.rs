//! The managed network: the bridge `ctl0`, made when the first container needs it, and the addresses in it.
//!
//! The bridge and its addresses are the kernel's and stay whoever dies. Forwarding, masquerading, DHCP and router
//! advertisements are networkd's, by the shipped `80-containerctl-ctl0.network`; what is of this host stands in
//! drop-ins below `/run`, made of the [`book::Book`].

/// The range and the leases.
pub mod book;

use std::fmt::Write as _;
use std::fs::{self, File};
use std::net::{IpAddr, Ipv4Addr};

use nix::errno::Errno;
use nix::fcntl::Flock;

use self::book::Book;
use super::link::{Links, failed};
use super::names;
use super::netlink::Refusal;
use super::tag::{self, Side, Tag};
use super::wiring::Wire;
use crate::config::network::{IfName, Prefix};
use crate::error::{Context, Error, Kind, Result};
use crate::name::MachineName;
use crate::paths::Root;
use crate::replace::replace;
use crate::sys::lock::lock_file;

/// The bridge.
pub const BRIDGE: &str = "ctl0";
/// Drop-ins of the shipped file, below the host's root.
const DROP_INS: &str = "/run/systemd/network/80-containerctl-ctl0.network.d";

/// Takes part in the managed network: the bridge is there afterwards, and `wire` has its addresses. `reload` has
/// networkd read its files anew. Returns the bridge's number.
pub fn join(
    root: &Root,
    links: &mut Links,
    machine: &MachineName,
    host_id: &str,
    wire: &mut Wire,
    reload: &dyn Fn() -> Result<()>,
) -> Result<u32> {
    let _lock = lock(root)?;
    let mut book = match Book::read(&root.network_book())? {
        Some(book) => book,
        None => Book::begin(host_id, &taken(links)?)?,
    };
    let mac =
        wire.mac.unwrap_or_else(|| tag::mac(host_id, machine.as_str(), wire.name.as_str(), Side::Inside));
    let (address, is_new) = book.lease(machine, &wire.name, mac, chosen(wire))?;
    if is_new {
        replace(&root.network_book(), &book.text())?;
    }
    let bridge = match links.find(BRIDGE)? {
        None => make(root, links, &book, host_id, reload)?,
        Some(found) => {
            if found.tag() != Some(Tag::Managed) {
                return Err(Error::new(Kind::Busy, format!("'{BRIDGE}' is an interface that is not ours"))
                    .hint("rename it, or give containers a bridge of your own by Bridge="));
            }
            if !found.is_up {
                links
                    .set_up(found.index)
                    .map_err(|refusal| failed(&format!("set '{BRIDGE}' up"), &refusal))?;
            }
            if is_new {
                tell_networkd(root, &book)?;
                // Addresses are set from outside; who asks by DHCP all the same, asks again.
                if let Err(error) = reload() {
                    eprintln!("{error}, ignoring");
                }
            }
            found.index
        }
    };
    wire.mac = Some(mac);
    wire.addresses = vec![
        Prefix { address: address.into(), length: book.length },
        Prefix { address: book.address6(mac).into(), length: 64 },
    ];
    wire.gateways = book.addresses().map(|prefix| prefix.address).to_vec();
    Ok(bridge)
}

/// The address that the definition asks for.
fn chosen(wire: &Wire) -> Option<Ipv4Addr> {
    wire.addresses.iter().find_map(|prefix| match prefix.address {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    })
}

/// Refuses the address that the definition asks for where the network cannot give it.
pub fn refuse_address(root: &Root, machine: &MachineName, wire: &Wire) -> Result<()> {
    // The first container of all comes before there is a range, and is told when there is.
    let Some(book) = Book::read(&root.network_book())? else { return Ok(()) };
    chosen(wire).map_or(Ok(()), |address| book.refuse(machine, &wire.name, address))
}

/// What a machine has, without asking the kernel: interface and addresses.
pub fn addresses_of(root: &Root, machine: &MachineName) -> Result<Vec<(IfName, Vec<IpAddr>)>> {
    let Some(book) = Book::read(&root.network_book())? else { return Ok(Vec::new()) };
    let leases = book.leases.iter().filter(|lease| lease.machine == *machine);
    let both = |lease: &book::Lease| vec![lease.address.into(), book.address6(lease.mac).into()];
    Ok(leases.map(|lease| (lease.interface.clone(), both(lease))).collect())
}

/// Takes back the addresses of a machine; it may have none.
pub fn release(root: &Root, machine: &MachineName) -> Result<()> {
    change(root, |book| book.release(machine))
}

/// Gives the addresses of a machine to its new name; it may have none.
pub fn rename(root: &Root, old: &MachineName, new: &MachineName) -> Result<()> {
    change(root, |book| book.rename(old, new))
}

/// Writes the table where `edit` has changed something in it.
fn change(root: &Root, edit: impl FnOnce(&mut Book) -> bool) -> Result<()> {
    let path = root.network_book();
    if !path.exists() {
        return Ok(());
    }
    let _lock = lock(root)?;
    let Some(mut book) = Book::read(&path)? else { return Ok(()) };
    if !edit(&mut book) {
        return Ok(());
    }
    replace(&path, &book.text())?;
    // networkd hears of it with the next one that comes.
    if root.path(DROP_INS).exists() { tell_networkd(root, &book) } else { Ok(()) }
}

/// Networks that the host has an address in or a route to.
fn taken(links: &mut Links) -> Result<Vec<Prefix>> {
    let mut taken = links.routes()?;
    taken.extend(links.addresses()?.into_iter().map(|(_, prefix)| prefix));
    Ok(taken)
}

/// Makes the bridge, once networkd knows what to do with it.
fn make(
    root: &Root,
    links: &mut Links,
    book: &Book,
    host_id: &str,
    reload: &dyn Fn() -> Result<()>,
) -> Result<u32> {
    tell_networkd(root, book)?;
    reload().map_err(|error| no_networkd(&error))?;
    let step = |what: &str, result: Result<(), Refusal>| {
        result.map_err(|refusal| failed(&format!("{what} bridge '{BRIDGE}'"), &refusal))
    };
    let Some(name) = IfName::new(BRIDGE) else { unreachable!("'{BRIDGE}' is the name of an interface") };
    let mac = tag::mac(host_id, "", BRIDGE, Side::Outside);
    step("create", links.make_bridge(&name, mac))?;
    let index = links.require(BRIDGE)?.index;
    step("mark", links.mark(index, Some(&Tag::Managed)))?;
    for prefix in book.addresses() {
        match links.add_address(index, prefix) {
            // A host without IPv6.
            Err(Refusal { errno: Errno::EOPNOTSUPP | Errno::EACCES | Errno::EPERM, .. })
                if prefix.address.is_ipv6() => {}
            result => step("give an address to", result)?,
        }
    }
    step("set up", links.set_up(index))?;
    Ok(index)
}

/// Why nothing is done by halves, and what can be done instead.
fn no_networkd(cause: &Error) -> Error {
    Error::new(
        Kind::Unsupported,
        format!("the managed network '{BRIDGE}' needs systemd-networkd, which does not answer: {}", cause.message()),
    )
    .hint(
        "start it with 'systemctl enable --now systemd-networkd', or name a bridge of your own with Bridge= in \
         [Network], or do without a link by VirtualEthernet=no",
    )
}

/// Writes what networkd is to know of this host.
fn tell_networkd(root: &Root, book: &Book) -> Result<()> {
    let directory = root.path(DROP_INS);
    fs::create_dir_all(&directory).context(|| format!("failed to make '{}'", directory.display()))?;
    let [v4, v6] = book.addresses();
    let mut prefix = book.gateway6.segments();
    prefix[7] = 0;
    let prefix = std::net::Ipv6Addr::from(prefix);
    let addresses = format!(
        "# Written by containerctl.\n[Network]\nAddress={v4}\nAddress={v6}\n\n[IPv6Prefix]\nPrefix={prefix}/64\n"
    );
    let mut leases = "# Written by containerctl.\n".to_string();
    for lease in &book.leases {
        let (mac, address) = (lease.mac, lease.address);
        let _infallible = writeln!(
            leases,
            "\n[DHCPServerStaticLease]\n# {}\nMACAddress={mac}\nAddress={address}",
            lease.machine
        );
    }
    write_hosts(root, book)?;
    replace(&directory.join("10-addresses.conf"), &addresses)?;
    replace(&directory.join("20-leases.conf"), &leases)
}

/// Writes what `containerctl-names` answers by.
fn write_hosts(root: &Root, book: &Book) -> Result<()> {
    let mut hosts = String::new();
    for prefix in book.addresses() {
        let _infallible = writeln!(hosts, "{} {}", prefix.address, names::GATEWAY);
    }
    for lease in &book.leases {
        let (address, machine) = (lease.address, &lease.machine);
        let _infallible = writeln!(hosts, "{address} {machine}\n{} {machine}", book.address6(lease.mac));
    }
    replace(&root.network_hosts(), &hosts)
}

/// Writers queue here, each for a moment.
pub fn lock(root: &Root) -> Result<Flock<File>> {
    let path = root.network_lock();
    let failed = || format!("failed to lock '{}'", path.display());
    fs::create_dir_all(root.runtime()).context(failed)?;
    lock_file(&path).context(failed)
}
