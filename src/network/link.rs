//! Links of one network namespace: found, made, changed, deleted (rtnetlink(7)).

use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::SockProtocol;

use super::netlink::{Message, Refusal, Socket, attribute, attributes, number, text};
use super::tag::Tag;
use crate::config::network::{IfName, Mac, Prefix};
use crate::error::{Cause, Context, Error, Result};
use crate::sys::pidfd;

/// linux/if_link.h: `struct br_boolopt_multi`, values and the mask of those that are set.
const IFLA_BR_MULTI_BOOLOPT: u16 = 46;
/// linux/if_bridge.h: `BR_BOOLOPT_NO_LL_LEARN`.
const NO_LINK_LOCAL_LEARN: u32 = 1;
/// linux/veth.h
const VETH_INFO_PEER: u16 = 1;
/// linux/if_link.h: hairpin mode.
const IFLA_BRPORT_MODE: u16 = 4;
/// linux/if_link.h
const IFLA_BRPORT_LEARNING: u16 = 8;
/// linux/if_link.h
const IFLA_BRPORT_UNICAST_FLOOD: u16 = 9;
/// linux/if_link.h
const IFLA_BRPORT_MULTICAST_ROUTER: u16 = 25;
/// linux/if_link.h
const IFLA_BRPORT_ISOLATED: u16 = 33;
/// linux/neighbour.h: the entry of an address does not move to another port.
const NTF_STICKY: u8 = 0x40;
/// linux/neighbour.h
const NDA_VLAN: u16 = 5;
/// Length of `struct ndmsg`.
const NDMSG: usize = 12;
/// linux/if_bridge.h
const IFLA_BRIDGE_VLAN_INFO: u16 = 2;
/// linux/if_bridge.h: the VLAN of frames without a tag, and of those that leave without.
const PVID_UNTAGGED: u16 = 2 | 4;
/// linux/if_bridge.h: the first and the last of many.
const VLAN_RANGE_BEGIN: u16 = 8;
const VLAN_RANGE_END: u16 = 16;
/// linux/rtnetlink.h
const RTM_NEWLINKPROP: u16 = 108;
/// linux/rtnetlink.h: the router is on the link, whatever the addresses say.
const RTNH_F_ONLINK: u32 = 4;
/// Length of `struct ifinfomsg`.
const IFINFO: usize = 16;
/// Length of `struct ifaddrmsg`.
const IFADDR: usize = 8;

/// A link as it was found.
#[derive(Clone, Debug, Default)]
pub struct Link {
    /// Interface number.
    pub index: u32,
    /// The name.
    pub name: String,
    /// Alternative names.
    pub alternatives: Vec<String>,
    /// Alias.
    pub alias: String,
    /// The kernel's word for its type; none for most hardware.
    pub kind: Option<String>,
    /// MAC address.
    pub mac: Option<Mac>,
    /// Largest packet in bytes.
    pub mtu: u32,
    /// The bridge that it is a port of.
    pub master: Option<u32>,
    /// An administrator has set it up.
    pub is_up: bool,
    /// It is the namespace's own loopback interface.
    pub is_loopback: bool,
    /// Bytes and packets received and sent.
    pub counters: Counters,
}

/// Traffic of a link, as the link itself counts it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counters {
    /// Bytes received.
    pub rx_bytes: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Packets received.
    pub rx_packets: u64,
    /// Packets sent.
    pub tx_packets: u64,
}

impl Link {
    /// The tag in the alias.
    pub fn tag(&self) -> Option<Tag> {
        Tag::parse(&self.alias)
    }

