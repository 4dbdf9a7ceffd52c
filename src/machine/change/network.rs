//! Links of machines that run: added, taken away, looked at; and ports of the host that lead to them.

use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::configuration::{self, Change};
use super::device::Keep;
use crate::config::network::{self as settings, IfName, Mac, Port};
use crate::config::{self, Definition};
use crate::error::{Context, Error, Kind, Result};
use crate::machine::inspect::registry;
use crate::name::MachineName;
use crate::network::filter::record;
use crate::network::filter::{self, ports};
use crate::network::link::{Counters, Link, Links, failed};
use crate::network::links::{self, LinkConfig};
use crate::network::managed::{self, leases::Table};
use crate::network::probe::{self, Outcome, Packet};
use crate::network::service::{self, Health};
use crate::network::setup::{self, Which};
use crate::network::site::{host_id, site};
use crate::network::{driver, moved};
use crate::paths::Root;
use crate::runtime::namespaces::Namespace;
use crate::runtime::state;
use crate::sys::pidfd;

pub use crate::network::filter::ports::Forward;
pub use crate::network::managed::BRIDGE;
pub use crate::network::names::DOMAIN;
pub use crate::network::netlink::Changes;

/// Adds the link `interface` to a machine that runs. `settings` are `KEY=VALUE` as in its section.
pub fn attach(
    root: &Root,
    machine: &MachineName,
    interface: &str,
    settings: &[String],
    keep: Keep,
) -> Result<LinkConfig> {
    let text = format!("[Interface {interface}]\n{}\n", settings.join("\n"));
    let definition = config::parse(Path::new("command line"), &text)?;
    if let Some(unknown) = definition.warnings.first() {
        return Err(Error::config(unknown.to_string())
            .hint("containerctl.conf(5) lists the keys of [Interface NAME]"));
    }
    let site = site(root, machine, &definition);
    let config = links::interface(&definition, machine, &site.host_id)?;
    let leader = leader(root, machine)?;
    let namespace = network_of(&leader, machine)?;
    if Links::of(&namespace)?.find(config.name.as_str())?.is_some() {
        return Err(Error::new(
            Kind::Busy,
            format!("container '{machine}' has an interface '{}' already", config.name),
        ));
    }
    let (name, configs) = (config.name.clone(), vec![config]);
    setup::validate(&site, &configs, &[])?;
    let made = setup::begin(&site, configs, &[]).and_then(|begun| begun.make(&site, &[], &namespace));
    let configs = made.and_then(setup::Made::open).inspect_err(|_| {
        setup::tear_down(root, machine, Which::One(&name));
    })?;
    if keep == Keep::Persistent {
        persist(root, machine, interface, settings)?;
    }
    configs.into_iter().next().ok_or_else(|| Error::failed(format!("there is no link '{name}'")))
}

/// Moves an interface of the host's into a machine that runs, where it is called `inside`.
pub fn hand_over(
    root: &Root,
    machine: &MachineName,
    interface: &IfName,
    inside: &IfName,
) -> Result<LinkConfig> {
    driver::require_movable(&mut Links::here()?, interface)?;
    let settings = ["Type=physical".to_string(), format!("Parent={interface}")];
    attach(root, machine, inside.as_str(), &settings, Keep::UntilStop)
}

/// Writes a section of a link into the definition.
fn persist(root: &Root, machine: &MachineName, interface: &str, settings: &[String]) -> Result<()> {
    let default = ["Type=veth".to_string()];
    let settings = if settings.is_empty() { &default } else { settings };
    let change = |setting: &String| Change::new(&format!("Interface {interface}.{setting}"));
    let mut changes = settings.iter().map(change).collect::<Result<Vec<_>>>()?;
    changes.splice(0..0, keep_usual(root, machine)?);
    configuration::change(root, machine, &changes).map(drop)
}

/// The link that is there as long as nothing is said of any stays, if it is said, too: what says so.
pub fn keep_usual(root: &Root, machine: &MachineName) -> Result<Option<Change>> {
    let definition = config::load(root, machine)?;
    let resolved = links::network(&definition, machine, &host_id(root))?;
    match (&resolved.links[..], definition.settings.network.interfaces.is_empty()) {
        ([usual], true) if usual.is_managed() => {
            Change::new(&format!("Interface {}.Type=veth", usual.name)).map(Some)
        }
        _ => Ok(None),
    }
}

