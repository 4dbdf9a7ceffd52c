//! Sockets of one interface alone (`SO_BINDTODEVICE`), which need not wait for its addresses (`IP_FREEBIND`).

use std::ffi::OsString;
use std::io::Result;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;

use nix::sys::socket::{setsockopt, sockopt::BindToDevice};
use rustix::net::ipproto::ICMPV6;
use rustix::net::{AddressFamily, Protocol, SocketFlags, SocketType, bind, listen, socket_with, sockopt};

use crate::network::managed::BRIDGE;
use crate::sys::net::only_icmpv6;

/// Connections that wait to be taken.
const BACKLOG: i32 = 64;

/// A datagram socket that nobody else's stands beside: of two for one port and address, the kernel may prefer either
/// (`SO_REUSEPORT` of the other), and a guest would be answered by chance.
pub fn udp(address: SocketAddr) -> Result<UdpSocket> {
    let socket = open(address.ip(), SocketType::DGRAM, None)?;
    bind(&socket, &address)?;
    Ok(socket.into())
}

/// A datagram socket beside those of other programs for other links or for all, each of which allows it.
pub fn shared_udp(address: SocketAddr) -> Result<UdpSocket> {
    let socket = open(address.ip(), SocketType::DGRAM, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    bind(&socket, &address)?;
    Ok(socket.into())
}

/// A listening stream socket.
pub fn tcp(address: SocketAddr) -> Result<TcpListener> {
    let socket = open(address.ip(), SocketType::STREAM, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    bind(&socket, &address)?;
    listen(&socket, BACKLOG)?;
    Ok(socket.into())
}

/// A socket for messages of ICMPv6 of this type, from and to neighbours only. It takes `CAP_NET_RAW`.
pub fn icmpv6(kind: u8) -> Result<OwnedFd> {
    let socket = open(IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED), SocketType::RAW, Some(ICMPV6))?;
    only_icmpv6(&socket, kind)?;
    sockopt::set_ipv6_unicast_hops(&socket, Some(255))?;
    sockopt::set_ipv6_multicast_hops(&socket, 255)?;
    sockopt::set_ipv6_multicast_loop(&socket, false)?;
    Ok(socket)
}

fn open(address: IpAddr, kind: SocketType, protocol: Option<Protocol>) -> Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, kind, flags, protocol)?;
    setsockopt(&socket, BindToDevice, &OsString::from(BRIDGE))?;
    if address.is_ipv4() {
        sockopt::set_ip_freebind(&socket, true)?;
    } else {
        sockopt::set_ipv6_freebind(&socket, true)?;
    }
    Ok(socket)
}