    fn parse(payload: &[u8]) -> Option<Link> {
        let flags: u32 = number(payload.get(8..12)?)?;
        let mut link = Link {
            index: number(payload.get(4..8)?)?,
            is_up: flags & libc::IFF_UP as u32 != 0,
            is_loopback: flags & libc::IFF_LOOPBACK as u32 != 0,
            ..Link::default()
        };
        for (kind, value) in attributes(payload.get(IFINFO..)?) {
            match kind {
                libc::IFLA_IFNAME => link.name = text(value),
                libc::IFLA_IFALIAS => link.alias = text(value),
                libc::IFLA_ADDRESS => link.mac = value.try_into().ok().map(Mac),
                libc::IFLA_MTU => link.mtu = number(value)?,
                libc::IFLA_MASTER => link.master = number(value),
                libc::IFLA_LINKINFO => link.kind = attribute(value, libc::IFLA_INFO_KIND).map(text),
                libc::IFLA_PROP_LIST => {
                    link.alternatives = attributes(value).map(|(_, name)| text(name)).collect()
                }
                libc::IFLA_STATS64 => link.counters = Counters::parse(value).unwrap_or_default(),
                _ => {}
            }
        }
        Some(link)
    }
}

impl Counters {
    /// The beginning of `struct rtnl_link_stats64`.
    fn parse(value: &[u8]) -> Option<Counters> {
        let at =
            |index: usize| Some(u64::from_ne_bytes(value.get(index * 8..index * 8 + 8)?.try_into().ok()?));
        Some(Counters { rx_packets: at(0)?, tx_packets: at(1)?, rx_bytes: at(2)?, tx_bytes: at(3)? })
    }
}

/// A link to be made in another namespace on one of the host's, or as the other end of one.
pub struct New<'a> {
    /// The name.
    pub name: &'a IfName,
    /// MAC address, if not the kernel's choice.
    pub mac: Option<Mac>,
    /// Largest packet in bytes, if not the kernel's choice.
    pub mtu: Option<u32>,
    /// Queues for sending and for receiving.
    pub queues: Option<u32>,
}

impl New<'_> {
    fn write(&self, message: &mut Message) {
        message.put_str(libc::IFLA_IFNAME, self.name.as_str());
        if let Some(mac) = self.mac {
            message.put(libc::IFLA_ADDRESS, &mac.0);
        }
        if let Some(mtu) = self.mtu {
            message.put_u32(libc::IFLA_MTU, mtu);
        }
        if let Some(queues) = self.queues {
            message.put_u32(libc::IFLA_NUM_TX_QUEUES, queues).put_u32(libc::IFLA_NUM_RX_QUEUES, queues);
        }
    }
}

/// The links of one network namespace.
pub struct Links(Socket);

impl Links {
    /// Of the namespace that the caller is in.
    pub fn here() -> Result<Links> {
        Socket::open(SockProtocol::NetlinkRoute).map(Links).context(|| "failed to open a netlink socket")
    }

    /// Of another namespace.
    pub fn of(namespace: &OwnedFd) -> Result<Links> {
        in_namespace(namespace, Links::here)
    }

    /// The link of this name or alternative name.
    pub fn find(&mut self, name: &str) -> Result<Option<Link>> {
        let mut message = Message::new(libc::RTM_GETLINK, 0, &[0; IFINFO]);
        let kind = if name.len() <= IfName::MAX { libc::IFLA_IFNAME } else { libc::IFLA_ALT_IFNAME };
        message.put_str(kind, name);
        match self.0.get(message) {
            Ok(payload) => Ok(Link::parse(&payload)),
            Err(Refusal { errno: Errno::ENODEV, .. }) => Ok(None),
            Err(refusal) => Err(refusal).context(|| format!("failed to look for interface '{name}'")),
        }
    }

    /// The link of this number.
    pub fn by_index(&mut self, index: u32) -> Result<Option<Link>> {
        match self.0.get(Message::new(libc::RTM_GETLINK, 0, &ifinfo(index, Admin::Same))) {
            Ok(payload) => Ok(Link::parse(&payload)),
            Err(Refusal { errno: Errno::ENODEV, .. }) => Ok(None),
            Err(refusal) => Err(refusal).context(|| format!("failed to look for interface {index}")),
        }
    }