/// Takes the link `interface` from a machine that runs. The definition is left as it is.
pub fn detach(root: &Root, machine: &MachineName, interface: &str) -> Result<()> {
    let missing = || {
        Error::new(Kind::NotFound, format!("container '{machine}' has no interface '{interface}' of ours"))
            .hint(format!("'containerctl info {machine}' and 'containerctl network info' show what there is"))
    };
    let name = IfName::new(interface).ok_or_else(missing)?;
    let leader = leader(root, machine)?;
    let namespace = network_of(&leader, machine)?;
    let is_moved = moved::list(root, machine).iter().any(|moved| moved.inside == name);
    let mut here = Links::here()?;
    let is_meant = |link: &Link| Which::One(&name).is_meant_by(machine, link);
    let outside: Vec<_> = here.all()?.into_iter().filter(is_meant).collect();
    if outside.is_empty() && !is_moved {
        // On an interface of the host's nothing of it stays; it is inside alone.
        let mut there = Links::of(&namespace)?;
        let link = there.find(interface)?.filter(is_meant).ok_or_else(missing)?;
        return there
            .delete(link.index)
            .map_err(|refusal| failed(&format!("delete '{interface}' in container '{machine}'"), &refusal));
    }
    let mut problems = setup::tear_down(root, machine, Which::One(&name));
    if is_moved && problems.is_empty() {
        problems.extend(moved::forget(root, machine, &name).err());
    }
    problems.into_iter().next().map_or(Ok(()), Err)
}

fn leader(root: &Root, machine: &MachineName) -> Result<OwnedFd> {
    registry::require(root, machine)?;
    let running = state::running(root, machine).ok_or_else(|| state::not_running(machine));
    running.map(|(_, leader)| leader)
}

fn network_of(leader: &OwnedFd, machine: &MachineName) -> Result<OwnedFd> {
    let failed = || format!("failed to open the network namespace of '{machine}'");
    let namespace = pidfd::network_namespace(leader).context(failed)?;
    match Namespace::Net.is_ours(&namespace).context(failed)? {
        true => Err(Error::config(format!(
            "container '{machine}' has the host's network, and no links of its own"
        ))),
        false => Ok(namespace),
    }
}

/// Puts back what the managed network lacks, and what somebody has taken out of the packet filter; returns whose rules
/// those were.
pub fn restore(root: &Root) -> Result<Vec<MachineName>> {
    managed::restore(root, &host_id(root))?;
    let lacking = lacking_rules(root)?;
    filter::restore(root, &lacking).into_iter().next().map_or(Ok(lacking), Err)
}

/// What becomes of packets that containers in the managed network send.
pub fn probe(root: &Root) -> Result<Vec<(Packet, Outcome)>> {
    probe::probe(root, &host_id(root))
}

/// Problems of the managed network, once the service that was just started has had a moment to say so.
pub fn problems(root: &Root) -> Vec<String> {
    const MOMENT: Duration = Duration::from_millis(300);
    let begin = Instant::now();
    let is_there =
        || Links::here().and_then(|mut links| links.find(BRIDGE)).is_ok_and(|found| found.is_some());
    while service::health(root) == Health::Absent && is_there() && begin.elapsed() < MOMENT {
        std::thread::sleep(Duration::from_millis(10));
    }
    if is_there() { service::problems(root) } else { Vec::new() }
}

/// The running machines whose rules are not in the packet filter.
pub fn lacking_rules(root: &Root) -> Result<Vec<MachineName>> {
    let runs = |machine: &MachineName| state::running(root, machine).is_some();
    filter::lacking(root, record::machines(root).into_iter().filter(runs).collect())
}

/// What is shown of the managed network.
#[derive(Clone, Debug, Serialize)]
pub struct Network {
    /// The bridge.
    pub name: String,
    /// It is there, and up.
    pub up: bool,
    /// Its IPv4 address with the length of its network.
    pub ipv4: String,
    /// Its IPv6 address with the length of its network.
    pub ipv6: String,
    /// Domain of the containers' names.
    pub domain: &'static str,
    /// What does not work, a sentence each.
    pub problems: Vec<String>,
    /// Who has an address.
    pub members: Vec<Member>,
}

/// One container's link in the managed network.
#[derive(Clone, Debug, Serialize)]
pub struct Member {
    /// The container.
    pub machine: String,
    /// Its interface.
    pub interface: String,
    /// That interface's MAC address.
    pub mac: Mac,
    /// Its IPv4 address.
    pub ipv4: Ipv4Addr,
    /// Its IPv6 address.
    pub ipv6: IpAddr,
    /// The port of the bridge, while the container runs.
    pub port: Option<String>,
    /// What went through that port, as the container sees it.
    pub counters: Option<Counters>,
    /// Frames from the container that the filter dropped.
    pub dropped: Option<u64>,
}

