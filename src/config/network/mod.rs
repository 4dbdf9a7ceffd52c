//! `[Network]` and `[Interface NAME]`: what a definition says of its links.

/// Parsers of their values.
pub(super) mod values;

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use serde::Serialize;

use crate::name::MachineName;

/// `[Network]`, and the `[Interface NAME]` sections. The keys of systemd.nspawn(5) mean what they mean there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// `Private=`: a network namespace of its own, the default; off shares the host's.
    pub private: bool,
    /// `NamespacePath=`: a network namespace that is there already.
    pub namespace_path: Option<PathBuf>,
    /// `VirtualEthernet=`; not given, a container without other links has one in the managed network.
    pub virtual_ethernet: Option<bool>,
    /// `VirtualEthernetExtra=`: more point-to-point links, name on the host and inside.
    pub virtual_ethernet_extra: Vec<(IfName, IfName)>,
    /// `Bridge=` of the virtual Ethernet link.
    pub bridge: Option<IfName>,
    /// `Zone=` of the virtual Ethernet link.
    pub zone: Option<IfName>,
    /// `MACVLAN=`: parent, and name inside.
    pub macvlan: Vec<(IfName, IfName)>,
    /// `IPVLAN=`: parent, and name inside.
    pub ipvlan: Vec<(IfName, IfName)>,
    /// `Interface=`: an interface of the host, and its name inside.
    pub physical: Vec<(IfName, IfName)>,
    /// `Port=`.
    pub ports: Vec<Port>,
    /// The `[Interface NAME]` sections, in the order of their first lines.
    pub interfaces: Vec<Interface>,
}

impl Default for Network {
    fn default() -> Network {
        Network {
            private: true,
            namespace_path: None,
            virtual_ethernet: None,
            virtual_ethernet_extra: Vec::new(),
            bridge: None,
            zone: None,
            macvlan: Vec::new(),
            ipvlan: Vec::new(),
            physical: Vec::new(),
            ports: Vec::new(),
            interfaces: Vec::new(),
        }
    }
}

impl Network {
    /// The section of this name, begun now unless there is one.
    pub(super) fn interface(&mut self, name: IfName) -> &mut Interface {
        let known = self.interfaces.iter().position(|interface| interface.section == name);
        let index = known.unwrap_or_else(|| {
            self.interfaces.push(Interface::new(name));
            self.interfaces.len() - 1
        });
        &mut self.interfaces[index]
    }
}

/// One `[Interface NAME]` section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// The section's name, which is the interface's unless `Name=` says otherwise.
    pub section: IfName,
    /// `Type=`.
    pub kind: Kind,
    /// `Name=`: its name inside.
    pub name: Option<IfName>,
    /// `HostName=`: its name on the host.
    pub host_name: Option<IfName>,
    /// `Mode=`.
    pub mode: Option<Mode>,
    /// `Parent=`: the host's interface that it is made on, or that is handed over.
    pub parent: Option<IfName>,
    /// `Bridge=`: a bridge of the host.
    pub bridge: Option<IfName>,
    /// `Zone=`: a bridge that all of this zone share.
    pub zone: Option<IfName>,
    /// `NamespacePath=`, of the type namespace.
    pub namespace_path: Option<PathBuf>,
    /// `Machine=`, of the type namespace.
    pub machine: Option<MachineName>,
    /// `MACAddress=`.
    pub mac: Option<Mac>,
    /// `MTU=` in bytes.
    pub mtu: Option<u32>,
    /// `Address=`.
    pub addresses: Vec<Prefix>,
    /// `Gateway=`.
    pub gateways: Vec<IpAddr>,
    /// `DNS=`.
    pub dns: Vec<IpAddr>,
    /// `VLAN=`: the id of a VLAN, or that of a bridge's port.
    pub vlan: Option<u16>,
    /// `Queues=` for sending and for receiving.
    pub queues: Option<u32>,
    /// `Isolated=`.
    pub isolated: bool,
    /// `Routed=`.
    pub routed: bool,
    /// `Filter=`: on in the managed network, off elsewhere, unless given.
    pub filter: Option<bool>,
    /// `AllowedAddress=`: addresses and networks that the container may send from beside its own.
    pub allowed_addresses: Vec<Prefix>,
    /// `RateIn=`: bits per second towards the container.
    pub rate_in: Option<u64>,
    /// `RateOut=`: bits per second from the container.
    pub rate_out: Option<u64>,
}

