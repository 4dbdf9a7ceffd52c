//! DNS in the managed network: answers for the names of containers; everything else is passed on to the name server of
//! the host.
//!
//! systemd-resolved has no way to learn of names that are in no `/etc/hosts`, before version 258; guests without it
//! speak neither LLMNR nor mDNS; and a file of hosts in each guest would take the place of the guest's own. So names are
//! answered by a process of our own, see [`service`](super::service).

/// DNS messages.
pub mod message;
/// The guest's resolv.conf.
pub mod resolv;
/// Questions, their answers, and who is asked.
mod responder;
/// Room for questions of each container.
mod shares;
/// Questions by TCP.
mod stream;

use std::net::IpAddr;

pub use self::responder::Responder;

use self::message::{Code, Question, Record};
use self::shares::Owner;
use super::managed::leases::Table;

/// The domain in which every container has its name, too, for resolvers that ask for no name without one.
pub const DOMAIN: &str = "ctl.internal";
/// The host, as seen from containers.
pub const GATEWAY: &str = "_gateway";

/// Addresses and their names in lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hosts(Vec<(IpAddr, String)>);

impl Hosts {
    /// The names of all that have an address.
    pub fn of(table: &Table) -> Hosts {
        let gateway = table.addresses().map(|prefix| (prefix.address, GATEWAY.to_string()));
        let machines = table.leases.iter().flat_map(|lease| {
            let name = lease.machine.as_str().to_ascii_lowercase();
            [(lease.address.into(), name.clone()), (table.address6(lease.mac).into(), name)]
        });
        Hosts(gateway.into_iter().chain(machines).collect())
    }

    /// The addresses of a name.
    pub fn addresses(&self, name: &str) -> Vec<IpAddr> {
        self.0.iter().filter(|(_, known)| known == name).map(|(address, _)| *address).collect()
    }

    /// The owner of an address.
    fn owner(&self, address: IpAddr) -> Owner {
        let found = self.0.iter().find(|(known, _)| *known == address.to_canonical());
        found.map_or(Owner::Other, |(_, name)| Owner::Machine(name.clone()))
    }

    /// The answer to a question; `None`: somebody else knows.
    fn look_up(&self, question: &Question) -> Option<(Code, Vec<Record>)> {
        if let Some(address) = question.reversed() {
            let found = self.0.iter().find(|(known, _)| *known == address)?;
            let name = if found.1 == GATEWAY { GATEWAY.to_string() } else { format!("{}.{DOMAIN}", found.1) };
            return Some((Code::Done, vec![Record::Name(name)]));
        }
        let within = question.name.strip_suffix(DOMAIN).map(|rest| rest.trim_end_matches('.'));
        let addresses = self.addresses(within.unwrap_or(&question.name));
        match addresses.is_empty() {
            false => Some((Code::Done, addresses.into_iter().map(Record::Address).collect())),
            true if within == Some("") => Some((Code::Done, Vec::new())),
            // A name without a dot is nobody's outside, and says too much there.
            true if within.is_some() || !question.name.contains('.') => Some((Code::NoName, Vec::new())),
            true => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(name: &str) -> Option<(Code, usize)> {
        let known = [("10.0.0.1", "_gateway"), ("10.0.0.7", "p1"), ("fd00::7", "p1"), ("10.0.0.8", "a.b")];
        let host = |(address, name): (&str, &str)| (address.parse().expect("address"), name.to_string());
        let hosts = Hosts(known.map(host).to_vec());
        let mut message = vec![0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split('.') {
            message.push(label.len() as u8);
            message.extend_from_slice(label.as_bytes());
        }
        message.extend_from_slice(&[0, 0, 255, 0, 1]);
        let question = message::parse(&message).expect("question");
        hosts.look_up(&question).map(|(code, records)| (code, records.len()))
    }

    #[test]
    fn containers_are_known_with_and_without_the_domain_and_others_are_not_ours() {
        for name in ["p1", "P1", "p1.ctl.internal"] {
            assert_eq!(asked(name), Some((Code::Done, 2)), "{name}");
        }
        assert_eq!(asked("a.b"), Some((Code::Done, 1)));
        assert_eq!(asked("ctl.internal"), Some((Code::Done, 0)));
        for name in ["p2", "p2.ctl.internal"] {
            assert_eq!(asked(name), Some((Code::NoName, 0)), "{name}");
        }
        assert_eq!(asked("debian.org"), None);
        assert_eq!(asked("7.0.0.10.in-addr.arpa"), Some((Code::Done, 1)));
        assert_eq!(asked("9.0.0.10.in-addr.arpa"), None);
    }
}
