//! Links of running containers: added, removed, shown; and ports of the host that lead into containers.

use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::configuration::Change;
use super::device::Keep;
use crate::config;
use crate::config::network::{self as settings, IfName, Mac, Port};
use crate::error::{Context, Error, Kind, Result};
use crate::machine::{Host, Machine};
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

impl Machine {
    /// Adds the link `interface` to a running container. `settings` are `KEY=VALUE` as in its section.
    pub fn attach_link(&self, interface: &str, settings: &[String], keep: Keep) -> Result<LinkConfig> {
        let text = format!("[Interface {interface}]\n{}\n", settings.join("\n"));
        let definition = config::parse(Path::new("command line"), &text)?;
        if let Some(unknown) = definition.warnings.first() {
            return Err(Error::config(unknown.to_string())
                .hint("containerctl.conf(5) lists the keys of [Interface NAME]"));
        }
        let site = site(self.root(), &self.name, &definition);
        let config = links::interface(&definition, &self.name, &site.host_id)?;
        let namespace = self.network_namespace()?;
        if Links::of(&namespace)?.find(config.name.as_str())?.is_some() {
            let taken = format!("container '{}' has an interface '{}' already", self.name, config.name);
            return Err(Error::new(Kind::Busy, taken));
        }
        let (name, configs) = (config.name.clone(), vec![config]);
        setup::validate(&site, &configs, &[])?;
        let made = setup::begin(&site, configs, &[]).and_then(|begun| begun.make(&site, &[], &namespace));
        let configs = made.and_then(setup::Made::open).inspect_err(|_| {
            setup::tear_down(self.root(), &self.name, Which::One(&name));
        })?;
        if keep == Keep::Persistent {
            self.persist_link(interface, settings)?;
        }
        configs.into_iter().next().ok_or_else(|| Error::failed(format!("there is no link '{name}'")))
    }

    /// Moves an interface of the host into a running container, where it is called `inside`.
    pub(super) fn hand_over(&self, interface: &IfName, inside: &IfName) -> Result<LinkConfig> {
        driver::require_movable(&mut Links::here()?, interface)?;
        let settings = ["Type=physical".to_string(), format!("Parent={interface}")];
        self.attach_link(inside.as_str(), &settings, Keep::UntilStop)
    }

    /// Writes a section of a link into the definition.
    fn persist_link(&self, interface: &str, settings: &[String]) -> Result<()> {
        let default = ["Type=veth".to_string()];
        let settings = if settings.is_empty() { &default } else { settings };
        let change = |setting: &String| Change::new(&format!("Interface {interface}.{setting}"));
        let mut changes = settings.iter().map(change).collect::<Result<Vec<_>>>()?;
        changes.splice(0..0, self.keep_usual()?);
        self.change(&changes).map(drop)
    }

