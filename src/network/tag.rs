//! Tags of links: `containerctl:MACHINE:INTERFACE` in its alias (`/sys/class/net/*/ifalias`), and the names that
//! follow from it.

use crate::config::network::{IfName, Mac};
use crate::name::{MachineName, fnv1a};

/// Prefix of each tag.
const OURS: &str = "containerctl:";

/// Owner of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tag {
    /// One end of a container's link.
    Link {
        /// The container.
        machine: MachineName,
        /// The link's name inside.
        interface: IfName,
    },
    /// The bridge of all containers.
    Managed,
    /// The bridge of a zone.
    Zone,
}

impl Tag {
    /// As it stands in the alias.
    pub fn text(&self) -> String {
        match self {
            Tag::Link { machine, interface } => format!("{OURS}{machine}:{interface}"),
            Tag::Managed => format!("{OURS}:managed"),
            Tag::Zone => format!("{OURS}:zone"),
        }
    }

    /// Of an alias; `None` is somebody else's.
    pub fn parse(alias: &str) -> Option<Tag> {
        let mut parts = alias.strip_prefix(OURS)?.split(':');
        let tag = match (parts.next()?, parts.next()?) {
            ("", "managed") => Tag::Managed,
            ("", "zone") => Tag::Zone,
            (machine, interface) => {
                Tag::Link { machine: MachineName::new(machine).ok()?, interface: IfName::new(interface)? }
            }
        };
        parts.next().is_none().then_some(tag)
    }

    /// Whether it is one of `name`'s links.
    pub fn is_of(&self, name: &MachineName) -> bool {
        matches!(self, Tag::Link { machine, .. } if machine == name)
    }
}

/// A name on the host: as long as the kernel takes it, and in full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostName {
    /// The interface's name.
    pub short: IfName,
    /// The alternative name, where the first is not all.
    pub full: Option<String>,
}

impl HostName {
    /// `PREFIXMACHINE` for the only link, `PREFIXMACHINE-INTERFACE` for others; what is too long, or could be meant
    /// by two pairs of machine and interface, ends in a hash.
    pub fn of(prefix: &str, machine: &MachineName, interface: Option<&IfName>) -> HostName {
        const DIGITS: usize = 5;
        let full = match interface {
            None => format!("{prefix}{machine}"),
            Some(interface) => format!("{prefix}{machine}-{interface}"),
        };
        if let (None, Some(short)) = (interface, IfName::new(&full)) {
            return HostName { short, full: None };
        }
        let room = IfName::MAX - prefix.len() - DIGITS - 1;
        let stem: String = machine.as_str().chars().take(room).collect();
        let hash = base32(fnv1a(&format!("{machine}\0{}", interface.map_or("", IfName::as_str))), DIGITS);
        let short = format!("{prefix}{stem}-{hash}");
        match IfName::new(&short) {
            Some(short) => HostName { short, full: Some(full) },
            // A machine's characters are those of interfaces, and the length was counted above.
            None => unreachable!("'{short}' is the name of an interface"),
        }
    }
}

/// The lowest bits as letters and digits.
fn base32(mut bits: u64, digits: usize) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    // FNV's low bits depend on few of its input's; fold the others in.
    bits ^= bits >> 32;
    let digit = |index: usize| char::from(ALPHABET[(bits >> (5 * index) & 31) as usize]);
    (0..digits).map(digit).collect()
}

/// The two ends of a link have different addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The container's.
    Inside,
    /// The host's.
    Outside,
}

/// The MAC address of a link's end, the same as long as names and the host's machine-id(5) are.
pub fn mac(host_id: &str, machine: &str, interface: &str, side: Side) -> Mac {
    let side = if side == Side::Inside { "inside" } else { "outside" };
    let hash = fnv1a(&format!("{host_id}\0{machine}\0{interface}\0{side}"));
    let [_, _, mut first, b, c, d, e, f] = (hash ^ hash >> 48).to_be_bytes();
    // Locally administered, of one interface.
    first = first & 0xfc | 0x02;
    Mac([first, b, c, d, e, f])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn machine(name: &str) -> MachineName {
        MachineName::new(name).expect("valid")
    }

    fn interface(name: &str) -> IfName {
        IfName::new(name).expect("valid")
    }

    #[test]
    fn a_tag_is_read_as_it_was_written_and_no_other_is() {
        let link = Tag::Link { machine: machine("web-1"), interface: interface("eth0") };
        for tag in [link.clone(), Tag::Managed, Tag::Zone] {
            assert_eq!(Tag::parse(&tag.text()), Some(tag));
        }
        for alias in
            ["", "eth0", "containerctl:", "containerctl:p1", "containerctl:p1:a/b", "containerctl:p1:a:b"]
        {
            assert_eq!(Tag::parse(alias), None, "{alias}");
        }
        assert!(!link.is_of(&machine("web")));
    }

    #[test]
    fn short_names_say_all_and_long_ones_have_an_alternative() {
        let of =
            |name, inside: Option<&str>| HostName::of("vb-", &machine(name), inside.map(interface).as_ref());
        assert_eq!((of("p1", None).short.as_str(), of("p1", None).full), ("vb-p1", None));
        let long = of("a-very-long-name", None);
        assert_eq!(long.full.as_deref(), Some("vb-a-very-long-name"));
        assert!(long.short.as_str().starts_with("vb-a-very-"), "{long:?}");
        assert_ne!(of("p1", Some("eth1")).short, of("p1-eth1", None).short);
    }

    proptest! {
        #[test]
        fn names_fit_and_differ(a in "[a-z][a-z0-9.]{0,40}[a-z0-9]", b in "[a-z]{1,15}") {
            prop_assume!(MachineName::new(&a).is_ok() && IfName::new(&b).is_some());
            let (name, inside) = (machine(&a), interface(&b));
            let first = HostName::of("vb-", &name, None);
            let second = HostName::of("vb-", &name, Some(&inside));
            prop_assert_ne!(&first.short, &second.short);
            prop_assert!(second.full.is_some_and(|full| full.len() < 128));
        }

        #[test]
        fn mac_addresses_are_local_and_of_one(a in any::<String>(), b in any::<String>()) {
            let Mac([first, ..]) = mac(&a, &b, "eth0", Side::Inside);
            prop_assert_eq!(first & 3, 2);
            prop_assert_ne!(mac(&a, &b, "eth0", Side::Inside), mac(&a, &b, "eth0", Side::Outside));
        }
    }
}
