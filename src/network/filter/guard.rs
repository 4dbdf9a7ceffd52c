//! The frames that a container may send: those of its own addresses, and none that only a router or a DHCP server sends.
//!
//! ```text
//! guard_PORT (hook) ─► port_PORT ─► own_PORT ─┬─► from4
//!   at ingress          frame's addresses     ├─► own6_PORT ─► from6
//!                                             ├─► dad_PORT, from_nobody6
//!                                             └─► claim4_PORT, claim_arp_PORT, claim6_PORT
//! ```
//! Each rule names what it accepts; what none accepts is counted and dropped. A field that a frame does not have equals
//! nothing, so that no rule accepts by it. The hook is at the ingress of the port's device, where the bridge has not seen
//! the frame: what is for 01:80:c2:00:00:0X passes by all hooks of the bridge family.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::TABLE;
use crate::config::network::{IfName, Mac, Prefix};
use crate::network::managed::BRIDGE;
use crate::network::managed::leases::link_local;

/// The number of addresses of each family that a port can claim beside those that it was given.
const CLAIMS: u8 = 16;
/// The lifetime of a claim after the last packet from its address.
const KEPT: &str = "timeout 1h";
/// Mark in the table of owners of addresses that nobody can claim.
const RESERVED: u32 = 1;

/// A frame that a bridge forwards: 01:80:c2:00:00:00 to 0f are for the port itself (IEEE 802.1D, 7.12.6).
const FORWARDED: &str = "ether daddr & ff:ff:ff:ff:ff:f0 != 01:80:c2:00:00:00";
/// Packets to the host's own loopback addresses are routed where ports are forwarded.
const NOT_LOOPBACK: &str = "ip daddr != 127.0.0.0/8";
/// ARP of Ethernet and IPv4.
const ARP: &str =
    "ether type arp arp htype 1 arp ptype ip arp hlen 6 arp plen 4 arp operation { request, reply }";
/// A neighbour solicitation or the like with no header between it and IPv6's, as RFC 6980 wants it.
const ND: &str = "ip6 nexthdr icmpv6 icmpv6 type";

/// UDP but what is for or from a server of DHCPv6, or for one of its clients.
const UDP6: &str = "udp sport != 547 udp dport != { 68, 546, 547 }";
/// ICMPv6 but what speaks of neighbours, routers and groups.
const ICMP6: &str = "icmpv6 type { destination-unreachable, packet-too-big, time-exceeded, parameter-problem, \
                     echo-request, echo-reply }";
/// A fragment with some bytes of the header that follows.
const PART: &str = "ip6 nexthdr ipv6-frag ip6 length > 15 frag nexthdr";

/// Rules that all ports share: what a packet may be whose source was found to be the port's own.
pub fn base() -> String {
    let reports =
        "ip6 nexthdr hopopt hbh nexthdr ipv6-icmp icmpv6 type { mld-listener-report, mld-listener-done, \
                   mld2-listener-report } accept"
            .to_string();
    let set =
        |name: &str, of: &str| format!("add {name} {{ type {of}; flags dynamic,timeout; size 65535; }}\n");
    let mut script = format!("add table netdev {TABLE}\n");
    for (family, of) in [('4', "ipv4_addr"), ('6', "ipv6_addr")] {
        script += &set(&format!("map netdev {TABLE} owner{family}"), &format!("{of} : mark"));
        script += &set(&format!("set netdev {TABLE} claims{family}"), &format!("iface_index . {of}"));
    }
    let chains = [
        (
            "from4",
            vec![
                "ip protocol != { icmp, igmp, udp, ah, pim } accept".to_string(),
                // The first fragment has the header by which it is judged.
                "ip frag-off & 0x1fff != 0 accept".to_string(),
                "udp sport != 67 udp dport != { 67, 68, 546 } accept".to_string(),
                "icmp type { echo-reply, destination-unreachable, echo-request, time-exceeded, parameter-problem, \
                 timestamp-request, timestamp-reply } accept"
                    .to_string(),
                // A query would make the port the one to which the bridge sends each group.
                "ip frag-off & 0x3fff == 0 igmp type { membership-report-v1, membership-report-v2, \
                 membership-report-v3, leave-group } accept"
                    .to_string(),
            ],
        ),
        (
            "from6",
            vec![
                "exthdr frag exists goto fragment6".to_string(),
                // The kernel does not look behind an authentication header.
                "meta l4proto != { ipv6-icmp, udp, ah, pim } accept".to_string(),
                format!("{UDP6} accept"),
                "ip6 nexthdr udp udp sport 546 udp dport 547 accept".to_string(),
                format!("{ICMP6} accept"),
                format!("{ND} nd-neighbor-solicit ip6 length 24 accept"),
                format!("{ND} nd-router-solicit ip6 length 8 accept"),
                reports.clone(),
            ],
        ),
        (
            // The header by which the first fragment is judged is in it, and not in what lies behind the packet's end.
            "fragment6",
            vec![
                format!("{PART} != {{ hopopt, 43, 44, ah, 59, 60, ipv6-icmp, udp, pim }} accept"),
                format!("{PART} {{ udp, ipv6-icmp }} frag frag-off != 0 accept"),
                format!("{PART} udp {UDP6} accept"),
                format!("{PART} ipv6-icmp {ICMP6} accept"),
            ],
        ),
        ("from_nobody6", vec![format!("{ND} nd-router-solicit ip6 length 8 accept"), reports]),
    ];
    for (name, _) in &chains {
        let _infallible =
            writeln!(script, "add chain netdev {TABLE} {name}\nflush chain netdev {TABLE} {name}");
    }
    for (name, rules) in &chains {
        for rule in rules {
            let _infallible = writeln!(script, "add rule netdev {TABLE} {name} {rule}");
        }
    }
    script
}