    /// The change that keeps the default link, which a definition without links has, once others are defined.
    pub(super) fn keep_usual(&self) -> Result<Option<Change>> {
        let definition = self.definition()?;
        let resolved = links::network(definition, &self.name, &host_id(self.root()))?;
        match (&resolved.links[..], definition.settings.network.interfaces.is_empty()) {
            ([usual], true) if usual.is_managed() => {
                Change::new(&format!("Interface {}.Type=veth", usual.name)).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Removes the link `interface` from a running container. The definition is left as it is.
    pub fn detach_link(&self, interface: &str) -> Result<()> {
        let machine = &self.name;
        let missing = || {
            let missing = format!("container '{machine}' has no interface '{interface}' of ours");
            Error::new(Kind::NotFound, missing).hint(format!(
                "'containerctl info {machine}' and 'containerctl network info' show what there is"
            ))
        };
        let name = IfName::new(interface).ok_or_else(missing)?;
        let namespace = self.network_namespace()?;
        let is_moved = moved::list(self.root(), machine).iter().any(|moved| moved.inside == name);
        let mut here = Links::here()?;
        let is_meant = |link: &Link| Which::One(&name).is_meant_by(machine, link);
        let outside: Vec<_> = here.all()?.into_iter().filter(is_meant).collect();
        if outside.is_empty() && !is_moved {
            // A link on an interface of the host has no end outside; it is inside alone.
            let mut there = Links::of(&namespace)?;
            let link = there.find(interface)?.filter(is_meant).ok_or_else(missing)?;
            let deleted = there.delete(link.index);
            return deleted.map_err(|refusal| {
                failed(&format!("delete '{interface}' in container '{machine}'"), &refusal)
            });
        }
        let mut problems = setup::tear_down(self.root(), machine, Which::One(&name));
        if is_moved && problems.is_empty() {
            problems.extend(moved::forget(self.root(), machine, &name).err());
        }
        problems.into_iter().next().map_or(Ok(()), Err)
    }

    fn require_leader(&self) -> Result<OwnedFd> {
        let running = state::running(self.root(), &self.name).ok_or_else(|| state::not_running(&self.name));
        running.map(|(_, leader)| leader)
    }

    /// The network namespace of the running container, if it is its own.
    fn network_namespace(&self) -> Result<OwnedFd> {
        let leader = self.require_leader()?;
        let failed = || format!("failed to open the network namespace of '{}'", self.name);
        let namespace = pidfd::network_namespace(&leader).context(failed)?;
        match Namespace::Net.is_ours(&namespace).context(failed)? {
            true => Err(Error::config(format!(
                "container '{}' has the host's network, and no links of its own",
                self.name
            ))),
            false => Ok(namespace),
        }
    }

    /// Makes a port of the host lead into a running container.
    pub fn add_port(&self, port: Port, keep: Keep) -> Result<()> {
        let (root, machine) = (self.root(), &self.name);
        self.require_leader()?;
        ports::refuse_taken(machine, &[port])?;
        let addresses = self.set_addresses()?;
        if addresses.is_empty() {
            let none = format!("container '{machine}' has no address that is set from outside");
            return Err(Error::config(none)
                .hint("set Address= of an [Interface NAME] section, or use the managed network"));
        }
        let mut here = Links::here()?;
        if here.find(BRIDGE)?.is_some() {
            filter::allow_loopback()?;
            setup::reflect(&mut here, machine)?;
        }
        // A port that led elsewhere in the container leads here from now on.
        let rules = ports::rules(machine, port, &addresses);
        filter::undo(root, machine, std::slice::from_ref(&rules.what))?;
        filter::apply(root, machine, &[rules, ports::itself(&addresses)])?;
        match keep {
            Keep::UntilStop => Ok(()),
            Keep::Persistent => self.change(&[Change::new(&format!("Network.Port+={port}"))?]).map(drop),
        }
    }

    /// Closes a port of the host that leads into the container; the definition is left as it is.
    pub fn remove_port(&self, port: Port) -> Result<()> {
        let Port { protocol, host, .. } = port;
        let is_meant = |forward: &Forward| {
            forward.machine == self.name.as_str()
                && forward.protocol == protocol.to_string()
                && forward.host == host
        };
        if !ports::forwards()?.iter().any(is_meant) {
            let missing =
                format!("{protocol} port {host} of the host does not lead into container '{}'", self.name);
            return Err(
                Error::new(Kind::NotFound, missing).hint("'containerctl port list' shows those that do")
            );
        }
        filter::undo(self.root(), &self.name, &[ports::what(port)])
    }

    /// The addresses that were set from outside.
    fn set_addresses(&self) -> Result<Vec<IpAddr>> {
        let managed = managed::addresses_of(self.root(), &self.name)?;
        let mut addresses: Vec<IpAddr> = managed.into_iter().flat_map(|(_, addresses)| addresses).collect();
        let resolved = links::network(self.definition()?, &self.name, &host_id(self.root()))?;
        addresses.extend(filter::addresses(&resolved.links));
        Ok(addresses)
    }
}

impl Host {
    /// Puts back what the managed network lacks, and rules of running containers that somebody has flushed. Returns the
    /// containers whose rules were missing.
    pub fn restore_rules(&self) -> Result<Vec<MachineName>> {
        managed::restore(self.root(), &host_id(self.root()))?;
        let lacking = lacking_rules(self.root())?;
        filter::restore(self.root(), &lacking).into_iter().next().map_or(Ok(lacking), Err)
    }

    /// The managed network; `None` where no container has needed it yet.
    pub fn network(&self) -> Result<Option<Network>> {
        show(self.root())
    }

    /// Problems of the managed network, once the service that was just started has had a moment to report them.
    pub fn network_problems(&self) -> Vec<String> {
        problems(self.root())
    }

    /// The ports that lead into containers; into one, where it is given.
    pub fn forwards(&self, name: Option<&MachineName>) -> Result<Vec<Forward>> {
        let mut all = ports::forwards()?;
        all.retain(|forward| name.is_none_or(|name| forward.machine == name.as_str()));
        Ok(all)
    }
}

/// The treatment of packets that containers in the managed network send.
pub(in crate::machine) fn probe(root: &Root) -> Result<Vec<(Packet, Outcome)>> {
    probe::probe(root, &host_id(root))
}

fn problems(root: &Root) -> Vec<String> {
    const MOMENT: Duration = Duration::from_millis(300);
    let begin = Instant::now();
    let is_there =
        || Links::here().and_then(|mut links| links.find(BRIDGE)).is_ok_and(|found| found.is_some());
    while service::health(root) == Health::Absent && is_there() && begin.elapsed() < MOMENT {
        std::thread::sleep(Duration::from_millis(10));
    }
    if is_there() { service::problems(root) } else { Vec::new() }
}

/// The running containers whose rules are not in the packet filter.
pub(in crate::machine) fn lacking_rules(root: &Root) -> Result<Vec<MachineName>> {
    let runs = |machine: &MachineName| state::running(root, machine).is_some();
    filter::lacking(root, record::machines(root).into_iter().filter(runs).collect())
}

/// The managed network.
#[derive(Clone, Debug, Serialize)]
pub struct Network {
    /// The bridge.
    pub name: String,
    /// Whether it exists and is up.
    pub up: bool,
    /// The bridge's IPv4 address with its prefix length.
    pub ipv4: String,
    /// The bridge's IPv6 address with its prefix length.
    pub ipv6: String,
    /// Domain of the containers' names.
    pub domain: &'static str,
    /// Problems, a sentence each.
    pub problems: Vec<String>,
    /// The links with an address.
    pub members: Vec<Member>,
}

/// One container's link in the managed network.
#[derive(Clone, Debug, Serialize)]
pub struct Member {
    /// The container.
    pub machine: String,
    /// The interface inside.
    pub interface: String,
    /// That interface's MAC address.
    pub mac: Mac,
    /// The member's IPv4 address.
    pub ipv4: Ipv4Addr,
    /// The member's IPv6 address.
    pub ipv6: IpAddr,
    /// The port of the bridge, while the container runs.
    pub port: Option<String>,
    /// Traffic of that port, as the container sees it.
    pub counters: Option<Counters>,
    /// Frames from the container that the filter dropped.
    pub dropped: Option<u64>,
}

fn show(root: &Root) -> Result<Option<Network>> {
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
