//! Parsers of what `[Network]` and `[Interface NAME]` hold.

use std::net::IpAddr;

use super::{IfName, Kind, Mac, Mode, Port, Prefix, Protocol};
use crate::config::values::{Parsed, Wrong, number};
use crate::config::words;
use crate::name::MachineName;

/// The name of an interface.
pub fn interface(text: &str) -> Parsed<IfName> {
    let wrong = || {
        Wrong::new(format!(
            "'{text}' is not the name of an interface: 1 to 15 characters, no blank, '/', ':' or '%'"
        ))
    };
    IfName::new(text).ok_or_else(wrong)
}

/// `Zone=`: what is left of a name beside `vz-`.
pub fn zone(text: &str) -> Parsed<IfName> {
    match IfName::new(text) {
        Some(name) if text.len() <= IfName::MAX - "vz-".len() => Ok(name),
        _ => Err(Wrong::new(format!("'{text}' is not the name of a zone: 1 to 12 characters"))),
    }
}

/// `HOST[:INSIDE]…` of `Interface=` and `VirtualEthernetExtra=`: the name inside is the host's unless given.
pub fn same_inside(text: &str) -> Parsed<Vec<(IfName, IfName)>> {
    pairs(text, |host| Ok(host.clone()))
}

/// `PARENT[:INSIDE]…` of `MACVLAN=`: `mv-PARENT` inside unless given.
pub fn macvlan(text: &str) -> Parsed<Vec<(IfName, IfName)>> {
    pairs(text, |parent| prefixed("mv-", parent))
}

/// `PARENT[:INSIDE]…` of `IPVLAN=`: `iv-PARENT` inside unless given.
pub fn ipvlan(text: &str) -> Parsed<Vec<(IfName, IfName)>> {
    pairs(text, |parent| prefixed("iv-", parent))
}

fn prefixed(prefix: &str, parent: &IfName) -> Parsed<IfName> {
    let name = format!("{prefix}{parent}");
    IfName::new(&name)
        .ok_or_else(|| Wrong::new(format!("'{name}' is too long; give a name inside: {parent}:NAME")))
}

fn pairs(text: &str, inside: impl Fn(&IfName) -> Parsed<IfName>) -> Parsed<Vec<(IfName, IfName)>> {
    let read = |(offset, word): (usize, &str)| {
        let (host, given) = word.split_once(':').map_or((word, None), |(host, given)| (host, Some(given)));
        let host = interface(host).map_err(|wrong| wrong.shifted(offset))?;
        let inside = match given {
            Some(given) => interface(given).map_err(|wrong| wrong.shifted(offset + host.as_str().len() + 1)),
            None => inside(&host).map_err(|wrong| wrong.shifted(offset)),
        };
        Ok((host, inside?))
    };
    words::plain(text).map(read).collect()
}

/// `Type=`.
pub fn kind(text: &str) -> Parsed<Kind> {
    Ok(match text {
        "veth" => Kind::Veth,
        "macvlan" => Kind::Macvlan,
        "ipvlan" => Kind::Ipvlan,
        "vlan" => Kind::Vlan,
        "physical" => Kind::Physical,
        "none" => Kind::None,
        "empty" => Kind::Empty,
        "namespace" => Kind::Namespace,
        "pasta" => {
            return Err(Wrong::new(
                "pasta is the way out of containers without root, which there are not yet",
            ));
        }
        _ => {
            return Err(Wrong::new(format!(
                "'{text}' is none of veth, macvlan, ipvlan, vlan, physical, none, empty and namespace"
            )));
        }
    })
}

/// `Mode=`.
pub fn mode(text: &str) -> Parsed<Mode> {
    Ok(match text {
        "bridge" => Mode::Bridge,
        "point-to-point" => Mode::PointToPoint,
        "private" => Mode::Private,
        "vepa" => Mode::Vepa,
        "passthru" => Mode::Passthru,
        "l2" => Mode::L2,
        "l3" => Mode::L3,
        "l3s" => Mode::L3s,
        _ => {
            return Err(Wrong::new(format!(
                "'{text}' is none of bridge, point-to-point, private, vepa, passthru, l2, l3 and l3s"
            )));
        }
    })
}