    /// The link of this name, which must be there.
    pub fn require(&mut self, name: &str) -> Result<Link> {
        self.find(name)?.ok_or_else(|| Error::failed(format!("interface '{name}' is gone")))
    }

    /// All of them.
    pub fn all(&mut self) -> Result<Vec<Link>> {
        let found = self.0.dump(|| Message::new(libc::RTM_GETLINK, 0, &[0; IFINFO]));
        let found = found.context(|| "failed to list interfaces")?;
        Ok(found.iter().filter_map(|payload| Link::parse(payload)).collect())
    }

    /// Makes a bridge.
    pub fn make_bridge(&mut self, name: &IfName, mac: Mac) -> Result<(), Refusal> {
        let mut message = make();
        New { name, mac: Some(mac), mtu: None, queues: None }.write(&mut message);
        message.nest(libc::IFLA_LINKINFO, |info| {
            info.put_str(libc::IFLA_INFO_KIND, "bridge").nest(libc::IFLA_INFO_DATA, |data| {
                // Frames to 01:80:c2:00:00:0X are for the port alone and say nothing of where an address is.
                data.put(IFLA_BR_MULTI_BOOLOPT, &[NO_LINK_LOCAL_LEARN.to_ne_bytes(); 2].concat());
            });
        });
        self.0.change(message)
    }

    /// Makes a pair: `outer` here, as a port of `master` where one is given, `inner` in `namespace`.
    pub fn make_veth(
        &mut self,
        outer: &New,
        master: Option<u32>,
        inner: &New,
        namespace: &OwnedFd,
    ) -> Result<(), Refusal> {
        let mut message = make();
        outer.write(&mut message);
        if let Some(master) = master {
            message.put_u32(libc::IFLA_MASTER, master);
        }
        message.nest(libc::IFLA_LINKINFO, |info| {
            info.put_str(libc::IFLA_INFO_KIND, "veth").nest(libc::IFLA_INFO_DATA, |data| {
                data.nest(VETH_INFO_PEER, |peer| {
                    inner.write(peer.raw(&[0; IFINFO]));
                    peer.put_u32(libc::IFLA_NET_NS_FD, namespace.as_raw_fd() as u32);
                });
            });
        });
        self.0.change(message)
    }

    /// Makes a link of `kind` on the host's link `parent`, in `namespace`; `data` writes what the kind wants to know.
    pub fn make_on(
        &mut self,
        parent: u32,
        new: &New,
        namespace: &OwnedFd,
        kind: &str,
        data: impl FnOnce(&mut Message),
    ) -> Result<(), Refusal> {
        let mut message = make();
        new.write(&mut message);
        message.put_u32(libc::IFLA_LINK, parent);
        message.put_u32(libc::IFLA_NET_NS_FD, namespace.as_raw_fd() as u32);
        message.nest(libc::IFLA_LINKINFO, |info| {
            info.put_str(libc::IFLA_INFO_KIND, kind).nest(libc::IFLA_INFO_DATA, data);
        });
        self.0.change(message)
    }

    /// Moves a link into another namespace, where it has another name.
    pub fn hand_over(&mut self, index: u32, name: &IfName, namespace: &OwnedFd) -> Result<(), Refusal> {
        let mut message = change(index, Admin::Down);
        message.put_u32(libc::IFLA_NET_NS_FD, namespace.as_raw_fd() as u32);
        message.put_str(libc::IFLA_IFNAME, name.as_str());
        self.0.change(message)
    }

    /// Writes the tag of a link.
    pub fn mark(&mut self, index: u32, tag: Option<&Tag>) -> Result<(), Refusal> {
        let mut message = change(index, Admin::Same);
        message.put(libc::IFLA_IFALIAS, tag.map(Tag::text).unwrap_or_default().as_bytes());
        self.0.change(message)
    }

    /// Gives a link another name.
    pub fn rename(&mut self, index: u32, name: &IfName) -> Result<(), Refusal> {
        let mut message = change(index, Admin::Same);
        message.put_str(libc::IFLA_IFNAME, name.as_str());
        self.0.change(message)
    }