/// The managed network; `None` where no container ever needed it.
pub fn show(root: &Root) -> Result<Option<Network>> {
    let Some(table) = Table::read(&root.network_table())? else { return Ok(None) };
    let links = Links::here()?.all()?;
    let bridge = links.iter().find(|link| link.name == BRIDGE);
    // Without a filter nothing is dropped.
    let dropped = filter::dropped().unwrap_or_default();
    let members = table.leases.iter().map(|lease| {
        let port = links.iter().find(|link| {
            link.master.is_some()
                && link.master == bridge.map(|bridge| bridge.index)
                && Which::One(&lease.interface).is_meant_by(&lease.machine, link)
        });
        // The host's end receives what the container sends.
        let turned = |counters: Counters| Counters {
            rx_bytes: counters.tx_bytes,
            tx_bytes: counters.rx_bytes,
            rx_packets: counters.tx_packets,
            tx_packets: counters.rx_packets,
        };
        Member {
            machine: lease.machine.to_string(),
            interface: lease.interface.to_string(),
            mac: lease.mac,
            ipv4: lease.address,
            ipv6: table.address6(lease.mac).into(),
            port: port.map(|link| link.name.clone()),
            counters: port.map(|link| turned(link.counters)),
            dropped: port.and_then(|link| dropped.get(&link.name).copied()),
        }
    });
    let [ipv4, ipv6] = table.addresses().map(|prefix| prefix.to_string());
    let up = bridge.is_some_and(|bridge| bridge.is_up);
    let members = members.collect();
    let problems = if up { service::problems(root) } else { Vec::new() };
    Ok(Some(Network { name: BRIDGE.to_string(), up, ipv4, ipv6, domain: DOMAIN, problems, members }))
}

/// Reads `[tcp:|udp:]HOST[:CONTAINER]`.
pub fn port(text: &str) -> Result<Port> {
    settings::port(text)
        .map_err(|why| Error::config(why).hint("write it as in tcp:8080:80, 8080:80 or udp:53"))
}

/// Lets a port of the host lead to a machine that runs.
pub fn add_port(root: &Root, machine: &MachineName, port: Port, keep: Keep) -> Result<()> {
    leader(root, machine)?;
    ports::refuse_taken(machine, &[port])?;
    let addresses = addresses(root, machine)?;
    if addresses.is_empty() {
        return Err(Error::config(format!("container '{machine}' has no address that is set from outside"))
            .hint("set Address= of an [Interface NAME] section, or use the managed network"));
    }
    let mut here = Links::here()?;
    if here.find(BRIDGE)?.is_some() {
        filter::allow_loopback()?;
        setup::reflect(&mut here, machine)?;
    }
    // What led elsewhere in the container leads here from now on.
    let rules = ports::rules(machine, port, &addresses);
    filter::undo(root, machine, std::slice::from_ref(&rules.what))?;
    filter::apply(root, machine, &[rules, ports::itself(&addresses)])?;
    match keep {
        Keep::UntilStop => Ok(()),
        Keep::Persistent => {
            configuration::change(root, machine, &[Change::new(&format!("Network.Port+={port}"))?]).map(drop)
        }
    }
}

/// Takes a port back; the definition is left as it is.
pub fn remove_port(root: &Root, machine: &MachineName, port: Port) -> Result<()> {
    let is_meant = |forward: &Forward| {
        let Port { protocol, host, .. } = port;
        forward.machine == machine.as_str()
            && forward.protocol == protocol.to_string()
            && forward.host == host
    };
    if !ports::forwards()?.iter().any(is_meant) {
        return Err(Error::new(
            Kind::NotFound,
            format!(
                "{} port {} of the host does not lead into container '{machine}'",
                port.protocol, port.host
            ),
        )
        .hint("'containerctl port list' shows those that do"));
    }
    filter::undo(root, machine, &[ports::what(port)])
}

/// The ports that lead into containers; into one, where it is given.
pub fn forwards(machine: Option<&MachineName>) -> Result<Vec<Forward>> {
    let all = ports::forwards()?;
    Ok(all
        .into_iter()
        .filter(|forward| machine.is_none_or(|machine| forward.machine == machine.as_str()))
        .collect())
}

/// The addresses of a machine that were set from outside.
fn addresses(root: &Root, machine: &MachineName) -> Result<Vec<IpAddr>> {
    let mut addresses: Vec<IpAddr> =
        managed::addresses_of(root, machine)?.into_iter().flat_map(|(_, addresses)| addresses).collect();
    let definition: Definition = config::load(root, machine)?;
    let resolved = links::network(&definition, machine, &host_id(root))?;
    addresses.extend(filter::addresses(&resolved.links));
    Ok(addresses)
}