impl Interface {
    /// An interface section without keys.
    pub fn new(section: IfName) -> Interface {
        Interface {
            section,
            kind: Kind::Veth,
            name: None,
            host_name: None,
            mode: None,
            parent: None,
            bridge: None,
            zone: None,
            namespace_path: None,
            machine: None,
            mac: None,
            mtu: None,
            addresses: Vec::new(),
            gateways: Vec::new(),
            dns: Vec::new(),
            vlan: None,
            queues: None,
            isolated: false,
            routed: false,
            filter: None,
            allowed_addresses: Vec::new(),
            rate_in: None,
            rate_out: None,
        }
    }
}

/// `Type=` of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// `veth`: a pair, one end of which stays on the host.
    Veth,
    /// `macvlan`: on an interface of the host, with a MAC address of its own.
    Macvlan,
    /// `ipvlan`: on an interface of the host, with that one's MAC address.
    Ipvlan,
    /// `vlan`: an 802.1Q VLAN of an interface of the host.
    Vlan,
    /// `physical`: an interface of the host itself.
    Physical,
    /// `none`: the host's network.
    None,
    /// `empty`: nothing but a loopback interface.
    Empty,
    /// `namespace`: a network namespace that is there already.
    Namespace,
}

/// `Mode=`; which of them there are depends on the type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// veth: the host's end is a port of a bridge. macvlan: those of one parent reach each other.
    Bridge,
    /// veth: the host's end stands by itself; networkd's own `80-container-ve.network` serves it.
    PointToPoint,
    /// macvlan: those of one parent do not reach each other.
    Private,
    /// macvlan: they reach each other through a switch that sends frames back.
    Vepa,
    /// macvlan: the parent is this one's alone.
    Passthru,
    /// ipvlan: frames.
    L2,
    /// ipvlan: packets.
    L3,
    /// ipvlan: packets that pass the host's filters.
    L3s,
}

/// A name that the kernel takes for an interface: 1 to 15 characters, none of `/`, `:`, `%` and white space.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct IfName(String);

impl IfName {
    /// Longest name, `IFNAMSIZ` less its zero byte.
    pub const MAX: usize = 15;

    /// Checks `name`. The words that sysctl(8) has another meaning for are none.
    pub fn new(name: &str) -> Option<IfName> {
        let printable = name.bytes().all(|b| b.is_ascii_graphic() && !b"/:%\"'\\".contains(&b));
        let reserved = [".", "..", "all", "default"].contains(&name);
        let number = name.bytes().all(|b| b.is_ascii_digit());
        (!name.is_empty() && name.len() <= Self::MAX && printable && !reserved && !number)
            .then(|| IfName(name.to_string()))
    }

    /// The name as given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for IfName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The address of an Ethernet interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(pub [u8; 6]);

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl Serialize for Mac {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Reads a MAC address.
pub fn mac(text: &str) -> Option<Mac> {
    values::mac(text).ok()
}

/// Reads what `Port=` takes; the error is the end of a sentence.
pub fn port(text: &str) -> Result<Port, String> {
    values::port(text).map_err(|wrong| wrong.why)
}

/// An address with the length of its network's prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Prefix {
    /// The address.
    pub address: IpAddr,
    /// Bits.
    pub length: u8,
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

impl Serialize for Prefix {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// `Port=`: a port of the host that leads into the container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Port {
    /// The protocol that is forwarded.
    pub protocol: Protocol,
    /// The host's.
    pub host: u16,
    /// The container's.
    pub container: u16,
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.protocol, self.host, self.container)
    }
}

/// A transport protocol with ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// `tcp`.
    Tcp,
    /// `udp`.
    Udp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        })
    }
}