/// `MACAddress=`: six pairs of hexadecimal digits, of one interface and not of a group.
pub fn mac(text: &str) -> Parsed<Mac> {
    let wrong = |why: &str| Err(Wrong::new(format!("'{text}' {why}")));
    let separator = if text.contains('-') { '-' } else { ':' };
    let byte = |part: &str| match part.len() {
        2 => u8::from_str_radix(part, 16).ok().filter(|_| part.bytes().all(|b| b.is_ascii_hexdigit())),
        _ => None,
    };
    let bytes: Option<Vec<u8>> = text.split(separator).map(byte).collect();
    let Some(mac) = bytes.and_then(|bytes| <[u8; 6]>::try_from(bytes).ok()) else {
        return wrong("is not a MAC address like 02:00:5e:10:00:01");
    };
    match mac {
        [0, 0, 0, 0, 0, 0] => wrong("is no interface's MAC address"),
        [first, ..] if first & 1 != 0 => wrong("is the MAC address of a group, not of an interface"),
        mac => Ok(Mac(mac)),
    }
}

/// `Address=`: addresses, each with `/LENGTH` unless it stands alone.
pub fn addresses(text: &str) -> Parsed<Vec<Prefix>> {
    words::plain(text).map(|(offset, word)| prefix(word).map_err(|wrong| wrong.shifted(offset))).collect()
}

/// `AllowedAddress=`: addresses and networks, the latter by their first address.
pub fn networks(text: &str) -> Parsed<Vec<Prefix>> {
    words::plain(text).map(|(offset, word)| network(word).map_err(|wrong| wrong.shifted(offset))).collect()
}

fn network(text: &str) -> Parsed<Prefix> {
    let read = prefix(text)?;
    let (bits, whole) = match read.address {
        IpAddr::V4(address) => (u128::from(u32::from(address)), 32),
        IpAddr::V6(address) => (u128::from(address), 128),
    };
    match bits & ((1u128 << (whole - read.length)) - 1) {
        0 => Ok(read),
        _ => Err(Wrong::new(format!("'{text}' is not a network: bits behind its length are set"))),
    }
}

/// `ADDRESS[/LENGTH]`.
pub fn prefix(text: &str) -> Parsed<Prefix> {
    let (address, length) =
        text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
    let shift = address.len() + 1;
    let address = address_of_host(address)?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let length = match length {
        None => most,
        Some(length) => number(length, 1, most).map_err(|wrong| wrong.shifted(shift))?,
    };
    Ok(Prefix { address, length })
}

/// One address that an interface or a router can have.
pub fn address_of_host(text: &str) -> Parsed<IpAddr> {
    match text.parse::<IpAddr>() {
        Ok(address) if address.is_unspecified() || address.is_multicast() || address.is_loopback() => {
            Err(Wrong::new(format!("'{text}' is not the address of a host on a network")))
        }
        Ok(address) => Ok(address),
        Err(_) => Err(Wrong::new(format!("'{text}' is not an IP address"))),
    }
}

/// `DNS=` and `Gateway=`: addresses.
pub fn hosts(text: &str) -> Parsed<Vec<IpAddr>> {
    words::plain(text)
        .map(|(offset, word)| address_of_host(word).map_err(|wrong| wrong.shifted(offset)))
        .collect()
}

/// `RateIn=`, `RateOut=` in bits per second: a number with K, M or G, powers of 1000 as networks count.
pub fn rate(text: &str) -> Parsed<u64> {
    let wrong = || Wrong::new(format!("'{text}' is not a rate in bits per second like 500K, 100M or 1G"));
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor: u64 = match &text[digits.len()..] {
        "" => 1,
        "K" | "k" => 1_000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        _ => return Err(wrong()),
    };
    let rate = digits.parse::<u64>().ok().and_then(|count| count.checked_mul(factor));
    rate.filter(|rate| (8_000..=400_000_000_000).contains(rate)).ok_or_else(wrong)
}

/// `Machine=`.
pub fn machine(text: &str) -> Parsed<MachineName> {
    MachineName::new(text).map_err(|_| Wrong::new(format!("'{text}' is not the name of a machine")))
}

