//! One section, one link: what its keys amount to.

use super::{Driver, LinkConfig, Namespace, PortOf, Veth};
use crate::config::Definition;
use crate::config::network::{IfName, Interface, Kind, Mac, Mode, Network};
use crate::error::{Error, Result};
use crate::name::MachineName;
use crate::network::managed::BRIDGE;
use crate::network::tag::{self, HostName, Side};

/// The name inside of a link that the definition does not name: what LXC's images expect.
const USUAL: &str = "eth0";
/// The name that systemd-nspawn gives: networkd's `80-container-host0.network` looks for it, even as an alternative.
const HOST0: &str = "host0";

/// From the sections of one container to its links.
pub(super) struct Resolver<'a> {
    pub(super) definition: &'a Definition,
    pub(super) machine: &'a MachineName,
    pub(super) host_id: &'a str,
}

impl Resolver<'_> {
    /// A refusal, with the place of the key.
    pub(super) fn wrong(&self, section: &str, key: &str, why: &str) -> Error {
        Error::config(format!("{}: {why}", self.definition.named(section, key)))
    }

    /// The namespace, of all keys that name one.
    pub(super) fn namespace(&self, network: &Network) -> Result<Namespace> {
        let mut found = Vec::new();
        if !network.private {
            found.push(Namespace::Host);
        }
        found.extend(network.namespace_path.clone().map(Namespace::Path));
        for interface in &network.interfaces {
            let section = section(interface);
            found.extend(match (interface.kind, &interface.namespace_path, &interface.machine) {
                (Kind::None, ..) => Some(Namespace::Host),
                (Kind::Empty, ..) => Some(Namespace::Private),
                (Kind::Namespace, Some(path), None) => Some(Namespace::Path(path.clone())),
                (Kind::Namespace, None, Some(machine)) => Some(Namespace::Machine(machine.to_string())),
                (Kind::Namespace, ..) => {
                    let why = "namespace needs one of NamespacePath= and Machine=";
                    return Err(self.wrong(&section, "Type", why));
                }
                _ => None,
            });
        }
        found.dedup();
        match found.len() {
            0 => Ok(Namespace::Private),
            1 => Ok(found.remove(0)),
            _ => Err(Error::config(format!(
                "container '{}' is to have several network namespaces",
                self.machine
            ))
            .hint("set one of Private=, NamespacePath= and the types none, empty and namespace")),
        }
    }

    /// The keys of systemd.nspawn(5).
    pub(super) fn nspawn_links(&self, network: &Network) -> Vec<LinkConfig> {
        let asked = network.virtual_ethernet.unwrap_or(network.bridge.is_some() || network.zone.is_some());
        let mut links = Vec::new();
        if asked {
            let port = match (&network.bridge, &network.zone) {
                (Some(bridge), _) => PortOf::Bridge(bridge.clone()),
                (None, Some(zone)) => PortOf::Zone(zone.clone()),
                (None, None) => PortOf::Alone,
            };
            links.push(self.veth(&name(HOST0), port, None));
        }
        for (host, inside) in &network.virtual_ethernet_extra {
            let mut link = self.veth(inside, PortOf::Alone, Some(host.clone()));
            link.section = "Network".to_string();
            links.push(link);
        }
        let mode = Mode::Bridge;
        let plain = |inside: &IfName, mac, driver| self.plain("Network", inside, mac, driver);
        let own = |inside: &IfName| Some(self.mac(inside, Side::Inside));
        links.extend(network.macvlan.iter().map(|(parent, inside)| {
            plain(inside, own(inside), Driver::Macvlan { parent: parent.clone(), mode })
        }));
        links.extend(network.ipvlan.iter().map(|(parent, inside)| {
            plain(inside, None, Driver::Ipvlan { parent: parent.clone(), mode: Mode::L2 })
        }));
        links.extend(
            network
                .physical
                .iter()
                .map(|(parent, inside)| plain(inside, None, Driver::Physical { parent: parent.clone() })),
        );
        links
    }

    /// The link in the managed network.
    pub(super) fn usual(&self) -> LinkConfig {
        LinkConfig { alternative: Some(HOST0), ..self.veth(&name(USUAL), PortOf::Managed, None) }
    }

    /// The link of an `[Interface NAME]` section.
    pub(super) fn interface(&self, interface: &Interface) -> Result<LinkConfig> {
        let inside = interface.name.as_ref().unwrap_or(&interface.section);
        let section = section(interface);
        self.refuse_misplaced(interface)?;
        let parent = || {
            let missing =
                || self.wrong(&section, "Type", "this type needs Parent=, an interface of the host");
            interface.parent.clone().ok_or_else(missing)
        };
        let mode = |usual: Mode, allowed: &[Mode]| match interface.mode {
            None => Ok(usual),
            Some(mode) if allowed.contains(&mode) => Ok(mode),
            Some(_) => Err(self.wrong(&section, "Mode", "this type has no such mode")),
        };
        let own = Some(self.mac(inside, Side::Inside));
        let mut link = match interface.kind {
            Kind::Macvlan => {
                use Mode::{Bridge, Passthru, Private, Vepa};
                let mode = mode(Bridge, &[Bridge, Private, Vepa, Passthru])?;
                // The address of a passthru is its parent's, which it may not change unasked.
                let mac = own.filter(|_| mode != Passthru);
                self.plain(&section, inside, mac, Driver::Macvlan { parent: parent()?, mode })
            }
            Kind::Ipvlan => {
                let mode = mode(Mode::L2, &[Mode::L2, Mode::L3, Mode::L3s])?;
                self.plain(&section, inside, None, Driver::Ipvlan { parent: parent()?, mode })
            }
            Kind::Vlan => {
                let missing = || self.wrong(&section, "Type", "vlan needs VLAN=, its id");
                let id = interface.vlan.ok_or_else(missing)?;
                self.plain(&section, inside, None, Driver::Vlan { parent: parent()?, id })
            }
            Kind::Physical => self.plain(&section, inside, None, Driver::Physical { parent: parent()? }),
            _ => self.pair(interface, inside, mode(Mode::Bridge, &[Mode::Bridge, Mode::PointToPoint])?)?,
        };
        link.section = section;
        link.mac = interface.mac.or(link.mac);
        link.mtu = interface.mtu;
        link.addresses = interface.addresses.clone();
        link.gateways = interface.gateways.clone();
        link.dns = interface.dns.clone();
        Ok(link)
    }

    fn pair(&self, interface: &Interface, inside: &IfName, mode: Mode) -> Result<LinkConfig> {
        let section = section(interface);
        let port = match (mode, &interface.bridge, &interface.zone) {
            (_, Some(_), Some(_)) => {
                return Err(self.wrong(
                    &section,
                    "Zone",
                    "a link is a port of one bridge, and Bridge= names another",
                ));
            }
            (Mode::PointToPoint, None, None) => PortOf::Alone,
            (Mode::PointToPoint, ..) => {
                return Err(self.wrong(&section, "Mode", "a point-to-point link is no port of a bridge"));
            }
            (_, Some(bridge), None) if bridge.as_str() == BRIDGE => PortOf::Managed,
            (_, Some(bridge), None) => PortOf::Bridge(bridge.clone()),
            (_, None, Some(zone)) => PortOf::Zone(zone.clone()),
            (_, None, None) => PortOf::Managed,
        };
        let mut link = self.veth(inside, port, interface.host_name.clone());
        if link.is_managed() {
            self.refuse_unmanaged(interface)?;
            // Only one can be what networkd inside looks for.
            link.alternative = (inside.as_str() == USUAL).then_some(HOST0);
        }
        if interface.routed && !link.is_managed() {
            return Err(self.wrong(&section, "Routed", "only a link in the managed network has this"));
        }
        if let Driver::Veth(veth) = &mut link.driver {
            veth.queues = interface.queues;
            veth.isolated = interface.isolated;
            veth.routed = interface.routed;
            veth.filter = interface.filter.unwrap_or(veth.filter);
            veth.allowed = interface.allowed_addresses.clone();
            if veth.port == PortOf::Alone && veth.filter {
                return Err(self.wrong(&section, "Filter", "only a port of a bridge has this"));
            }
            if !veth.filter && !veth.allowed.is_empty() {
                let why = "the link has no filter, which Filter=yes turns on";
                return Err(self.wrong(&section, "AllowedAddress", why));
            }
            veth.vlan = interface.vlan;
            veth.rate_in = interface.rate_in;
            veth.rate_out = interface.rate_out;
            if veth.port == PortOf::Alone && (veth.isolated || veth.vlan.is_some()) {
                let key = if veth.isolated { "Isolated" } else { "VLAN" };
                return Err(self.wrong(&section, key, "only a port of a bridge has this"));
            }
        }
        Ok(link)
    }

    fn veth(&self, inside: &IfName, port: PortOf, host_name: Option<IfName>) -> LinkConfig {
        let prefix = if port == PortOf::Alone { "ve-" } else { "vb-" };
        // The first link of a machine has the plain name.
        let first = [USUAL, HOST0].contains(&inside.as_str());
        let outside = match host_name {
            Some(short) => HostName { short, full: None },
            None => HostName::of(prefix, self.machine, Some(inside).filter(|_| !first)),
        };
        let filter = port == PortOf::Managed;
        let veth = Veth {
            outside: outside.short,
            full: outside.full,
            outside_mac: self.mac(inside, Side::Outside),
            port,
            queues: None,
            isolated: false,
            routed: false,
            filter,
            allowed: Vec::new(),
            vlan: None,
            rate_in: None,
            rate_out: None,
        };
        self.plain("Network", inside, Some(self.mac(inside, Side::Inside)), Driver::Veth(veth))
    }

    fn plain(&self, section: &str, inside: &IfName, mac: Option<Mac>, driver: Driver) -> LinkConfig {
        LinkConfig {
            section: section.to_string(),
            name: inside.clone(),
            alternative: None,
            driver,
            mac,
            mtu: None,
            addresses: Vec::new(),
            gateways: Vec::new(),
            dns: Vec::new(),
        }
    }

    fn mac(&self, inside: &IfName, side: Side) -> Mac {
        tag::mac(self.host_id, self.machine.as_str(), inside.as_str(), side)
    }
}

pub(super) fn section(interface: &Interface) -> String {
    format!("Interface {}", interface.section)
}

/// A name of ours.
fn name(name: &'static str) -> IfName {
    match IfName::new(name) {
        Some(name) => name,
        None => unreachable!("'{name}' is the name of an interface"),
    }
}