    /// Adds an alternative name; one that the link has already is fine.
    pub fn add_alternative(&mut self, index: u32, name: &str) -> Result<(), Refusal> {
        let flags = libc::NLM_F_CREATE | libc::NLM_F_EXCL | libc::NLM_F_APPEND;
        let mut message = Message::new(RTM_NEWLINKPROP, flags, &ifinfo(index, Admin::Same));
        message.nest(libc::IFLA_PROP_LIST | libc::NLA_F_NESTED as u16, |list| {
            list.put_str(libc::IFLA_ALT_IFNAME, name);
        });
        self.0.change(message)
    }

    /// Sets a link's address and largest packet.
    pub fn adjust(&mut self, index: u32, mac: Option<Mac>, mtu: Option<u32>) -> Result<(), Refusal> {
        let mut message = change(index, Admin::Same);
        if let Some(mac) = mac {
            message.put(libc::IFLA_ADDRESS, &mac.0);
        }
        if let Some(mtu) = mtu {
            message.put_u32(libc::IFLA_MTU, mtu);
        }
        self.0.change(message)
    }

    /// Sets a link up.
    pub fn set_up(&mut self, index: u32) -> Result<(), Refusal> {
        self.0.change(change(index, Admin::Up))
    }

    /// Keeps a bridge's port from others of its kind.
    pub fn isolate(&mut self, index: u32) -> Result<(), Refusal> {
        self.change_port(index, &[(IFLA_BRPORT_ISOLATED, 1)])
    }

    /// Lets a bridge's port have back what came by it.
    pub fn reflect(&mut self, index: u32) -> Result<(), Refusal> {
        self.change_port(index, &[(IFLA_BRPORT_MODE, 1)])
    }

    /// Pins one MAC address to a port of a bridge: the bridge learns nothing
    /// from it, floods nothing to it, and takes no multicast router to be there.
    pub fn pin_address(&mut self, index: u32, mac: Mac, vlan: Option<u16>) -> Result<(), Refusal> {
        const NOTHING: [(u16, u8); 3] =
            [(IFLA_BRPORT_LEARNING, 0), (IFLA_BRPORT_UNICAST_FLOOD, 0), (IFLA_BRPORT_MULTICAST_ROUTER, 0)];
        self.change_port(index, &NOTHING)?;
        let mut header = [0; NDMSG];
        header[0] = libc::AF_BRIDGE as u8;
        header[4..8].copy_from_slice(&index.to_ne_bytes());
        header[8..10].copy_from_slice(&libc::NUD_NOARP.to_ne_bytes());
        header[10] = libc::NTF_MASTER | NTF_STICKY;
        let flags = libc::NLM_F_CREATE | libc::NLM_F_REPLACE;
        let mut message = Message::new(libc::RTM_NEWNEIGH, flags, &header);
        message.put(libc::NDA_LLADDR, &mac.0);
        if let Some(vlan) = vlan {
            message.put(NDA_VLAN, &vlan.to_ne_bytes());
        }
        self.0.change(message)
    }

    /// Sets flags of a bridge's port.
    fn change_port(&mut self, index: u32, flags: &[(u16, u8)]) -> Result<(), Refusal> {
        let mut message = change(index, Admin::Same);
        message.nest(libc::IFLA_PROTINFO | libc::NLA_F_NESTED as u16, |info| {
            for (flag, value) in flags {
                info.put(*flag, &[*value]);
            }
        });
        // A change of a port, not of the link that it is.
        message.set_family(libc::AF_BRIDGE as u8);
        self.0.change(message)
    }

