//! DHCP for IPv4 (RFC 2131), as far as guests need it that ask for the address that they have already. Whatever comes in
//! was written by a container; the packet filter has seen to it that the hardware address in it is the container's own.
//!
//! Containers are answered from the table of leases. Anything else that somebody plugged into the bridge, such as a
//! virtual machine, gets an address of a small pool, for as long as this process runs.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use crate::config::network::Mac;
use crate::name::fnv1a;
use crate::network::managed::leases::{FIRST, LENGTH, Table};
use crate::network::names::DOMAIN;

/// Seconds for which an address is given; a client asks again after half of them.
const LEASE: u32 = 3600;
/// Hosts' parts of the pool's addresses, of the part of the range that containers get none of.
const POOL: std::ops::Range<u32> = 10..FIRST - 46;
/// The shortest message that all clients take (RFC 1542, section 2.1).
const SHORTEST: usize = 300;
/// The offset of the options, behind the cookie.
const OPTIONS: usize = 240;
const COOKIE: [u8; 4] = [99, 130, 83, 99];
/// Ethernet, and the length of its addresses.
const HARDWARE: [u8; 2] = [1, 6];

/// Option codes (RFC 2132).
mod option {
    pub const MASK: u8 = 1;
    pub const ROUTER: u8 = 3;
    pub const NAME_SERVER: u8 = 6;
    pub const DOMAIN: u8 = 15;
    pub const REQUESTED: u8 = 50;
    pub const LEASE: u8 = 51;
    pub const KIND: u8 = 53;
    pub const SERVER: u8 = 54;
    pub const CLIENT: u8 = 61;
    pub const END: u8 = 255;
}

/// Message types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Discover = 1,
    Offer = 2,
    Request = 3,
    Ack = 5,
    Nak = 6,
    Inform = 8,
}

/// A client's request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    kind: Kind,
    id: [u8; 4],
    flags: [u8; 2],
    /// The address that the client has.
    has: Ipv4Addr,
    mac: Mac,
    /// The address that it asks for, and the server whose offer it takes.
    wants: Option<Ipv4Addr>,
    server: Option<Ipv4Addr>,
    /// The client's own identifier, which is repeated in the answer (RFC 6842).
    client: Option<Vec<u8>>,
}

/// An answer, and where it goes: to the client's address, or to all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The message.
    pub message: Vec<u8>,
    /// The receiver, at port 68.
    pub to: Ipv4Addr,
}

/// Reads a client's message; `None` is one that needs no answer.
pub fn parse(message: &[u8]) -> Option<Request> {
    const BY_CLIENT: u8 = 1;
    let bytes = |at: usize| message.get(at..at + 4).and_then(|bytes| <[u8; 4]>::try_from(bytes).ok());
    let relay = bytes(24)?;
    if message[0] != BY_CLIENT || message[1..3] != HARDWARE || relay != [0; 4] || bytes(236)? != COOKIE {
        return None;
    }
    let options = message.get(OPTIONS..)?;
    let address = |code| {
        options_of(options)
            .find(|(found, _)| *found == code)
            .and_then(|(_, value)| <[u8; 4]>::try_from(value).ok().map(Ipv4Addr::from))
    };
    let kind = match options_of(options).find(|(code, _)| *code == option::KIND)?.1 {
        [1] => Kind::Discover,
        [3] => Kind::Request,
        [8] => Kind::Inform,
        _ => return None,
    };
    let client = options_of(options).find(|(code, _)| *code == option::CLIENT);
    Some(Request {
        kind,
        id: bytes(4)?,
        flags: [message[10], message[11]],
        has: bytes(12)?.into(),
        mac: Mac(message.get(28..34)?.try_into().ok()?),
        wants: address(option::REQUESTED),
        server: address(option::SERVER),
        client: client.map(|(_, value)| value.to_vec()),
    })
}

/// The message of a client that looks for servers.
pub fn discover(mac: Mac) -> Vec<u8> {
    let mut message = vec![0; OPTIONS];
    message[0] = 1;
    message[1..3].copy_from_slice(&HARDWARE);
    message[4..8].copy_from_slice(&mac.0[2..]);
    message[28..34].copy_from_slice(&mac.0);
    message[236..].copy_from_slice(&COOKIE);
    message.extend_from_slice(&[option::KIND, 1, Kind::Discover as u8, option::END]);
    message.resize(SHORTEST, 0);
    message
}

/// Codes and values; what is cut short ends them.
fn options_of(mut bytes: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    const PAD: u8 = 0;
    std::iter::from_fn(move || {
        while bytes.first() == Some(&PAD) {
            bytes = &bytes[1..];
        }
        let (code, length) = (*bytes.first()?, usize::from(*bytes.get(1)?));
        if code == option::END {
            return None;
        }
        let value = bytes.get(2..2 + length)?;
        bytes = &bytes[2 + length..];
        Some((code, value))
    })
}

