//! The hook of a port's rules: a chain at the ingress of the port's device.
//!
//! Before Linux 6.16 the device must be there, while nft(8) runs beside us before there is any link. So the chain is made
//! by a message of our own (libnftnl's counterpart), once both are done.

use nix::sys::socket::SockProtocol;

use super::{TABLE, guard};
use crate::config::network::IfName;
use crate::error::{Context, Result};
use crate::network::netlink::{Message, Socket};

/// Before limits of bandwidth, which are at -300: what is dropped does not count for them.
const PRIORITY: i32 = -350;

/// Attributes of linux/netfilter/nf_tables.h, which libc lacks.
mod nfta {
    pub const CHAIN_TABLE: u16 = 1;
    pub const CHAIN_NAME: u16 = 3;
    pub const CHAIN_HOOK: u16 = 4;
    pub const CHAIN_POLICY: u16 = 5;
    pub const CHAIN_TYPE: u16 = 7;
    pub const HOOK_HOOKNUM: u16 = 1;
    pub const HOOK_PRIORITY: u16 = 2;
    pub const HOOK_DEV: u16 = 3;
    pub const RULE_TABLE: u16 = 1;
    pub const RULE_CHAIN: u16 = 2;
    pub const RULE_EXPRESSIONS: u16 = 4;
    pub const LIST_ELEM: u16 = 1;
    pub const EXPR_NAME: u16 = 1;
    pub const EXPR_DATA: u16 = 2;
    pub const IMMEDIATE_DREG: u16 = 1;
    pub const IMMEDIATE_DATA: u16 = 2;
    pub const DATA_VERDICT: u16 = 2;
    pub const VERDICT_CODE: u16 = 1;
    pub const VERDICT_CHAIN: u16 = 2;
}
/// linux/netfilter.h: `NF_DROP`.
const NF_DROP: u32 = 0;
/// linux/netfilter.h: `NF_NETDEV_INGRESS`.
const NF_NETDEV_INGRESS: u32 = 0;
/// linux/netfilter/nf_tables.h: `NFT_JUMP`.
const NFT_JUMP: i32 = -3;
/// linux/netfilter/nf_tables.h: `NFT_REG_VERDICT`.
const NFT_REG_VERDICT: u32 = 0;

/// The same in nft's words, where the device is there.
pub fn script(port: &IfName) -> String {
    let suffix = guard::suffix(port);
    format!(
        "add chain netdev {TABLE} guard_{suffix} {{ type filter hook ingress device \"{port}\" priority {PRIORITY}; \
         policy drop; }}\nflush chain netdev {TABLE} guard_{suffix}\n\
         add rule netdev {TABLE} guard_{suffix} jump port_{suffix}\n"
    )
}

/// Hooks the rules of a port, which are there, to its device.
pub fn attach(port: &IfName) -> Result<()> {
    let failed = || format!("failed to filter what comes in by '{port}'");
    let mut socket = Socket::open(SockProtocol::NetlinkNetFilter).context(failed)?;
    socket.batch(batch(port)).context(failed)
}

fn batch(port: &IfName) -> Vec<Message> {
    let (guard, rules) = (format!("guard_{}", guard::suffix(port)), format!("port_{}", guard::suffix(port)));
    let mut chain = of_tables(libc::NFT_MSG_NEWCHAIN, libc::NLM_F_CREATE);
    chain.put_str(nfta::CHAIN_TABLE, TABLE).put_str(nfta::CHAIN_NAME, &guard);
    chain.nest(nested(nfta::CHAIN_HOOK), |hook| {
        hook.put(nfta::HOOK_HOOKNUM, &NF_NETDEV_INGRESS.to_be_bytes());
        hook.put(nfta::HOOK_PRIORITY, &PRIORITY.to_be_bytes());
        hook.put_str(nfta::HOOK_DEV, port.as_str());
    });
    chain.put(nfta::CHAIN_POLICY, &NF_DROP.to_be_bytes());
    chain.put_str(nfta::CHAIN_TYPE, "filter");
    let mut rule =
        of_tables(libc::NFT_MSG_NEWRULE, libc::NLM_F_CREATE | libc::NLM_F_APPEND | libc::NLM_F_ACK);
    rule.put_str(nfta::RULE_TABLE, TABLE).put_str(nfta::RULE_CHAIN, &guard);
    rule.nest(nested(nfta::RULE_EXPRESSIONS), |list| {
        list.nest(nested(nfta::LIST_ELEM), |expression| jump(expression, &rules));
    });
    vec![border(libc::NFNL_MSG_BATCH_BEGIN), chain, rule, border(libc::NFNL_MSG_BATCH_END)]
}

/// The expression that goes through another chain.
fn jump(expression: &mut Message, chain: &str) {
    expression.put_str(nfta::EXPR_NAME, "immediate");
    expression.nest(nested(nfta::EXPR_DATA), |data| {
        data.put(nfta::IMMEDIATE_DREG, &NFT_REG_VERDICT.to_be_bytes());
        data.nest(nested(nfta::IMMEDIATE_DATA), |value| {
            value.nest(nested(nfta::DATA_VERDICT), |verdict| {
                verdict.put(nfta::VERDICT_CODE, &NFT_JUMP.to_be_bytes());
                verdict.put_str(nfta::VERDICT_CHAIN, chain);
            });
        });
    });
}

fn nested(kind: u16) -> u16 {
    kind | libc::NLA_F_NESTED as u16
}

fn of_tables(kind: libc::c_int, flags: libc::c_int) -> Message {
    let kind = (libc::NFNL_SUBSYS_NFTABLES << 8 | kind) as u16;
    Message::new(kind, flags, &[libc::NFPROTO_NETDEV as u8, 0, 0, 0])
}

/// The begin or the end of what is done as a whole.
fn border(kind: libc::c_int) -> Message {
    Message::new(kind as u16, 0, &[0, 0, 0, libc::NFNL_SUBSYS_NFTABLES as u8])
}
