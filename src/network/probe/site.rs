//! Objects that are made for a probe and removed with it: a network namespace with a port of the bridge, a table of rules that
//! count, the bridge where there was none, and a link for packets to leave by on a host without a route.

use std::fs::{self, File};
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::fcntl::Flock;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};

use super::Packet;
use super::trace::Monitor;
use crate::config::network::{IfName, Mac, Prefix};
use crate::error::{Context, Result};
use crate::network::filter::nft;
use crate::network::link::{Links, New, failed, in_namespace};
use crate::network::managed::leases::Table;
use crate::network::managed::{self, BRIDGE};
use crate::network::service::dhcp;
use crate::network::tag::{self, Side};
use crate::paths::Root;
use crate::sys::pidfd;

/// The host's ends of links: names that its network managers leave alone, as they do the bridge.
const PORT: &str = "ctl0-probe";
const UPLINK: &str = "ctl0-world";
/// Names inside.
const INSIDE: &str = "eth0";
const FAR: &str = "far0";
const RULES: &str = "containerctl_probe";
/// Addresses for documentation (RFC 5737), of which nobody has one.
const WORLD: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
const NEAR: Prefix = Prefix { address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), length: 30 };

/// The objects.
pub struct Site {
    made: Made,
    gateway: Ipv4Addr,
    mac: Mac,
    names: UdpSocket,
    dhcp: UdpSocket,
    _lock: Flock<File>,
}

/// The objects on the host, removed when dropped.
struct Made {
    here: Links,
    bridge: Option<u32>,
}

impl Site {
    /// Makes it. Starts of containers wait until it is gone.
    pub fn make(root: &Root, host_id: &str) -> Result<Site> {
        let lock = managed::lock(root)?;
        let mut here = Links::here()?;
        let table = managed::table(root, &mut here, host_id)?;
        let mut made = Made { here, bridge: None };
        // What an earlier one left that was killed.
        made.take_back();
        let bridge = made.bridge(&table, host_id)?;
        let mac = tag::mac(host_id, "", PORT, Side::Inside);
        nft::run(&rules(mac))?;
        let namespace = namespace()?;
        let address = Prefix { address: table.spare().into(), length: table.length };
        made.plug(PORT, INSIDE, Some(mac), Some(bridge), &namespace)?;
        configure(&namespace, INSIDE, Some((address, table.gateway)))?;
        if !has_route() {
            made.plug(UPLINK, FAR, None, None, &namespace)?;
            configure(&namespace, FAR, None)?;
            let uplink = made.here.require(UPLINK)?.index;
            made.here
                .add_address(uplink, NEAR)
                .map_err(|refusal| failed(&format!("give an address to '{UPLINK}'"), &refusal))?;
        }
        let (names, dhcp) = sockets(&namespace)?;
        Ok(Site { made, gateway: table.gateway, mac, names, dhcp, _lock: lock })
    }

    /// Sends a packet. One that is refused on its way has not arrived.
    pub fn send(&mut self, packet: Packet) {
        let _ = match packet {
            Packet::Names => self.names.send_to(&question(), (self.gateway, packet.port())),
            Packet::World => self.names.send_to(b"containerctl", (WORLD, packet.port())),
            Packet::Dhcp => {
                self.dhcp.send_to(&dhcp::discover(self.mac), (Ipv4Addr::BROADCAST, packet.port()))
            }
        };
    }

    /// Whether the bridge is there for others, too, and so for somebody who answers.
    pub fn is_served(&self) -> bool {
        self.made.bridge.is_none()
    }

    /// The packets that came through all rules.
    pub fn arrived(&self) -> Result<Vec<Packet>> {
        let listed = nft::list(&["list", "counters", "table", "inet", RULES])?;
        let counted = |packet: &Packet| {
            listed["nftables"].as_array().into_iter().flatten().any(|object| {
                let counter = &object["counter"];
                counter["name"] == format!("port{}", packet.port())
                    && counter["packets"].as_u64().is_some_and(|count| count > 0)
            })
        };
        Ok(Packet::ALL.into_iter().filter(counted).collect())
    }

    /// Has the kernel trace what is sent from now on.
    pub fn trace(&self) -> Result<Monitor> {
        let monitor = Monitor::start()?;
        nft::run(&format!(
            "add chain inet {RULES} begin {{ type filter hook prerouting priority -400; }}
add rule inet {RULES} begin ether saddr {} meta nftrace set 1
",
            self.mac
        ))?;
        Ok(monitor)
    }

    /// Whether an answer comes.
    pub fn is_answered(&self, packet: Packet, limit: Duration) -> bool {
        let socket = if packet == Packet::Dhcp { &self.dhcp } else { &self.names };
        let end = Instant::now() + limit;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let timeout = PollTimeout::from(u16::try_from(left.as_millis()).unwrap_or(u16::MAX));
            let mut fds = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
            match poll(&mut fds, timeout) {
                Ok(0) | Err(_) => return false,
                Ok(_) => {}
            }
            let mut buffer = [0; 1500];
            match socket.recv_from(&mut buffer) {
                Ok((_, from)) if from.port() == packet.port() => return true,
                Ok(_) => {}
                // The refusal of another packet, which this socket is told of.
                Err(_) => {}
            }
        }
    }
}