/// The name of a link's rules in the record, by the link's name inside.
pub fn what(inside: &IfName) -> String {
    format!("link {inside}")
}

/// One port, and what it may send from.
#[derive(Clone, Debug)]
pub struct Guard<'a> {
    /// The port.
    pub port: &'a IfName,
    /// MAC address of the interface inside.
    pub mac: Mac,
    /// Addresses and networks that are its own.
    pub own: Vec<Prefix>,
    /// Addresses that it can claim.
    pub claims: Option<Claims>,
    /// Each IPv6 address that its MAC address makes is its own, whatever the network.
    pub any_network: bool,
}

/// Addresses that a port can claim: the first to use one has it (RFC 6620).
#[derive(Clone, Debug)]
pub struct Claims {
    /// Number of the port in the table of owners.
    pub owner: u32,
    /// IPv4 addresses, first and last.
    pub range: Option<(Ipv4Addr, Ipv4Addr)>,
    /// IPv6 network of 64 bits; link-local addresses can be claimed, too. What a MAC address makes cannot.
    pub network6: Ipv6Addr,
    /// Addresses that nobody can claim.
    pub reserved: Vec<IpAddr>,
}

impl Guard<'_> {
    /// The script that adds the rules, without the hook.
    pub fn add(&self) -> String {
        let mut script = Script { text: String::new(), suffix: suffix(self.port) };
        let counter = &script.suffix;
        script.text = format!("add counter netdev {TABLE} {counter}\n");
        if let Some(claims) = &self.claims {
            script.text += &claims.sets(&script.suffix);
        }
        self.add_own6(&mut script);
        self.add_duplicates(&mut script);
        if let Some(claims) = &self.claims {
            self.add_claims(&mut script, claims);
        }
        self.add_own(&mut script);
        self.add_port(&mut script);
        script.text
    }

    /// The frame's own addresses, and the shortest way for nearly all that is ever sent; other rules would accept it, too.
    fn add_port(&self, script: &mut Script) {
        let (mac, suffix) = (self.mac, script.suffix.clone());
        let mut rules = Vec::new();
        if let Some(own) = self.addresses4() {
            let tcp = format!("ether type ip ip saddr {own} ip protocol tcp {NOT_LOOPBACK} accept");
            rules.push(format!("{FORWARDED} ether saddr {mac} {tcp}"));
        }
        rules.push(format!(
            "{FORWARDED} ether saddr {mac} ether type ip6 ip6 saddr {} ip6 nexthdr tcp accept",
            self.addresses6()
        ));
        rules.push(format!("{FORWARDED} ether saddr {mac} jump own_{suffix}"));
        rules.push(format!("counter name {suffix} drop"));
        script.chain("port", &rules);
    }

    /// Packets of a frame whose own addresses are right.
    fn add_own(&self, script: &mut Script) {
        let (number, suffix) = (number(self.mac), script.suffix.clone());
        let arp = format!("{ARP} arp saddr ether {}", self.mac);
        let own4 = self.addresses4();
        let mut rules: Vec<String> = Vec::new();
        rules
            .extend(own4.iter().map(|own| format!("ether type ip ip saddr {own} {NOT_LOOPBACK} jump from4")));
        // Who asks whether an address is free, or for one, has none yet.
        let or_none = own4.map_or("0.0.0.0".into(), |own| own.replacen('{', "{ 0.0.0.0,", 1));
        rules.push(format!("{arp} arp saddr ip {or_none} accept"));
        // The server goes by the address within the question, and answers a relay where one is named. Behind the ports:
        // a question (1) of Ethernet (1, 6), no relay, and the hardware address.
        rules.push(format!(
            "ether type ip ip saddr {or_none} ip protocol udp ip frag-off & 0x3fff == 0 udp sport 68 udp dport 67 \
             @th,64,24 0x010106 @th,256,80 0x00000000{number} accept"
        ));
        let sources = self.sources6();
        rules.extend(sources.iter().map(|source| format!("ether type ip6 {source} jump own6_{suffix}")));
        let solicit = format!("ether type ip6 ip6 saddr :: {ND} nd-neighbor-solicit");
        rules.push(format!("{solicit} ip6 length 24 jump dad_{suffix}"));
        // A nonce (RFC 7527).
        rules.push(format!("{solicit} ip6 length 32 @th,192,16 0x0e01 jump dad_{suffix}"));
        rules.push("ether type ip6 ip6 saddr :: jump from_nobody6".to_string());
        if let Some(claims) = &self.claims {
            let refresh4 = |source: &str| claims.refresh('4', source);
            let is_claimed = |source: &str| format!("iif . {source} @claims4");
            let (ip, sender) = ("ip saddr", "arp saddr ip");
            let from = format!("ether type ip {} {NOT_LOOPBACK} {}", is_claimed(ip), refresh4(ip));
            rules.push(format!("{from} jump from4"));
            rules.push(format!("{arp} {} {} accept", is_claimed(sender), refresh4(sender)));
            if let Some((first, last)) = claims.range {
                rules.push(format!("ether type ip ip saddr {first}-{last} jump claim4_{suffix}"));
                rules.push(format!("{arp} arp saddr ip {first}-{last} jump claim_arp_{suffix}"));
            }
            let claimable = claims.claimable6("ip6 saddr", "nh");
            rules.push(format!("ether type ip6 {claimable} jump claim6_{suffix}"));
        }
        script.chain("own", &rules);
    }

    /// IPv6 packets from an address that is the port's own. An option names no other link-layer address than the frame's.
    fn add_own6(&self, script: &mut Script) {
        let number = number(self.mac);
        let mut rules = vec![
            format!("{ND} nd-neighbor-solicit ip6 length 32 @th,192,64 0x0101{number} accept"),
            format!("{ND} nd-router-solicit ip6 length 16 @th,64,64 0x0101{number} accept"),
        ];
        for target in self.targets6() {
            rules.push(format!("{ND} nd-neighbor-advert {target} ip6 length 24 accept"));
            rules.push(format!(
                "{ND} nd-neighbor-advert {target} ip6 length 32 @th,192,64 0x0201{number} accept"
            ));
        }
        rules.push("jump from6".to_string());
        script.chain("own6", &rules);
    }

    /// Duplicate address detection: who asks for an address of its own, or claims one.
    fn add_duplicates(&self, script: &mut Script) {
        let mut rules: Vec<String> =
            self.targets6().iter().map(|target| format!("{target} accept")).collect();
        if let Some(claims) = &self.claims {
            let claimable = claims.claimable6("icmpv6 taddr", "th");
            rules.extend(claims.claim('6', "icmpv6 taddr", &claimable, &script.suffix, "accept"));
        }
        script.chain("dad", &rules);
    }

    fn add_claims(&self, script: &mut Script, claims: &Claims) {
        let suffix = script.suffix.clone();
        let then = format!("{NOT_LOOPBACK} jump from4");
        if claims.range.is_some() {
            script.chain("claim4", &claims.claim('4', "ip saddr", "", &suffix, &then));
            script.chain("claim_arp", &claims.claim('4', "arp saddr ip", "", &suffix, "accept"));
        }
        let then = format!("jump own6_{suffix}");
        script.chain("claim6", &claims.claim('6', "ip6 saddr", "", &suffix, &then));
    }

    fn addresses4(&self) -> Option<String> {
        let own: Vec<_> = self.own.iter().filter(|prefix| prefix.address.is_ipv4()).map(text).collect();
        (!own.is_empty()).then(|| format!("{{ {} }}", own.join(", ")))
    }

    fn addresses6(&self) -> String {
        let own = self.own.iter().filter(|prefix| prefix.address.is_ipv6()).map(text);
        let own: Vec<_> = std::iter::once(link_local(self.mac).to_string()).chain(own).collect();
        format!("{{ {} }}", own.join(", "))
    }

    /// Matches of a source that is the port's own.
    fn sources6(&self) -> Vec<String> {
        let mut sources = vec![format!("ip6 saddr {}", self.addresses6())];
        sources.extend(self.any_network.then(|| format!("@nh,128,64 {}", identifier(self.mac))));
        let claimed =
            |claims: &Claims| format!("iif . ip6 saddr @claims6 {}", claims.refresh('6', "ip6 saddr"));
        sources.extend(self.claims.as_ref().map(claimed));
        sources
    }

    /// Matches of the target of a neighbour solicitation or advertisement that is the port's own.
    fn targets6(&self) -> Vec<String> {
        let mut targets = vec![format!("icmpv6 taddr {}", self.addresses6())];
        targets.extend(self.any_network.then(|| format!("@th,128,64 {}", identifier(self.mac))));
        targets.extend(self.claims.is_some().then(|| "iif . icmpv6 taddr @claims6".to_string()));
        targets
    }
}

