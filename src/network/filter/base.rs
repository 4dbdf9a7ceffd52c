//! The tables, and the chains that the kernel calls: the same on every host, whoever runs there.
//!
//! The comment of each rule is their version, so that a start that finds them all leaves them alone: it takes many
//! milliseconds to remove a rule, as the kernel waits until nobody can be using it (nf_tables_trans_destroy_flush_work).

use std::collections::BTreeMap;

use nix::errno::Errno;
use nix::sys::socket::SockProtocol;

use super::{TABLE, guard};
use crate::error::{Context, Result};
use crate::name::fnv1a;
use crate::network::managed::BRIDGE;
use crate::network::netlink::{Message, Refusal, Socket, attribute};

/// linux/netfilter/nf_tables.h
const NFTA_RULE_TABLE: u16 = 1;
/// linux/netfilter/nf_tables.h
const NFTA_RULE_CHAIN: u16 = 2;
/// linux/netfilter/nf_tables.h
const NFTA_RULE_USERDATA: u16 = 7;
/// Length of `struct nfgenmsg`.
const NFGEN: usize = 4;

/// Commands that create the tables anew. networkd masquerades, too; but its rules may be flushed, and it adds
/// it no more before it is started again.
fn commands() -> String {
    format!(
        "add table bridge {TABLE}
add map bridge {TABLE} ports {{ type ifname : verdict; }}
add set bridge {TABLE} members {{ type ifname; }}
add set bridge {TABLE} isolated {{ type ifname; }}
add table inet {TABLE}
add map inet {TABLE} dnat4 {{ type inet_proto . inet_service : ipv4_addr . inet_service; }}
add map inet {TABLE} dnat6 {{ type inet_proto . inet_service : ipv6_addr . inet_service; }}
add set inet {TABLE} itself4 {{ type ipv4_addr . ipv4_addr; }}
add set inet {TABLE} itself6 {{ type ipv6_addr . ipv6_addr; }}
add set inet {TABLE} isolated4 {{ type ipv4_addr; }}
add set inet {TABLE} isolated6 {{ type ipv6_addr; }}
add set inet {TABLE} routed4 {{ type ipv4_addr; flags interval; }}
add set inet {TABLE} routed6 {{ type ipv6_addr; flags interval; }}
add chain inet {TABLE} from_elsewhere
add chain inet {TABLE} inbound {{ type filter hook forward priority filter - 6; policy accept; }}
add chain inet {TABLE} prerouting {{ type nat hook prerouting priority dstnat - 5; policy accept; }}
add chain inet {TABLE} output {{ type nat hook output priority dstnat - 5; policy accept; }}
add chain inet {TABLE} postrouting {{ type nat hook postrouting priority srcnat - 5; policy accept; }}
flush chain inet {TABLE} inbound
flush chain inet {TABLE} from_elsewhere
flush chain inet {TABLE} prerouting
flush chain inet {TABLE} output
flush chain inet {TABLE} postrouting
add rule inet {TABLE} inbound oifname {BRIDGE} iifname != {BRIDGE} jump from_elsewhere
add rule inet {TABLE} from_elsewhere ct state established,related accept
add rule inet {TABLE} from_elsewhere ct status dnat accept
add rule inet {TABLE} from_elsewhere ip daddr @routed4 accept
add rule inet {TABLE} from_elsewhere ip6 daddr @routed6 accept
add rule inet {TABLE} from_elsewhere counter drop
add rule inet {TABLE} prerouting fib daddr type local dnat ip to meta l4proto . th dport map @dnat4
add rule inet {TABLE} prerouting fib daddr type local dnat ip6 to meta l4proto . th dport map @dnat6
add rule inet {TABLE} output fib daddr type local dnat ip to meta l4proto . th dport map @dnat4
add rule inet {TABLE} output fib daddr type local ip6 daddr != ::1 dnat ip6 to meta l4proto . th dport map @dnat6
add rule inet {TABLE} postrouting iifname {BRIDGE} oifname {BRIDGE} ct status dnat masquerade
add rule inet {TABLE} postrouting oifname {BRIDGE} ct status dnat ip saddr . ip daddr @itself4 masquerade
add rule inet {TABLE} postrouting oifname {BRIDGE} ct status dnat ip6 saddr . ip6 daddr @itself6 masquerade
add rule inet {TABLE} postrouting oifname {BRIDGE} ip saddr 127.0.0.0/8 masquerade
add rule inet {TABLE} postrouting iifname {BRIDGE} oifname != {BRIDGE} masquerade
{}",
        guard::base()
    )
}

/// The script: whatever was there before, it is as it should be afterwards.
pub fn script() -> String {
    let commands = commands();
    let comment = format!(" comment \"{}\"", version(&commands));
    let with_comment = |line: &str| match line.starts_with("add rule ") {
        true => format!("{line}{comment}\n"),
        false => format!("{line}\n"),
    };
    commands.lines().map(with_comment).collect()
}

/// Version of the rules, in each rule's comment.
fn version(commands: &str) -> String {
    format!("base {:016x}", fnv1a(commands))
}

/// Whether the kernel has each rule. Asked of itself, for every start asks.
pub fn is_there() -> Result<bool> {
    let failed = || "failed to look at the packet filter";
    let commands = commands();
    let version = version(&commands);
    let mut expected = BTreeMap::<(&str, &str), usize>::new();
    for rule in commands.lines().filter_map(|line| line.strip_prefix("add rule ")) {
        let mut words = rule.split(' ');
        if let (Some(family), Some(chain)) = (words.next(), words.nth(1)) {
            *expected.entry((family, chain)).or_default() += 1;
        }
    }
    let mut socket = Socket::open(SockProtocol::NetlinkNetFilter).context(failed)?;
    for ((family, chain), count) in expected {
        let ours = |rule: &Vec<u8>| {
            let comment = rule.get(NFGEN..).and_then(|rule| attribute(rule, NFTA_RULE_USERDATA));
            comment
                .is_some_and(|comment| comment.windows(version.len()).any(|part| part == version.as_bytes()))
        };
        match socket.dump(|| get_rules(family, chain)) {
            Ok(rules) if rules.len() == count && rules.iter().all(ours) => {}
            Ok(_) | Err(Refusal { errno: Errno::ENOENT, .. }) => return Ok(false),
            Err(refusal) => return Err(refusal).context(failed),
        }
    }
    Ok(true)
}

fn get_rules(family: &str, chain: &str) -> Message {
    const GETRULE: u16 = (libc::NFNL_SUBSYS_NFTABLES as u16) << 8 | libc::NFT_MSG_GETRULE as u16;
    let family = match family {
        "bridge" => libc::NFPROTO_BRIDGE,
        "netdev" => libc::NFPROTO_NETDEV,
        _ => libc::NFPROTO_INET,
    };
    let mut message = Message::new(GETRULE, 0, &[family as u8, 0, 0, 0]);
    message.put_str(NFTA_RULE_TABLE, TABLE).put_str(NFTA_RULE_CHAIN, chain);
    message
}
