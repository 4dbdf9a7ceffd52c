//! From settings to links: what `[Network]` and the `[Interface NAME]` sections amount to. Pure.

mod refuse;
mod resolver;

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use serde::Serialize;

use self::resolver::Resolver;
use crate::config::Definition;
use crate::config::network::{IfName, Kind, Mac, Mode, Port, Prefix};
use crate::config::settings::Readiness;
use crate::error::{Error, Result};
use crate::name::MachineName;
use crate::network::managed::BRIDGE;
use crate::network::tag::Tag;

/// The network namespace of a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Namespace {
    /// A new one.
    Private,
    /// The host's.
    Host,
    /// An existing namespace at this path.
    Path(PathBuf),
    /// That of another container.
    Machine(String),
}

/// The network of a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NetworkConfig {
    /// Network namespace.
    pub namespace: Namespace,
    /// Links, in the order in which they are set up.
    pub links: Vec<LinkConfig>,
    /// Ports of the host that lead there.
    pub ports: Vec<Port>,
}

/// One link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LinkConfig {
    /// Section of the definition that asks for it.
    #[serde(skip)]
    pub section: String,
    /// Name inside.
    pub name: IfName,
    /// Another name that it has inside.
    pub alternative: Option<&'static str>,
    /// Type of link.
    pub driver: Driver,
    /// MAC address inside; the kernel's or the parent's if not given.
    pub mac: Option<Mac>,
    /// Largest packet in bytes.
    pub mtu: Option<u32>,
    /// Addresses set from outside.
    pub addresses: Vec<Prefix>,
    /// Routers.
    pub gateways: Vec<IpAddr>,
    /// Name servers.
    pub dns: Vec<IpAddr>,
}

/// Type of a link, with the settings of that type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase", tag = "type")]
pub enum Driver {
    /// A pair.
    Veth(Veth),
    /// On an interface of the host, with an address of its own.
    Macvlan {
        /// That interface.
        parent: IfName,
        /// The mode, which decides whether links of one parent reach each other.
        mode: Mode,
    },
    /// On an interface of the host, with that one's address.
    Ipvlan {
        /// That interface.
        parent: IfName,
        /// Frames or packets.
        mode: Mode,
    },
    /// A VLAN of an interface of the host.
    Vlan {
        /// That interface.
        parent: IfName,
        /// VLAN ID.
        id: u16,
    },
    /// An interface of the host.
    Physical {
        /// Name on the host.
        parent: IfName,
    },
}

/// Settings of a veth pair.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Veth {
    /// Name of the outer end.
    pub outside: IfName,
    /// The same in full, where it is too long for the kernel.
    pub full: Option<String>,
    /// MAC address of the outer end.
    pub outside_mac: Mac,
    /// Bridge of the outer end.
    pub port: PortOf,
    /// Queues for sending and for receiving.
    pub queues: Option<u32>,
    /// Kept from its neighbours.
    pub isolated: bool,
    /// Reached from elsewhere than the managed bridge without a forwarded port.
    pub routed: bool,
    /// Frames from the container are filtered.
    pub filter: bool,
    /// Addresses and networks that pass the filter beside the link's own.
    pub allowed: Vec<Prefix>,
    /// VLAN of the port.
    pub vlan: Option<u16>,
    /// Bits per second towards the container.
    pub rate_in: Option<u64>,
    /// Bits per second from it.
    pub rate_out: Option<u64>,
}

/// Bridge that the outer end of a pair is a port of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PortOf {
    /// The managed bridge.
    Managed,
    /// A bridge of the host's.
    Bridge(IfName),
    /// The bridge of a zone.
    Zone(IfName),
    /// Nothing.
    Alone,
}

impl LinkConfig {
    /// Whether it is a port of the managed bridge.
    pub fn is_managed(&self) -> bool {
        matches!(&self.driver, Driver::Veth(veth) if veth.port == PortOf::Managed)
    }

    /// Whether frames from the container are filtered.
    pub fn is_filtered(&self) -> bool {
        matches!(&self.driver, Driver::Veth(veth) if veth.filter)
    }

    /// The tag of the link.
    pub fn tag(&self, machine: &MachineName) -> Tag {
        Tag::Link { machine: machine.clone(), interface: self.name.clone() }
    }
}