    /// Puts a bridge's port into this VLAN, without tags, and into no other.
    pub fn set_vlan(&mut self, index: u32, id: u16) -> Result<(), Refusal> {
        // The bridge has put it into its default one.
        let all = [(VLAN_RANGE_BEGIN, 1), (VLAN_RANGE_END, 4094)];
        let leave = Message::new(libc::RTM_DELLINK, 0, &ifinfo(index, Admin::Same));
        self.0.change(port_vlans(leave, &all))?;
        self.0.change(port_vlans(change(index, Admin::Same), &[(PVID_UNTAGGED, id)]))
    }

    /// Deletes a link; one that has gone is fine.
    pub fn delete(&mut self, index: u32) -> Result<(), Refusal> {
        match self.0.change(Message::new(libc::RTM_DELLINK, 0, &ifinfo(index, Admin::Same))) {
            Err(Refusal { errno: Errno::ENODEV, .. }) => Ok(()),
            other => other,
        }
    }

    /// Adds an address; one that is there already is fine.
    pub fn add_address(&mut self, index: u32, prefix: Prefix) -> Result<(), Refusal> {
        let (family, bytes) = parts(prefix.address);
        let mut header = [family, prefix.length, 0, 0, 0, 0, 0, 0];
        header[4..8].copy_from_slice(&index.to_ne_bytes());
        let flags = libc::NLM_F_CREATE | libc::NLM_F_REPLACE;
        let mut message = Message::new(libc::RTM_NEWADDR, flags, &header);
        message.put(libc::IFA_LOCAL, &bytes).put(libc::IFA_ADDRESS, &bytes);
        if let IpAddr::V4(address) = prefix.address
            && prefix.length < 31
        {
            let broadcast = u32::from(address) | (u32::MAX >> prefix.length);
            message.put(libc::IFA_BROADCAST, &broadcast.to_be_bytes());
        }
        // Nobody else has it; waiting for an answer to that question would only delay the container.
        message.put_u32(libc::IFA_FLAGS, libc::IFA_F_NODAD | libc::IFA_F_PERMANENT);
        self.0.change(message)
    }

    /// Adds the route to the rest of the world, unless there is one (EEXIST). The router may be off every network that the link has an address in.
    pub fn add_default_route(&mut self, index: u32, gateway: IpAddr) -> Result<(), Refusal> {
        let (family, bytes) = parts(gateway);
        let unspecified = 0;
        let header = [
            family,
            0,
            0,
            unspecified,
            libc::RT_TABLE_MAIN,
            libc::RTPROT_STATIC,
            libc::RT_SCOPE_UNIVERSE,
            libc::RTN_UNICAST,
        ];
        let flags = libc::NLM_F_CREATE | libc::NLM_F_EXCL;
        let onlink = RTNH_F_ONLINK.to_ne_bytes();
        let mut message = Message::new(libc::RTM_NEWROUTE, flags, &[&header[..], &onlink].concat());
        message.put(libc::RTA_GATEWAY, &bytes).put_u32(libc::RTA_OIF, index);
        self.0.change(message)
    }

    /// All addresses: number of the link, and the address.
    pub fn addresses(&mut self) -> Result<Vec<(u32, Prefix)>> {
        Ok(self.raw_addresses()?.iter().filter_map(|payload| address(payload)).collect())
    }

    /// The same as the kernel writes it: `struct ifaddrmsg` and what follows.
    pub fn raw_addresses(&mut self) -> Result<Vec<Vec<u8>>> {
        let found = self.0.dump(|| Message::new(libc::RTM_GETADDR, 0, &[0; IFADDR]));
        found.context(|| "failed to list addresses")
    }

    /// The destinations of all routes but default ones.
    pub fn routes(&mut self) -> Result<Vec<Prefix>> {
        let found = self.0.dump(|| Message::new(libc::RTM_GETROUTE, 0, &[0; 12]));
        let found = found.context(|| "failed to list routes")?;
        Ok(found.iter().filter_map(|payload| destination(payload)).collect())
    }
}

