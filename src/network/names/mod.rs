//! Names in the managed network: a responder on the bridge's addresses, which answers for containers and passes
//! everything else on to the name servers of the host.
//!
//! systemd-resolved has no way to learn of names that are in no `/etc/hosts`, before version 258; guests without it
//! speak neither LLMNR nor mDNS; and a file of hosts in each guest would take the place of the guest's own. So this is a
//! process of its own, without any right but that to its port, started when the bridge is made.
//!
//! What it knows is one small file in the syntax of hosts(5), written whenever an address is given out.

/// DNS messages.
mod message;
/// The guest's resolv.conf.
pub mod resolv;
/// The loop.
mod serve;
/// Questions by TCP.
mod stream;

use std::net::IpAddr;
use std::path::Path;

pub use self::serve::serve;

use self::message::{Code, Question, Record};

/// The domain in which every container has its name, too, for resolvers that ask for no name without one.
pub const DOMAIN: &str = "ctl.internal";
/// The host, as seen from containers.
pub const GATEWAY: &str = "_gateway";

/// Who has which addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hosts(Vec<(IpAddr, String)>);

impl Hosts {
    /// Of lines `ADDRESS NAME`; any other line is skipped.
    pub fn parse(text: &str) -> Hosts {
        let line = |line: &str| {
            let (address, name) = line.split_once(' ')?;
            Some((address.parse().ok()?, name.trim().to_ascii_lowercase()))
        };
        Hosts(text.lines().filter_map(line).collect())
    }

    /// Reads the file; nobody is known where it is not there.
    pub fn read(path: &Path) -> Hosts {
        Hosts::parse(&std::fs::read_to_string(path).unwrap_or_default())
    }

    /// The addresses of a name.
    pub fn addresses(&self, name: &str) -> Vec<IpAddr> {
        self.0.iter().filter(|(_, known)| known == name).map(|(address, _)| *address).collect()
    }

    /// What is said to a question; `None`: somebody else knows.
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
        let hosts = Hosts::parse("10.0.0.1 _gateway\n10.0.0.7 p1\nfd00::7 p1\n10.0.0.8 a.b\nnonsense\n");
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