/// Resolves a container. `host_id` is the host's machine-id(5). Errors are of the definition.
pub fn network(definition: &Definition, machine: &MachineName, host_id: &str) -> Result<NetworkConfig> {
    let network = &definition.settings.network;
    let resolver = Resolver { definition, machine, host_id };
    let namespace = resolver.namespace(network)?;
    let mut links = resolver.nspawn_links(network);
    for interface in network.interfaces.iter().filter(|interface| has_link(interface.kind)) {
        links.push(resolver.interface(interface)?);
    }
    if namespace != Namespace::Private {
        return match links.first() {
            None if network.ports.is_empty() => Ok(NetworkConfig { namespace, links, ports: Vec::new() }),
            None => {
                Err(resolver.wrong("Network", "Port", "the container has no network namespace of its own"))
            }
            Some(link) => Err(Error::config(format!(
                "interface '{}' asks for a network namespace of the container's own, and it has none",
                link.name
            ))
            .hint("give it one, or drop the interface")),
        };
    }
    let asked = network.virtual_ethernet == Some(false) || !network.interfaces.is_empty();
    if links.is_empty() && !asked {
        links.push(resolver.usual());
    }
    resolver.refuse_twins(&links)?;
    if links.is_empty() && definition.settings.exec.notify_ready == Readiness::Network {
        let why = "the container has no link, and would wait for its address in vain";
        return Err(resolver.wrong("Exec", "NotifyReady", why));
    }
    Ok(NetworkConfig { namespace, links, ports: network.ports.clone() })
}

/// The link that a machine has if nothing is said.
pub fn usual(definition: &Definition, machine: &MachineName, host_id: &str) -> LinkConfig {
    Resolver { definition, machine, host_id }.usual()
}

/// Resolves one interface that is added to a running container.
pub fn interface(definition: &Definition, machine: &MachineName, host_id: &str) -> Result<LinkConfig> {
    match &definition.settings.network.interfaces[..] {
        [interface] if has_link(interface.kind) => {
            Resolver { definition, machine, host_id }.interface(interface)
        }
        _ => Err(Error::config("only an interface can be added to a running container, not its namespace")),
    }
}

fn has_link(kind: Kind) -> bool {
    !matches!(kind, Kind::None | Kind::Empty | Kind::Namespace)
}

impl fmt::Display for NetworkConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Namespace::Private => write!(f, "network: a namespace of its own"),
            Namespace::Host => write!(f, "network: the host's"),
            Namespace::Path(path) => write!(f, "network: the namespace at '{}'", path.display()),
            Namespace::Machine(machine) => write!(f, "network: the namespace of container '{machine}'"),
        }?;
        self.links.iter().try_for_each(|link| write!(f, "\n  {link}"))?;
        self.ports.iter().try_for_each(|port| write!(f, "\n  port {port}"))
    }
}

