//! A running machine's addresses, as the kernel tells them of its network namespace: nobody enters it, and nobody
//! inside is asked.

use std::fs::File;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::runtime::state::State;

/// Of a namespace with more routes than fit in so many bytes the rest is not looked at.
const MAX_BYTES: u64 = 1 << 18;

/// The addresses by which others reach the machine: none of the loopback, none that hold for one link only. Empty where
/// it shares the host's network.
pub fn of(state: &State) -> Vec<IpAddr> {
    let Some(leader) = state.open_leader() else { return Vec::new() };
    if shares_the_hosts(state.leader) {
        return Vec::new();
    }
    let read = |file: &str| read(state.leader, file);
    let mut addresses: Vec<IpAddr> = ipv4(&read("fib_trie")).into_iter().map(IpAddr::V4).collect();
    addresses.extend(ipv6(&read("if_inet6")).into_iter().map(IpAddr::V6));
    // What was read is the leader's as long as the leader is there.
    drop(leader);
    if state.open_leader().is_some() { addresses } else { Vec::new() }
}

/// Whether a process has our own network namespace.
pub fn shares_the_hosts(leader: i32) -> bool {
    let of = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/net")).ok();
    of("self").is_some_and(|own| of(&leader.to_string()) == Some(own))
}

fn read(leader: i32, file: &str) -> String {
    let mut text = Vec::new();
    if let Ok(file) = File::open(format!("/proc/{leader}/net/{file}")) {
        let _ = file.take(MAX_BYTES).read_to_end(&mut text);
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// Of `fib_trie`, the leaves that are the namespace's own: `|-- ADDRESS` followed by `/32 host LOCAL`.
fn ipv4(trie: &str) -> Vec<Ipv4Addr> {
    let mut found = Vec::new();
    let mut leaf: Option<Ipv4Addr> = None;
    for line in trie.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            leaf = address.parse().ok();
        } else if line == "/32 host LOCAL" {
            found.extend(leaf.filter(|address| !address.is_loopback() && !found.contains(address)));
        }
    }
    found
}

/// Of `if_inet6`, the addresses of global scope: `ADDRESS INDEX LENGTH SCOPE FLAGS NAME`, in hexadecimal.
fn ipv6(table: &str) -> Vec<Ipv6Addr> {
    let address = |line: &str| {
        let mut words = line.split_whitespace();
        let bits = u128::from_str_radix(words.next()?, 16).ok()?;
        (words.nth(2)? == "00").then(|| Ipv6Addr::from_bits(bits))
    };
    table.lines().filter_map(address).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_addresses_are_told_from_networks_and_neighbours() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     +-- 10.0.2.0/24 2 0 2\n        |-- 10.0.2.0\n           /24 link UNICAST\n        |-- 10.0.2.15\n           /32 host LOCAL\n        |-- 10.0.2.255\n           /32 link BROADCAST\n     |-- 127.0.0.1\n        /32 host LOCAL\nLocal:\n        |-- 10.0.2.15\n           /32 host LOCAL\n";
        assert_eq!(ipv4(trie), [Ipv4Addr::new(10, 0, 2, 15)]);
        let table = "00000000000000000000000000000001 01 80 10 80       lo\nfe800000000000000000000000000001 02 40 20 80   host0\nfd000000000000000000000000000002 02 40 00 80   host0\n";
        assert_eq!(ipv6(table), ["fd00::2".parse::<Ipv6Addr>().unwrap()]);
        assert!(ipv4("|-- x\n/32 host LOCAL").is_empty() && ipv6("zz").is_empty());
    }
}