/// Addresses that were given to others than containers.
#[derive(Debug, Default)]
pub struct Pool(BTreeMap<Ipv4Addr, Mac>);

impl Pool {
    /// The answer to a request; `None`: it is somebody else's to answer.
    pub fn answer(&mut self, request: &Request, table: &Table) -> Option<Answer> {
        let address = self.address(request, table);
        let asked = request.wants.unwrap_or(request.has);
        let (kind, given) = match request.kind {
            Kind::Discover => (Kind::Offer, address?),
            Kind::Inform => (Kind::Ack, Ipv4Addr::UNSPECIFIED),
            _ if request.server.is_some_and(|server| server != table.gateway) => return None,
            _ if address == Some(asked) => (Kind::Ack, asked),
            _ => (Kind::Nak, Ipv4Addr::UNSPECIFIED),
        };
        let is_reached = kind != Kind::Nak && !request.has.is_unspecified();
        let to = if is_reached { request.has } else { Ipv4Addr::BROADCAST };
        Some(Answer { message: message(request, kind, given, table), to })
    }

    /// The address of a client: a container's own, or one of the pool.
    fn address(&mut self, request: &Request, table: &Table) -> Option<Ipv4Addr> {
        if let Some(lease) = table.leases.iter().find(|lease| lease.mac == request.mac) {
            return Some(lease.address);
        }
        if let Some((address, _)) = self.0.iter().find(|(_, mac)| **mac == request.mac) {
            return Some(*address);
        }
        let address = self.free(request, table)?;
        self.0.insert(address, request.mac);
        Some(address)
    }

    /// A free address of the pool: the one that the client had before this process knew of it, or one by its MAC address.
    fn free(&self, request: &Request, table: &Table) -> Option<Ipv4Addr> {
        // A range that somebody made smaller has no part for others than containers.
        let range = (table.length <= LENGTH).then_some(POOL)?;
        let base = u32::from(table.gateway) & (u32::MAX << (32 - table.length));
        let count = range.end - range.start;
        let first = (fnv1a(&request.mac.to_string()) % u64::from(count)) as u32;
        let by_mac = (0..count).map(|step| Ipv4Addr::from(base + range.start + (first + step) % count));
        let is_ours = |address: &Ipv4Addr| range.contains(&u32::from(*address).wrapping_sub(base));
        let had = request.wants.into_iter().chain([request.has]).filter(is_ours);
        had.chain(by_mac).find(|address| *address != table.gateway && !self.0.contains_key(address))
    }
}