impl Claims {
    fn sets(&self, suffix: &str) -> String {
        let mut script = String::new();
        for (family, of) in [('4', "ipv4_addr"), ('6', "ipv6_addr")] {
            script += &format!(
                "add set netdev {TABLE} tried{family}_{suffix} {{ type {of}; flags dynamic,timeout; size {CLAIMS}; }}\n"
            );
        }
        for address in &self.reserved {
            let family = if address.is_ipv4() { '4' } else { '6' };
            script += &format!("add element netdev {TABLE} owner{family} {{ {address} : {RESERVED} }}\n");
        }
        script
    }

    /// The claim of the address in `field`: it takes one of the port's places and is written down unless it has an owner;
    /// then the owner is looked up, since two ports may have claimed it at once. `then` follows for the owner.
    fn claim(&self, family: char, field: &str, claimable: &str, suffix: &str, then: &str) -> [String; 3] {
        let owner = self.owner;
        [
            format!(
                "{claimable} add @tried{family}_{suffix} {{ {field} {KEPT} }} \
                 add @owner{family} {{ {field} {KEPT} : {owner} }}"
            ),
            format!("meta mark set {field} map @owner{family}"),
            format!(
                "meta mark {owner} meta mark set 0 update @claims{family} {{ iif . {field} {KEPT} }} {then}"
            ),
        ]
    }