/// Does something in another network namespace, such as opening a socket, which then stays there. Only the calling thread
/// goes there (setns(2)).
pub fn in_namespace<T>(namespace: &OwnedFd, open: impl FnOnce() -> Result<T>) -> Result<T> {
    let failed = || "failed to enter a network namespace";
    let own = std::fs::File::open("/proc/thread-self/ns/net").context(failed)?;
    pidfd::setns(namespace.as_fd(), libc::CLONE_NEWNET).context(failed)?;
    let opened = open();
    pidfd::setns(own.as_fd(), libc::CLONE_NEWNET).context(|| "failed to return from a network namespace")?;
    opened
}

/// Change of `IFF_UP`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Admin {
    Same,
    Up,
    Down,
}

/// `struct ifinfomsg`.
fn ifinfo(index: u32, admin: Admin) -> [u8; IFINFO] {
    let up = (libc::IFF_UP as u32).to_ne_bytes();
    let mut header = [0; IFINFO];
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    if admin == Admin::Up {
        header[8..12].copy_from_slice(&up);
    }
    if admin != Admin::Same {
        header[12..16].copy_from_slice(&up);
    }
    header
}

fn make() -> Message {
    Message::new(libc::RTM_NEWLINK, libc::NLM_F_CREATE | libc::NLM_F_EXCL, &[0; IFINFO])
}

fn change(index: u32, admin: Admin) -> Message {
    Message::new(libc::RTM_SETLINK, 0, &ifinfo(index, admin))
}

/// A change of a bridge's port: VLANs by flags and number.
fn port_vlans(mut message: Message, vlans: &[(u16, u16)]) -> Message {
    message.nest(libc::IFLA_AF_SPEC | libc::NLA_F_NESTED as u16, |spec| {
        for (flags, id) in vlans {
            spec.put(IFLA_BRIDGE_VLAN_INFO, &[flags.to_ne_bytes(), id.to_ne_bytes()].concat());
        }
    });
    message.set_family(libc::AF_BRIDGE as u8);
    message
}

fn parts(address: IpAddr) -> (u8, Vec<u8>) {
    match address {
        IpAddr::V4(address) => (libc::AF_INET as u8, address.octets().to_vec()),
        IpAddr::V6(address) => (libc::AF_INET6 as u8, address.octets().to_vec()),
    }
}

/// An address of its four or sixteen bytes.
fn ip(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => Some(<[u8; 4]>::try_from(bytes).ok()?.into()),
        16 => Some(<[u8; 16]>::try_from(bytes).ok()?.into()),
        _ => None,
    }
}

/// `struct ifaddrmsg` and what follows.
fn address(payload: &[u8]) -> Option<(u32, Prefix)> {
    let (length, index) = (*payload.get(1)?, number(payload.get(4..8)?)?);
    let rest = payload.get(IFADDR..)?;
    let value = attribute(rest, libc::IFA_LOCAL).or_else(|| attribute(rest, libc::IFA_ADDRESS))?;
    Some((index, Prefix { address: ip(value)?, length }))
}

/// `struct rtmsg` and what follows.
fn destination(payload: &[u8]) -> Option<Prefix> {
    let length = *payload.get(1).filter(|length| **length > 0)?;
    let value = attribute(payload.get(12..)?, libc::RTA_DST)?;
    Some(Prefix { address: ip(value)?, length })
}

/// The sentence for a refusal.
pub fn failed(what: &str, refusal: &Refusal) -> Error {
    Error::failed(format!("failed to {what}: {}", refusal.cause()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_interface_has_its_addresses() {
        let mut links = Links::here().expect("socket");
        let lo = links.find("lo").expect("found").expect("there");
        assert_eq!((lo.name.as_str(), lo.tag()), ("lo", None));
        let addresses = links.addresses().expect("addresses");
        assert!(addresses.iter().any(|(index, prefix)| *index == lo.index && prefix.address.is_loopback()));
        assert!(links.find("no-such-link").expect("asked").is_none());
        assert!(links.find("no-such-link-with-a-long-name").expect("asked").is_none());
        assert!(links.all().expect("all").iter().any(|link| link.index == lo.index));
    }
}