impl Made {
    /// The bridge's number; one that is not there is made.
    fn bridge(&mut self, table: &Table, host_id: &str) -> Result<u32> {
        if let Some(found) = self.here.find(BRIDGE)? {
            managed::require_ours(&found)?;
            return Ok(found.index);
        }
        let index = managed::make_bridge(&mut self.here, table, host_id)?;
        self.bridge = Some(index);
        // Of this link alone; the first container has the whole host forward.
        fs::write(format!("/proc/sys/net/ipv4/conf/{BRIDGE}/forwarding"), "1")
            .context(|| format!("failed to forward what comes in by '{BRIDGE}'"))?;
        Ok(index)
    }

    /// Makes a pair whose outer end is a port of `master`.
    fn plug(
        &mut self,
        outside: &'static str,
        inside: &'static str,
        mac: Option<Mac>,
        master: Option<u32>,
        namespace: &OwnedFd,
    ) -> Result<()> {
        let (outer, inner) = (name(outside), name(inside));
        let new = |name, mac| New { name, mac, mtu: None, queues: Some(1) };
        self.here
            .make_veth(&new(&outer, None), master, &new(&inner, mac), namespace)
            .map_err(|refusal| failed(&format!("create '{outside}'"), &refusal))?;
        let index = self.here.require(outside)?.index;
        self.here.set_up(index).map_err(|refusal| failed(&format!("set '{outside}' up"), &refusal))
    }

    /// Removes all of it; it may be gone.
    fn take_back(&mut self) {
        for link in [PORT, UPLINK] {
            if let Ok(Some(found)) = self.here.find(link) {
                let _ = self.here.delete(found.index);
            }
        }
        let _ = self.bridge.take().map(|bridge| self.here.delete(bridge));
        if let Err(error) = nft::run(&format!("destroy table inet {RULES}\n")) {
            log::warn!("{error}, ignoring");
        }
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        self.take_back();
    }
}

/// Rules behind all others, which count what gets there.
fn rules(mac: Mac) -> String {
    let [names, dhcp, world] = Packet::ALL.map(Packet::port);
    format!(
        "add table inet {RULES}
add counter inet {RULES} port{names}
add counter inet {RULES} port{dhcp}
add counter inet {RULES} port{world}
add chain inet {RULES} input {{ type filter hook input priority 1000000; }}
add rule inet {RULES} input ether saddr {mac} udp dport {names} counter name port{names}
add rule inet {RULES} input ether saddr {mac} udp dport {dhcp} counter name port{dhcp}
add chain inet {RULES} output {{ type filter hook postrouting priority 1000000; }}
add rule inet {RULES} output iifname {BRIDGE} ip daddr {WORLD} udp dport {world} counter name port{world} drop
"
    )
}

/// A new network namespace, which goes with its last descriptor.
fn namespace() -> Result<OwnedFd> {
    let failed = || "failed to make a network namespace";
    let own = File::open("/proc/thread-self/ns/net").context(failed)?;
    unshare(CloneFlags::CLONE_NEWNET).context(failed)?;
    let new = File::open("/proc/thread-self/ns/net");
    pidfd::setns(own.as_fd(), libc::CLONE_NEWNET).context(|| "failed to return from a network namespace")?;
    new.map(OwnedFd::from).context(failed)
}

/// Sets a link of the namespace up, with its address and the way out.
fn configure(namespace: &OwnedFd, link: &str, address: Option<(Prefix, Ipv4Addr)>) -> Result<()> {
    let mut there = Links::of(namespace)?;
    let index = there.require(link)?.index;
    let set_up = there.set_up(index);
    let configured = set_up.and_then(|()| match address {
        None => Ok(()),
        Some((prefix, gateway)) => {
            there.add_address(index, prefix)?;
            there.add_default_route(index, gateway.into())
        }
    });
    configured.map_err(|refusal| failed(&format!("configure '{link}' of a network namespace"), &refusal))
}

/// Whether the host has a way to the world.
fn has_route() -> bool {
    let connected = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).and_then(|socket| socket.connect((WORLD, 9)));
    connected.is_ok()
}

/// Sockets in the namespace: of a client of the name server, and of one of DHCP.
fn sockets(namespace: &OwnedFd) -> Result<(UdpSocket, UdpSocket)> {
    let failed = || "failed to open a socket in a network namespace";
    let open = |port| {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port))?;
        socket.set_broadcast(true)?;
        socket.set_nonblocking(true)?;
        Ok::<_, std::io::Error>(socket)
    };
    in_namespace(namespace, || Ok((open(0).context(failed)?, open(68).context(failed)?)))
}

/// A question for the host's own name in the managed network.
fn question() -> Vec<u8> {
    let mut question = vec![0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 8];
    question.extend_from_slice(b"_gateway\0\0\x01\0\x01");
    question
}

/// A name of ours.
fn name(name: &'static str) -> IfName {
    match IfName::new(name) {
        Some(name) => name,
        None => unreachable!("'{name}' is the name of an interface"),
    }
}