/// `Port=`: `[PROTOCOL:]HOST[:CONTAINER]`, tcp unless given, the host's port inside too unless given.
pub fn port(text: &str) -> Parsed<Port> {
    let (protocol, rest) = match text.split_once(':') {
        Some(("tcp", rest)) => (Protocol::Tcp, rest),
        Some(("udp", rest)) => (Protocol::Udp, rest),
        _ => (Protocol::Tcp, text),
    };
    let skipped = text.len() - rest.len();
    let (host, container) = rest.split_once(':').unwrap_or((rest, rest));
    let one = |text: &str, shift: usize| match text.parse::<u16>() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(Wrong::new(format!("'{text}' is not a port from 1 to 65535")).shifted(shift)),
    };
    let second = if rest.contains(':') { skipped + host.len() + 1 } else { skipped };
    Ok(Port { protocol, host: one(host, skipped)?, container: one(container, second)? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn interface_names_are_the_kernels() {
        for name in ["eth0", "a", "enp0s31f6", "br-0123456789ab", "eth0.5"] {
            assert!(interface(name).is_ok(), "{name}");
        }
        for name in ["", ".", "..", "a/b", "a b", "a:b", "all", "0123456789abcdef", "ü", "7", "a\"b"] {
            assert!(interface(name).is_err(), "{name}");
        }
    }

    #[test]
    fn mac_addresses_are_of_one_interface() {
        assert_eq!(mac("02:00:5E:10:00:01"), Ok(Mac([2, 0, 0x5e, 16, 0, 1])));
        assert_eq!(mac("02-00-5e-10-00-01"), Ok(Mac([2, 0, 0x5e, 16, 0, 1])));
        for text in ["", "02:00:5e:10:00", "02:00:5e:10:00:01:02", "0:0:0:0:0:1", "+2:00:5e:10:00:01"] {
            assert!(mac(text).is_err(), "{text}");
        }
        assert!(mac("00:00:00:00:00:00").is_err() && mac("01:00:5e:00:00:01").is_err());
    }

    #[test]
    fn addresses_have_a_length_that_fits() {
        let text = |text: &str| prefix(text).map(|prefix| prefix.to_string());
        assert_eq!(text("10.0.0.1/24"), Ok("10.0.0.1/24".to_string()));
        assert_eq!(text("10.0.0.1"), Ok("10.0.0.1/32".to_string()));
        assert_eq!(text("fd00::1/64"), Ok("fd00::1/64".to_string()));
        for wrong in
            ["10.0.0.1/33", "10.0.0.1/0", "10.0.0", "fd00::1/129", "::", "127.0.0.1", "224.0.0.1", "a"]
        {
            assert!(prefix(wrong).is_err(), "{wrong}");
        }
        assert_eq!(addresses("10.0.0.1/8 x").map_err(|wrong| wrong.offset), Err(11));
    }

    #[test]
    fn ports_are_read_as_nspawn_reads_them() {
        let text = |text: &str| port(text).map(|port| port.to_string());
        assert_eq!(text("80"), Ok("tcp:80:80".to_string()));
        assert_eq!(text("8080:80"), Ok("tcp:8080:80".to_string()));
        assert_eq!(text("udp:53:5353"), Ok("udp:53:5353".to_string()));
        for (wrong, offset) in
            [("0", 0), ("tcp:0", 4), ("sctp:1", 0), ("tcp:1:70000", 6), ("1:2:3", 2), ("", 0)]
        {
            assert_eq!(port(wrong).map_err(|wrong| wrong.offset), Err(offset), "{wrong}");
        }
    }

    #[test]
    fn links_on_a_parent_are_called_after_it() {
        let names = |pairs: Vec<(IfName, IfName)>| {
            pairs.iter().map(|(host, inside)| format!("{host} {inside}")).collect::<Vec<_>>()
        };
        assert_eq!(macvlan("eth0 eth1:lan").map(names), Ok(vec!["eth0 mv-eth0".into(), "eth1 lan".into()]));
        assert_eq!(same_inside("eth0 eth1:x").map(names), Ok(vec!["eth0 eth0".into(), "eth1 x".into()]));
        assert!(macvlan("enp0s31f6abcde").is_err() && macvlan("enp0s31f6abcde:x").is_ok());
    }

    proptest! {
        #[test]
        fn no_value_panics(text in any::<String>()) {
            let _ = (interface(&text), zone(&text), same_inside(&text), macvlan(&text), ipvlan(&text), kind(&text));
            let _ = (mode(&text), mac(&text), addresses(&text), hosts(&text), rate(&text), port(&text));
        }
    }
}