impl fmt::Display for LinkConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.name)?;
        match &self.driver {
            Driver::Veth(veth) => {
                write!(f, "veth, '{}' on the host", veth.outside)?;
                match &veth.port {
                    PortOf::Managed => write!(f, ", a port of '{}'", BRIDGE)?,
                    PortOf::Bridge(bridge) => write!(f, ", a port of '{bridge}'")?,
                    PortOf::Zone(zone) => write!(f, ", a port of 'vz-{zone}'")?,
                    PortOf::Alone => {}
                }
            }
            Driver::Macvlan { parent, .. } => write!(f, "macvlan on '{parent}'")?,
            Driver::Ipvlan { parent, .. } => write!(f, "ipvlan on '{parent}'")?,
            Driver::Vlan { parent, id } => write!(f, "VLAN {id} of '{parent}'")?,
            Driver::Physical { parent } => write!(f, "interface '{parent}' of the host")?,
        }
        self.mac.iter().try_for_each(|mac| write!(f, ", {mac}"))?;
        self.addresses.iter().try_for_each(|address| write!(f, ", {address}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn resolved(text: &str) -> Result<NetworkConfig> {
        let definition = crate::config::parse(Path::new("/p1.conf"), text)?;
        network(&definition, &MachineName::new("p1")?, "0123456789abcdef0123456789abcdef")
    }

    fn lines(text: &str) -> Vec<String> {
        let mut network = resolved(text).expect("resolved");
        network.links.iter_mut().for_each(|link| link.mac = None);
        network.to_string().lines().map(|line| line.trim().to_string()).collect()
    }

    #[test]
    fn a_container_of_which_nothing_is_said_is_in_the_managed_network() {
        let expected =
            ["network: a namespace of its own", "eth0: veth, 'vb-p1' on the host, a port of 'ctl0'"];
        assert_eq!(lines(""), expected);
        assert_eq!(lines("[Interface eth0]\n"), expected);
        assert_eq!(resolved("").expect("resolved").links[0].alternative, Some("host0"));
    }

    #[test]
    fn the_keys_of_nspawn_mean_what_they_mean_there() {
        let second = |text: &str| lines(&format!("[Network]\n{text}\n")).get(1).cloned().unwrap_or_default();
        assert_eq!(second("VirtualEthernet=yes"), "host0: veth, 've-p1' on the host");
        assert_eq!(second("Bridge=br0"), "host0: veth, 'vb-p1' on the host, a port of 'br0'");
        assert_eq!(second("Zone=lan"), "host0: veth, 'vb-p1' on the host, a port of 'vz-lan'");
        assert_eq!(second("MACVLAN=e0"), "mv-e0: macvlan on 'e0'");
        assert_eq!(second("IPVLAN=e0"), "iv-e0: ipvlan on 'e0'");
        assert_eq!(second("Interface=e0:lan"), "lan: interface 'e0' of the host");
        assert_eq!(second("VirtualEthernetExtra=x:y"), "y: veth, 'x' on the host");
        assert_eq!(second("VirtualEthernet=no"), "");
    }

    #[test]
    fn namespaces_of_others_have_no_links_of_ours() {
        assert_eq!(lines("[Network]\nPrivate=no\n"), ["network: the host's"]);
        assert_eq!(lines("[Interface x]\nType=none\n"), ["network: the host's"]);
        assert_eq!(lines("[Interface x]\nType=empty\n"), ["network: a namespace of its own"]);
        assert_eq!(
            lines("[Network]\nNamespacePath=/run/netns/a\n"),
            ["network: the namespace at '/run/netns/a'"]
        );
        let both = resolved("[Network]\nPrivate=no\n[Interface eth0]\n").expect_err("refused");
        assert!(both.message().contains("'eth0' asks for a network namespace"), "{both}");
    }

    #[test]
    fn what_does_not_fit_is_refused_where_it_stands() {
        for (text, expected) in [
            ("[Interface eth0]\nType=macvlan\n", "/p1.conf:2: Type=: this type needs Parent="),
            ("[Interface eth0]\nType=vlan\nParent=e0\n", "/p1.conf:2: Type=: vlan needs VLAN="),
            ("[Interface a]\nMode=l3\n", "/p1.conf:2: Mode=: this type has no such mode"),
            ("[Interface a]\nParent=e0\n", "/p1.conf:2: Parent=: this type of link has no such thing"),
            ("[Interface a]\nBridge=b\nZone=z\n", "/p1.conf:3: Zone=: a link is a port of one bridge"),
            ("[Interface a]\nMode=point-to-point\nIsolated=yes\n", "/p1.conf:3: Isolated=: only a port"),
            ("[Interface a]\nType=namespace\n", "/p1.conf:2: Type=: namespace needs one of"),
            ("[Interface a]\nAddress=fd00::1/64\n", "/p1.conf:2: Address=: in the managed network IPv6"),
            ("[Interface a]\nAddress=10.0.0.1 10.0.0.2\n", "/p1.conf:2: Address=: in the managed network an"),
            ("[Interface a]\nGateway=10.0.0.1\n", "/p1.conf:2: Gateway=: in the managed network"),
            ("[Interface a]\nVLAN=7\n", "/p1.conf:2: VLAN=: the managed network has no"),
            (
                "[Interface a]\nType=pasta\n",
                "/p1.conf:2:6: Type=: pasta is the way out of containers without",
            ),
            ("[Interface a]\n[Interface b]\nName=a\n", "/p1.conf:3: Name=: the name 'a' is that of another"),
            (
                "[Exec]\nNotifyReady=network\n[Network]\nVirtualEthernet=no\n",
                "/p1.conf:2: NotifyReady=: the container has no link",
            ),
            ("[Interface lo]\n", "Name=: the name 'lo' is that of the loopback"),
        ] {
            let error = resolved(text).expect_err(text);
            assert!(error.message().starts_with(expected), "{error}");
        }
    }

    #[test]
    fn several_links_have_names_of_their_own() {
        let network = resolved("[Interface eth0]\n[Interface eth1]\nBridge=br0\n").expect("resolved");
        let outside = network.links.iter().filter_map(|link| match &link.driver {
            Driver::Veth(veth) => Some((veth.outside.to_string(), veth.full.clone())),
            _ => None,
        });
        let outside = outside.collect::<Vec<_>>();
        assert_eq!(outside[0], ("vb-p1".to_string(), None));
        assert_eq!(outside[1].1.as_deref(), Some("vb-p1-eth1"));
    }
}
