//! What a container may send into the managed network: frames of its own addresses, and none that only a router or a
//! DHCP server sends. One chain for each port of the bridge; whatever it does not let through is dropped.

use std::fmt::Write as _;
use std::net::IpAddr;

use super::TABLE;
use crate::config::network::{IfName, Mac};
use crate::network::managed::BRIDGE;
use crate::network::managed::leases::link_local;

/// What these rules are for, in the record: a link, by its name inside.
pub fn what(inside: &IfName) -> String {
    format!("link {inside}")
}

/// The rules of one port, in nft's words. `addresses` are those of the interface inside.
pub fn add(port: &IfName, mac: Mac, addresses: &[IpAddr]) -> String {
    let chain = chain(port);
    let mut rules = Vec::new();
    let v4 = list(addresses.iter().filter(|address| address.is_ipv4()));
    let own_link_local = IpAddr::from(link_local(mac));
    let v6 = list(addresses.iter().filter(|address| address.is_ipv6()).chain([&own_link_local]));
    let number = mac.0.iter().fold(String::from("0x"), |text, byte| format!("{text}{byte:02x}"));
    let mut rule = |text: String| rules.push(text);
    // Nearly all that is ever sent; the rules below would let it through, too.
    rule(format!("ether saddr {mac} ip saddr {{ {v4} }} ip protocol tcp ip daddr != 127.0.0.0/8 accept"));
    rule(format!("ether saddr != {mac} drop"));
    rule(format!("ether type arp arp saddr ether != {mac} drop"));
    // Whoever asks whether an address is free has none yet.
    rule(format!("ether type arp arp saddr ip {{ 0.0.0.0, {v4} }} accept"));
    // The host's own loopback addresses, which forwarded ports make it route.
    rule("ip daddr 127.0.0.0/8 drop".to_string());
    rule("meta protocol ip udp sport 67 drop".to_string());
    // The server goes by the address within the question.
    rule(format!("meta protocol ip udp dport 67 @th,288,48 != {number} drop"));
    rule(format!("ip saddr {{ {v4} }} accept"));
    rule("ip saddr 0.0.0.0 udp sport 68 udp dport 67 accept".to_string());
    rule("meta protocol ip6 udp sport 547 drop".to_string());
    rule("icmpv6 type { nd-router-advert, nd-redirect } drop".to_string());
    // One option, and it names no other link-layer address than the frame's.
    let neighbour = "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert }";
    rule(format!("{neighbour} ip6 length > 32 drop"));
    rule(format!("{neighbour} @th,192,8 {{ 1, 2 }} @th,208,48 != {number} drop"));
    rule(format!("icmpv6 type nd-router-solicit @th,64,8 1 @th,80,48 != {number} drop"));
    rule(format!("icmpv6 type nd-neighbor-advert icmpv6 taddr != {{ {v6} }} drop"));
    rule(format!("ip6 saddr {{ {v6} }} accept"));
    rule(format!("ip6 saddr :: icmpv6 type nd-neighbor-solicit icmpv6 taddr {{ {v6} }} accept"));
    let reports = "mld-listener-report, mld2-listener-report, nd-router-solicit";
    rule(format!("ip6 saddr :: icmpv6 type {{ {reports} }} accept"));
    rule("drop".to_string());
    let mut script = format!("add chain bridge {TABLE} {chain}\nflush chain bridge {TABLE} {chain}\n");
    for rule in rules {
        let _infallible = writeln!(script, "add rule bridge {TABLE} {chain} {rule}");
    }
    let _infallible = writeln!(script, "add element bridge {TABLE} ports {{ \"{port}\" : goto {chain} }}");
    let _infallible = writeln!(script, "add element bridge {TABLE} members {{ \"{port}\" }}");
    script
}

/// Keeps one port from the others, on the bridge and by way of the host, which routes; but not from what they reach by a
/// forwarded port. The chains for that are made by the first that is to be kept apart, since every frame of everybody goes
/// through them.
pub fn isolate(port: &IfName) -> String {
    format!(
        "add chain bridge {TABLE} forward {{ type filter hook forward priority -350; policy accept; }}
flush chain bridge {TABLE} forward
add rule bridge {TABLE} forward iifname @isolated oifname @members drop
add rule bridge {TABLE} forward oifname @isolated iifname @members drop
add chain inet {TABLE} forward {{ type filter hook forward priority filter - 5; policy accept; }}
flush chain inet {TABLE} forward
add rule inet {TABLE} forward ct status dnat accept
add rule inet {TABLE} forward iifname {BRIDGE} oifname {BRIDGE} ip saddr @isolated4 drop
add rule inet {TABLE} forward iifname {BRIDGE} oifname {BRIDGE} ip daddr @isolated4 drop
add rule inet {TABLE} forward iifname {BRIDGE} oifname {BRIDGE} ip6 saddr @isolated6 drop
add rule inet {TABLE} forward iifname {BRIDGE} oifname {BRIDGE} ip6 daddr @isolated6 drop
add element bridge {TABLE} isolated {{ \"{port}\" }}
"
    )
}

/// Takes the rules of one port back; they may be gone.
pub fn remove(port: &IfName) -> String {
    let chain = chain(port);
    format!(
        "destroy element bridge {TABLE} ports {{ \"{port}\" }}\ndestroy element bridge {TABLE} members {{ \"{port}\" }}\n\
         destroy element bridge {TABLE} isolated {{ \"{port}\" }}\ndestroy chain bridge {TABLE} {chain}\n"
    )
}

/// A chain's name allows less than an interface's.
fn chain(port: &IfName) -> String {
    let letter =
        |c: char| if c.is_ascii_alphanumeric() { c.to_string() } else { format!("_{:02x}", c as u32) };
    format!("port_{}", port.as_str().chars().map(letter).collect::<String>())
}

fn list<'a>(addresses: impl Iterator<Item = &'a IpAddr>) -> String {
    addresses.map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_of_different_ports_differ() {
        let of = |name: &str| chain(&IfName::new(name).expect("valid"));
        assert_eq!(of("vb-p1"), "port_vb_2dp1");
        assert_ne!(of("vb-a_2d"), of("vb-a-"));
    }

    #[test]
    fn the_last_word_is_drop() {
        let port = IfName::new("vb-p1").expect("valid");
        let script = add(&port, Mac([2, 0, 0, 0, 0, 1]), &["10.0.0.2".parse().expect("v4")]);
        let last = script.lines().rfind(|line| line.starts_with("add rule"));
        assert_eq!(last, Some("add rule bridge containerctl port_vb_2dp1 drop"));
        assert!(script.contains("@th,288,48 != 0x020000000001 drop"));
    }
}
