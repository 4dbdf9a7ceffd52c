//! Router advertisements (RFC 4861) for guests that configure IPv6 themselves: the network's prefix, its router, and the
//! domain of its names (RFC 8106).

use std::fs;
use std::net::{Ipv6Addr, SocketAddrV6};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::net::{RecvFlags, SendFlags, SocketAddrAny, recvfrom, sendto, sockopt};

use super::sockets;
use crate::config::network::{Mac, mac};
use crate::network::managed::BRIDGE;
use crate::network::names::DOMAIN;

/// ICMPv6 types.
const SOLICITATION: u8 = 133;
const ADVERTISEMENT: u8 = 134;
/// All nodes, and all routers, of a link.
const NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
/// Seconds for which a guest may use the router and the domain: the longest that there is (RFC 4861, section 6.2.1).
const LIFETIME: u32 = 9000;
/// Seconds for which addresses of the prefix are valid and preferred, as the same section has them by default.
const VALID: u32 = 30 * 24 * 3600;
const PREFERRED: u32 = 7 * 24 * 3600;
/// Between two advertisements to all that nobody asked for.
const PERIOD: Duration = Duration::from_secs(300);
/// Between two advertisements to all (RFC 4861, `MIN_DELAY_BETWEEN_RAS`).
const PAUSE: Duration = Duration::from_secs(3);
/// Solicitations that are answered before somebody else has a turn.
const AT_A_TIME: usize = 16;

/// The router's side of the link.
pub struct Router {
    socket: OwnedFd,
    index: u32,
    mac: Mac,
    sent: Option<Instant>,
    next: Instant,
}

impl Router {
    /// Opens the socket of the bridge, whose number is `index`. It fails on a host without IPv6.
    pub fn open(index: u32) -> std::io::Result<Router> {
        let socket = sockets::icmpv6(SOLICITATION)?;
        sockopt::set_ipv6_multicast_if(&socket, index)?;
        sockopt::set_ipv6_add_membership(&socket, &ROUTERS, index)?;
        let address = fs::read_to_string(format!("/sys/class/net/{BRIDGE}/address"))?;
        let mac = mac(address.trim()).ok_or(std::io::ErrorKind::InvalidData)?;
        Ok(Router { socket, index, mac, sent: None, next: Instant::now() })
    }

    /// The socket on which solicitations come.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// The time until the next advertisement to all.
    pub fn due(&self) -> Duration {
        self.next.saturating_duration_since(Instant::now())
    }

    /// Answers solicitations, and tells all when that is due.
    pub fn step(&mut self, prefix: Ipv6Addr) {
        let mut buffer = [0; 256];
        for _ in 0..AT_A_TIME {
            let Ok((_, length, from)) = recvfrom(&self.socket, &mut buffer[..], RecvFlags::TRUNC) else {
                break;
            };
            let asker = from.and_then(|from| SocketAddrV6::try_from(from).ok());
            if let Some(asker) = asker.filter(|_| is_solicitation(&buffer[..length.min(256)])) {
                self.answer(*asker.ip(), prefix);
            }
        }
        let now = Instant::now();
        if now >= self.next {
            // Without an address to send from, as on a bridge without ports, it fails until there is one.
            self.send(NODES, prefix);
            self.sent = Some(now);
            self.next = now + PERIOD;
        }
    }

    /// Answers one that has an address alone, and one that has none along with all others, not too often.
    fn answer(&mut self, asker: Ipv6Addr, prefix: Ipv6Addr) {
        if asker.is_unicast_link_local() {
            self.send(asker, prefix);
        } else if asker.is_unspecified() {
            let allowed = self.sent.map_or(self.next, |sent| sent + PAUSE);
            self.next = self.next.min(allowed);
        }
    }

    fn send(&self, to: Ipv6Addr, prefix: Ipv6Addr) {
        let to = SocketAddrAny::from(SocketAddrV6::new(to, 0, 0, self.index));
        // Whoever is not reached asks again.
        let _ = sendto(&self.socket, &advertisement(prefix, self.mac), SendFlags::empty(), &to);
    }
}

/// Whether a message asks for a router.
fn is_solicitation(message: &[u8]) -> bool {
    message.len() >= 8 && message[..2] == [SOLICITATION, 0]
}

/// The message; the kernel fills in the checksum.
fn advertisement(prefix: Ipv6Addr, mac: Mac) -> Vec<u8> {
    const HOPS: u8 = 64;
    const ON_LINK_AND_AUTONOMOUS: u8 = 0xc0;
    let lifetime = LIFETIME.to_be_bytes();
    let mut message = vec![ADVERTISEMENT, 0, 0, 0, HOPS, 0];
    message.extend_from_slice(&(LIFETIME as u16).to_be_bytes());
    // Neither time that a neighbour is reachable, nor between two questions.
    message.extend_from_slice(&[0; 8]);
    message.extend_from_slice(&[1, 1]);
    message.extend_from_slice(&mac.0);
    message.extend_from_slice(&[3, 4, 64, ON_LINK_AND_AUTONOMOUS]);
    message.extend_from_slice(&[VALID.to_be_bytes(), PREFERRED.to_be_bytes(), [0; 4]].concat());
    message.extend_from_slice(&prefix.octets());
    let domain = domain(DOMAIN);
    message.extend_from_slice(&[31, (domain.len() / 8 + 1) as u8, 0, 0]);
    message.extend_from_slice(&lifetime);
    message.extend_from_slice(&domain);
    message
}

/// A name in labels, filled up with zero bytes to eight.
fn domain(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.split('.') {
        bytes.push(label.len() as u8);
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.push(0);
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_advertisement_has_router_prefix_and_domain_and_its_options_fill_it() {
        let message = advertisement("fd00:1::".parse().expect("prefix"), Mac([2, 0, 0, 0, 0, 1]));
        assert_eq!((message[0], &message[6..8]), (ADVERTISEMENT, &9000_u16.to_be_bytes()[..]));
        let (mut at, mut kinds) = (16, Vec::new());
        while at < message.len() {
            kinds.push(message[at]);
            at += usize::from(message[at + 1]) * 8;
        }
        assert_eq!((kinds, at), (vec![1, 3, 31], message.len()));
        assert!(message.windows(4).any(|part| part == b"\x03ctl"));
    }

    #[test]
    fn only_a_solicitation_is_one() {
        assert!(is_solicitation(&[SOLICITATION, 0, 0, 0, 0, 0, 0, 0]));
        for wrong in [&[][..], &[SOLICITATION, 0, 0], &[ADVERTISEMENT, 0, 0, 0, 0, 0, 0, 0]] {
            assert!(!is_solicitation(wrong));
        }
    }
}