/// The answer's message.
fn message(request: &Request, kind: Kind, given: Ipv4Addr, table: &Table) -> Vec<u8> {
    const BY_SERVER: u8 = 2;
    let mut message = vec![0; OPTIONS];
    message[0] = BY_SERVER;
    message[1..3].copy_from_slice(&HARDWARE);
    message[4..8].copy_from_slice(&request.id);
    message[10..12].copy_from_slice(&request.flags);
    if kind != Kind::Nak {
        message[12..16].copy_from_slice(&request.has.octets());
    }
    message[16..20].copy_from_slice(&given.octets());
    message[28..34].copy_from_slice(&request.mac.0);
    message[236..].copy_from_slice(&COOKIE);
    let mut put = |code: u8, value: &[u8]| {
        message.extend_from_slice(&[code, value.len() as u8]);
        message.extend_from_slice(value);
    };
    let gateway = table.gateway.octets();
    put(option::KIND, &[kind as u8]);
    put(option::SERVER, &gateway);
    if kind != Kind::Nak {
        if !given.is_unspecified() {
            put(option::LEASE, &LEASE.to_be_bytes());
        }
        put(option::MASK, &(u32::MAX << (32 - table.length)).to_be_bytes());
        put(option::ROUTER, &gateway);
        put(option::NAME_SERVER, &gateway);
        put(option::DOMAIN, DOMAIN.as_bytes());
    }
    if let Some(client) = &request.client {
        put(option::CLIENT, client);
    }
    message.push(option::END);
    message.resize(message.len().max(SHORTEST), 0);
    message
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::network::IfName;
    use crate::name::MachineName;
    use proptest::prelude::*;

    const P1: Mac = Mac([2, 0, 0, 0, 0, 1]);
    const STRANGER: Mac = Mac([2, 0, 0, 0, 0, 9]);

    fn table() -> (Table, Ipv4Addr) {
        let mut table = Table::begin("id", &[]).expect("range");
        let (p1, eth0) = (MachineName::new("p1").expect("valid"), IfName::new("eth0").expect("valid"));
        let (address, _) = table.lease(&p1, &eth0, P1, None).expect("lease");
        (table, address)
    }

    fn asked(kind: u8, mac: Mac, has: Ipv4Addr, options: &[(u8, &[u8])]) -> Vec<u8> {
        let mut message = vec![0; OPTIONS];
        message[..3].copy_from_slice(&[1, 1, 6]);
        message[4..8].copy_from_slice(b"abcd");
        message[12..16].copy_from_slice(&has.octets());
        message[28..34].copy_from_slice(&mac.0);
        message[236..].copy_from_slice(&COOKIE);
        for (code, value) in [&[(option::KIND, &[kind][..])], options].concat() {
            message.extend_from_slice(&[0, code, value.len() as u8]);
            message.extend_from_slice(value);
        }
        message.push(option::END);
        message
    }

    /// Type, address and receiver of an answer.
    fn told(pool: &mut Pool, table: &Table, message: &[u8]) -> Option<(u8, Ipv4Addr, Ipv4Addr)> {
        let answer = pool.answer(&parse(message).expect("request"), table)?;
        assert_eq!((&answer.message[4..8], answer.message.len() >= SHORTEST), (&message[4..8], true));
        let options = options_of(&answer.message[OPTIONS..]).collect::<BTreeMap<_, _>>();
        let given: [u8; 4] = answer.message[16..20].try_into().expect("four");
        Some((options[&option::KIND][0], given.into(), answer.to))
    }

    #[test]
    fn a_container_is_given_the_address_that_it_has() {
        let ((table, address), mut pool) = (table(), Pool::default());
        let (none, all) = (Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST);
        let wanted = (option::REQUESTED, &address.octets()[..]);
        let server = (option::SERVER, &table.gateway.octets()[..]);
        let mut tell = |kind, has, options: &[_]| told(&mut pool, &table, &asked(kind, P1, has, options));
        assert_eq!(tell(1, none, &[]), Some((2, address, all)));
        assert_eq!(tell(3, none, &[wanted, server]), Some((5, address, all)));
        assert_eq!(tell(3, none, &[wanted]), Some((5, address, all)), "after a reboot");
        assert_eq!(tell(3, address, &[]), Some((5, address, address)), "once more");
        assert_eq!(tell(8, address, &[]), Some((5, none, address)), "for the rest alone");
        assert_eq!(tell(3, none, &[(option::REQUESTED, &[10, 0, 0, 9])]), Some((6, none, all)));
        assert_eq!(tell(3, none, &[wanted, (option::SERVER, &[10, 0, 0, 9])]), None, "another server");
    }

    #[test]
    fn somebody_else_is_given_one_that_no_container_can_have() {
        let ((table, _), mut pool) = (table(), Pool::default());
        let none = Ipv4Addr::UNSPECIFIED;
        let offer = asked(1, STRANGER, none, &[]);
        let (_, first, _) = told(&mut pool, &table, &offer).expect("offer");
        assert_eq!(told(&mut pool, &table, &offer).map(|told| told.1), Some(first));
        assert!(POOL.contains(&(u32::from(first) + 1 - u32::from(table.gateway))));
        // The next process does not know of it, and gives it again.
        let again = asked(3, STRANGER, first, &[]);
        assert_eq!(told(&mut Pool::default(), &table, &again), Some((5, first, first)));
        for number in 10..=u8::MAX {
            told(&mut pool, &table, &asked(1, Mac([2, 0, 0, 0, 1, number]), none, &[]));
        }
        assert_eq!(pool.0.len(), POOL.len());
        assert_eq!(told(&mut pool, &table, &asked(1, P1, none, &[])).map(|told| told.0), Some(2));
    }

    #[test]
    fn a_client_of_our_own_is_understood() {
        let (table, address) = table();
        assert_eq!(told(&mut Pool::default(), &table, &discover(P1)).map(|told| told.1), Some(address));
    }

    #[test]
    fn what_is_no_request_is_not_answered() {
        let good = asked(1, P1, Ipv4Addr::UNSPECIFIED, &[]);
        assert!(parse(&good).is_some());
        for (at, byte) in [(0, 2), (2, 16), (24, 1), (239, 0), (243, 2)] {
            let mut wrong = good.clone();
            wrong[at] = byte;
            assert_eq!(parse(&wrong), None, "{at}");
        }
        assert_eq!(parse(&good[..OPTIONS]), None);
    }

    proptest! {
        #[test]
        fn no_message_panics(mut message in prop::collection::vec(any::<u8>(), 0..400), header in any::<bool>()) {
            if header && message.len() >= OPTIONS {
                message[..3].copy_from_slice(&[1, 1, 6]);
                message[24..28].fill(0);
                message[236..240].copy_from_slice(&COOKIE);
            }
            if let Some(request) = parse(&message) {
                let (table, _) = table();
                if let Some(answer) = Pool::default().answer(&request, &table) {
                    prop_assert!((SHORTEST..1000).contains(&answer.message.len()));
                }
            }
        }
    }
}