    /// Keeps a claim while it is in use; its owner is kept at least as long as the claim.
    fn refresh(&self, family: char, field: &str) -> String {
        format!(
            "update @claims{family} {{ iif . {field} {KEPT} }} \
             update @owner{family} {{ {field} {KEPT} : {} }}",
            self.owner
        )
    }

    /// An address of our networks that no MAC address makes: those are given out, to containers that do not run, too.
    fn claimable6(&self, field: &str, header: &str) -> String {
        format!("{field} {{ {}/64, fe80::/64 }} @{header},152,16 != 0xfffe", self.network6)
    }
}

/// A script that grows chain by chain.
struct Script {
    text: String,
    suffix: String,
}

impl Script {
    fn chain(&mut self, name: &str, rules: &[String]) {
        let chain = format!("{name}_{}", self.suffix);
        self.text += &format!("add chain netdev {TABLE} {chain}\nflush chain netdev {TABLE} {chain}\n");
        for rule in rules {
            self.text += &format!("add rule netdev {TABLE} {chain} {}\n", rule.trim());
        }
    }
}

/// Counts a port among those of the managed network.
pub fn member(port: &IfName) -> String {
    format!("add element bridge {TABLE} members {{ \"{port}\" }}\n")
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

/// Takes the rules of one port back; they may be gone. Each chain goes before those that it leads to.
pub fn remove(port: &IfName) -> String {
    let suffix = suffix(port);
    let mut script = String::new();
    for set in ["members", "isolated"] {
        script += &format!("destroy element bridge {TABLE} {set} {{ \"{port}\" }}\n");
    }
    script += &format!("add table netdev {TABLE}\n");
    for chain in ["guard", "port", "own", "claim4", "claim_arp", "claim6", "dad", "own6"] {
        script += &format!("destroy chain netdev {TABLE} {chain}_{suffix}\n");
    }
    for set in ["tried4", "tried6"] {
        script += &format!("destroy set netdev {TABLE} {set}_{suffix}\n");
    }
    script += &format!("destroy counter netdev {TABLE} {suffix}\n");
    script
}

/// Name of what is a port's in the table, without the part that says what it is, and the name of its counter. An
/// interface's name allows more.
pub fn suffix(port: &IfName) -> String {
    let letter =
        |c: char| if c.is_ascii_alphanumeric() { c.to_string() } else { format!("_{:02x}", c as u32) };
    port.as_str().chars().map(letter).collect()
}

/// The port whose counter has this name.
pub fn port(suffix: &str) -> Option<String> {
    let mut parts = suffix.split('_');
    let mut port = parts.next()?.to_string();
    for part in parts {
        port.push(char::from(u8::from_str_radix(part.get(..2)?, 16).ok()?));
        port += &part[2..];
    }
    Some(port)
}

fn text(prefix: &Prefix) -> String {
    let whole = if prefix.address.is_ipv4() { 32 } else { 128 };
    match prefix.length == whole {
        true => prefix.address.to_string(),
        false => prefix.to_string(),
    }
}

/// The digits of a MAC address, as a number has them.
fn number(mac: Mac) -> String {
    mac.0.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

/// The lower half of the IPv6 addresses that a MAC address makes.
fn identifier(mac: Mac) -> String {
    format!("0x{:016x}", u128::from(link_local(mac)) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(claims: Option<Claims>) -> String {
        let port = IfName::new("vb-p1").expect("valid");
        let own = vec![Prefix { address: "10.0.0.2".parse().expect("v4"), length: 32 }];
        let any_network = claims.is_none();
        Guard { port: &port, mac: Mac([2, 0, 0, 0, 0, 1]), own, claims, any_network }.add()
    }

    #[test]
    fn names_of_different_ports_differ() {
        let of = |name: &str| suffix(&IfName::new(name).expect("valid"));
        assert_eq!(of("vb-p1"), "vb_2dp1");
        assert_eq!(port(&of("vb-p_1.x")).as_deref(), Some("vb-p_1.x"));
        assert_ne!(of("vb-a_2d"), of("vb-a-"));
    }

    #[test]
    fn whatever_no_rule_accepts_is_dropped_and_no_rule_but_the_last_of_a_port_drops() {
        let script = script(None);
        let rules: Vec<&str> = script.lines().filter(|line| line.starts_with("add rule")).collect();
        assert_eq!(
            rules.last(),
            Some(&"add rule netdev containerctl port_vb_2dp1 counter name vb_2dp1 drop")
        );
        assert_eq!(rules.iter().filter(|rule| rule.contains(" drop")).count(), 1);
        assert!(!base().contains(" drop"));
    }

    #[test]
    fn what_is_added_is_taken_back() {
        let (network6, range) =
            ("fd00::".parse().expect("v6"), Some(([10, 0, 0, 211].into(), [10, 0, 0, 255].into())));
        let added = script(Some(Claims { owner: 7, range, network6, reserved: Vec::new() }));
        let removed = remove(&IfName::new("vb-p1").expect("valid"));
        for line in added.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            if let ["add", kind @ ("chain" | "set" | "counter"), family, table, name, ..] = words[..] {
                let undone = format!("destroy {kind} {family} {table} {name}");
                assert!(removed.lines().any(|line| line == undone), "{undone}");
            }
        }
    }
}
