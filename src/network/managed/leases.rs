//! The ranges of the managed network and the leases in them. Pure but for reading one small file.
//!
//! ```text
//! range 10.83.12.1/22
//! range fd5b:1c9:77aa::1/64
//! lease p1 eth0 02:5b:1c:00:00:01 10.83.13.7
//! ```

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use crate::config::network::{IfName, Mac, Prefix};
use crate::error::{Context, Error, Kind, Result};
use crate::name::{MachineName, fnv1a};

/// Bits of the network's part of our IPv4 range: a thousand containers, more than a bridge has ports.
pub const LENGTH: u8 = 22;
/// The first address that is given out; those below are left to DHCP clients that are no containers.
pub const FIRST: u32 = 256;
/// Number of addresses for containers: up to the broadcast address.
const COUNT: u32 = (1 << (32 - LENGTH)) - FIRST - 1;

/// The table of ranges and leases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// The bridge's own IPv4 address, which is the router's and the name server's.
    pub gateway: Ipv4Addr,
    /// Bits of the IPv4 network's part.
    pub length: u8,
    /// The bridge's own IPv6 address in a /64.
    pub gateway6: Ipv6Addr,
    /// The addresses that are given out.
    pub leases: Vec<Lease>,
}

/// An IPv4 address that is given out; the IPv6 address follows from the MAC address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The container.
    pub machine: MachineName,
    /// Name of the interface inside.
    pub interface: IfName,
    /// That interface's MAC address.
    pub mac: Mac,
    /// The address.
    pub address: Ipv4Addr,
}

impl Table {
    /// Makes an empty table, with ranges that overlap none of `taken`: the networks that the host knows of.
    pub fn begin(host_id: &str, taken: &[Prefix]) -> Result<Table> {
        let all = 1 << (LENGTH - 8);
        let first = fnv1a(host_id) as u32 % all;
        let base = |step: u32| (10 << 24) + (((first + step) % all) << (32 - LENGTH));
        let is_free = |base: &u32| !taken.iter().any(|prefix| overlaps(*base, prefix));
        let base = (0..all).map(base).find(is_free).ok_or_else(|| {
            Error::failed("every network in 10.0.0.0/8 is taken")
                .hint("give containers a bridge of your own by Bridge=")
        })?;
        // RFC 4193: fd and 40 bits that nobody else is likely to have.
        let [_, _, _, a, b, c, d, e] = fnv1a(&format!("{host_id} ctl0")).to_be_bytes();
        let groups =
            [0xfd00 | u16::from(a), u16::from_be_bytes([b, c]), u16::from_be_bytes([d, e]), 0, 0, 0, 0, 1];
        let gateway6 = Ipv6Addr::from(groups);
        Ok(Table { gateway: Ipv4Addr::from(base + 1), length: LENGTH, gateway6, leases: Vec::new() })
    }

    /// Reads the table; `None` where there is none yet.
    pub fn read(path: &Path) -> Result<Option<Table>> {
        let failed = || format!("failed to read '{}'", path.display());
        match std::fs::read_to_string(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            text => Table::parse(&text.context(failed)?).map(Some).map_err(|line| {
                Error::failed(format!("'{}' line {line} is not a range or a lease", path.display()))
                    .hint("repair or remove that line")
            }),
        }
    }

    /// Parses text; the error is the number of a line that is wrong, or of the last one where a range is missing.
    fn parse(text: &str) -> Result<Table, usize> {
        let (mut v4, mut v6, mut leases) = (None, None, Vec::new());
        for (number, line) in text.lines().enumerate() {
            let words: Vec<&str> = line.split(' ').collect();
            let read = match &words[..] {
                ["range", range] => match prefix(range) {
                    Some(Prefix { address: IpAddr::V4(address), length }) if (16..=28).contains(&length) => {
                        v4.replace((address, length)).is_none()
                    }
                    Some(Prefix { address: IpAddr::V6(address), length: 64 }) => {
                        v6.replace(address).is_none()
                    }
                    _ => false,
                },
                ["lease", words @ ..] => lease(words).is_some_and(|lease| {
                    leases.push(lease);
                    true
                }),
                _ => false,
            };
            if !read {
                return Err(number + 1);
            }
        }
        let ((gateway, length), gateway6) = v4.zip(v6).ok_or(text.lines().count())?;
        Ok(Table { gateway, length, gateway6, leases })
    }

    /// Formats the table as [`Table::read`] reads it.
    pub fn text(&self) -> String {
        let mut text = format!("range {}/{}\nrange {}/64\n", self.gateway, self.length, self.gateway6);
        for Lease { machine, interface, mac, address } in &self.leases {
            let _infallible = writeln!(text, "lease {machine} {interface} {mac} {address}");
        }
        text
    }

    /// The addresses that the bridge has.
    pub fn addresses(&self) -> [Prefix; 2] {
        [
            Prefix { address: self.gateway.into(), length: self.length },
            Prefix { address: self.gateway6.into(), length: 64 },
        ]
    }

    /// The lease of an interface, and whether it is new: given out now, or changed to another MAC address.
    /// `chosen` is the address that it is to have.
    pub fn lease(
        &mut self,
        machine: &MachineName,
        interface: &IfName,
        mac: Mac,
        chosen: Option<Ipv4Addr>,
    ) -> Result<(Ipv4Addr, bool)> {
        if let Some(other) = self.leases.iter().find(|lease| lease.mac == mac)
            && (&other.machine, &other.interface) != (machine, interface)
        {
            return Err(Error::config(format!(
                "MAC address {mac} is that of '{}' in container '{}'",
                other.interface, other.machine
            )));
        }
        chosen.map_or(Ok(()), |address| self.refuse(machine, interface, address))?;
        let known =
            self.leases.iter_mut().find(|lease| (&lease.machine, &lease.interface) == (machine, interface));
        if let Some(known) = known {
            let address = chosen.unwrap_or(known.address);
            let changed = (known.mac, known.address) != (mac, address);
            (known.mac, known.address) = (mac, address);
            return Ok((address, changed));
        }
        let address = chosen.map_or_else(|| self.free(&format!("{machine} {interface}")), Ok)?;
        self.leases.push(Lease { machine: machine.clone(), interface: interface.clone(), mac, address });
        Ok((address, true))
    }

    /// Refuses to give an interface an address that is not in our network, or is not free.
    pub fn refuse(&self, machine: &MachineName, interface: &IfName, address: Ipv4Addr) -> Result<()> {
        let mask = u32::MAX << (32 - self.length);
        let host = u32::from(address) & !mask;
        if u32::from(address) & mask != u32::from(self.gateway) & mask || host == 0 || host == !mask {
            let range = Prefix { address: self.gateway.into(), length: self.length };
            return Err(Error::config(format!(
                "{address} is no address in {range}, the range of '{}'",
                super::BRIDGE
            ))
            .hint("take one of that, or a bridge of your own by Bridge="));
        }
        let busy = |whose: String| Err(Error::new(Kind::Busy, format!("{address} is {whose}")));
        let other = self.leases.iter().find(|lease| lease.address == address);
        match other.filter(|lease| (&lease.machine, &lease.interface) != (machine, interface)) {
            _ if address == self.gateway => busy("the host's own".to_string()),
            _ if self.length <= LENGTH && host < FIRST => busy("left to who asks by DHCP".to_string()),
            Some(other) => busy(format!("that of '{}' in container '{}'", other.interface, other.machine)),
            None => Ok(()),
        }
    }

    /// The first free address from the one that a name hashes to.
    fn free(&self, name: &str) -> Result<Ipv4Addr> {
        let taken: BTreeSet<Ipv4Addr> = self.leases.iter().map(|lease| lease.address).collect();
        let mask = u32::MAX << (32 - self.length);
        let base = u32::from(self.gateway) & mask;
        // A range that somebody made smaller has no part of its own for strangers.
        let (first, count) = if self.length <= LENGTH { (FIRST, COUNT) } else { (2, !mask - 2) };
        let start = (fnv1a(name) % u64::from(count)) as u32;
        let nth = |step: u32| Ipv4Addr::from(base + first + (start + step) % count);
        (0..count).map(nth).find(|address| *address != self.gateway && !taken.contains(address)).ok_or_else(
            || {
                Error::failed(format!("all addresses of '{}' are given out", super::BRIDGE))
                    .hint("destroy a container")
            },
        )
    }

    /// An address that nobody has, and nobody is given but in a range that somebody made small.
    pub fn spare(&self) -> Ipv4Addr {
        let base = u32::from(self.gateway) & (u32::MAX << (32 - self.length));
        let is_free = |address: &Ipv4Addr| {
            *address != self.gateway && !self.leases.iter().any(|lease| lease.address == *address)
        };
        (2..).map(|host| Ipv4Addr::from(base + host)).find(is_free).unwrap_or(self.gateway)
    }

    /// Takes back what a machine has; whether it had any.
    pub fn release(&mut self, machine: &MachineName) -> bool {
        let before = self.leases.len();
        self.leases.retain(|lease| lease.machine != *machine);
        self.leases.len() != before
    }

    /// Gives what a machine has to its new name; whether it had any. MAC addresses follow at its next start.
    pub fn rename(&mut self, old: &MachineName, new: &MachineName) -> bool {
        let of_old = self.leases.iter_mut().filter(|lease| lease.machine == *old);
        of_old.map(|lease| lease.machine = new.clone()).count() > 0
    }

    /// The network of the IPv6 addresses, a /64.
    pub fn prefix6(&self) -> Ipv6Addr {
        let [a, b, c, d, ..] = self.gateway6.segments();
        Ipv6Addr::from([a, b, c, d, 0, 0, 0, 0])
    }

    /// The IPv6 address that a MAC address makes in our network: the one that the guest's kernel makes of the
    /// router's advertisement, too (RFC 4291, appendix A).
    pub fn address6(&self, mac: Mac) -> Ipv6Addr {
        let [a, b, c, d, ..] = self.gateway6.segments();
        let [_, _, _, _, e, f, g, h] = link_local(mac).segments();
        Ipv6Addr::from([a, b, c, d, e, f, g, h])
    }
}

/// The link-local address that a MAC address makes.
pub fn link_local(Mac([a, b, c, d, e, f]): Mac) -> Ipv6Addr {
    let pair = |high, low| u16::from_be_bytes([high, low]);
    Ipv6Addr::from([0xfe80, 0, 0, 0, pair(a ^ 2, b), pair(c, 0xff), pair(0xfe, d), pair(e, f)])
}

fn lease(words: &[&str]) -> Option<Lease> {
    let [machine, interface, mac, address] = words else { return None };
    Some(Lease {
        machine: MachineName::new(machine).ok()?,
        interface: IfName::new(interface)?,
        mac: crate::config::network::mac(mac)?,
        address: address.parse().ok()?,
    })
}

fn prefix(text: &str) -> Option<Prefix> {
    let (address, length) = text.split_once('/')?;
    Some(Prefix { address: address.parse().ok()?, length: length.parse().ok()? })
}

/// Whether our IPv4 network at `base` and a network of somebody's have an address in common.
fn overlaps(base: u32, prefix: &Prefix) -> bool {
    let IpAddr::V4(address) = prefix.address else { return false };
    let length = prefix.length.min(LENGTH);
    let mask = u32::MAX.checked_shl(u32::from(32 - length)).unwrap_or(0);
    u32::from(address) & mask == base & mask
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn machine(name: &str) -> MachineName {
        MachineName::new(name).expect("valid")
    }

    fn eth0() -> IfName {
        IfName::new("eth0").expect("valid")
    }

    #[test]
    fn a_range_is_kept_from_what_the_host_knows() {
        let first = Table::begin("id", &[]).expect("range");
        let taken = Prefix { address: first.gateway.into(), length: 24 };
        let second = Table::begin("id", &[taken]).expect("range");
        assert_ne!(first.gateway, second.gateway);
        let ten = Prefix { address: Ipv4Addr::new(10, 0, 0, 0).into(), length: 8 };
        assert!(Table::begin("id", &[ten]).expect_err("taken").message().contains("is taken"));
        assert_eq!(first.gateway6.segments()[0] >> 8, 0xfd);
    }

    #[test]
    fn a_lease_stays_until_it_is_released() {
        let mut table = Table::begin("id", &[]).expect("range");
        let (p1, p2) = (Mac([2, 0, 0, 0, 0, 1]), Mac([2, 0, 0, 0, 0, 2]));
        let (address, new) = table.lease(&machine("p1"), &eth0(), p1, None).expect("lease");
        assert!(new);
        assert_eq!(table.lease(&machine("p1"), &eth0(), p1, None).expect("lease"), (address, false));
        assert_eq!(table.lease(&machine("p1"), &eth0(), p2, None).expect("lease"), (address, true));
        assert!(
            table.lease(&machine("p2"), &eth0(), p2, None).expect_err("taken").message().contains("'p1'")
        );
        assert!(
            table.rename(&machine("p1"), &machine("p3")) && !table.rename(&machine("p1"), &machine("p3"))
        );
        assert_eq!(table.lease(&machine("p3"), &eth0(), p2, None).expect("lease"), (address, false));
        assert!(table.release(&machine("p3")) && !table.release(&machine("p3")));
    }

    #[test]
    fn an_address_of_ones_choice_is_given_where_it_is_free() {
        let mut table =
            Table { gateway: Ipv4Addr::new(10, 1, 0, 1), ..Table::begin("id", &[]).expect("range") };
        let (p1, p2) = (Mac([2, 0, 0, 0, 0, 1]), Mac([2, 0, 0, 0, 0, 2]));
        let chosen = Ipv4Addr::new(10, 1, 2, 3);
        assert_eq!(table.lease(&machine("p1"), &eth0(), p1, Some(chosen)).expect("free"), (chosen, true));
        assert_eq!(table.lease(&machine("p1"), &eth0(), p1, None).expect("kept"), (chosen, false));
        let other = Ipv4Addr::new(10, 1, 2, 4);
        assert_eq!(table.lease(&machine("p1"), &eth0(), p1, Some(other)).expect("free"), (other, true));
        for (address, why) in [
            ([10, 1, 2, 4], "is that of 'eth0' in container 'p1'"),
            ([10, 1, 4, 1], "is no address in 10.1.0.1/22"),
            ([10, 1, 0, 0], "is no address in"),
            ([10, 1, 3, 255], "is no address in"),
            ([10, 1, 0, 1], "is the host's own"),
            ([10, 1, 0, 20], "is left to who asks by DHCP"),
        ] {
            let refused = table.lease(&machine("p2"), &eth0(), p2, Some(address.into())).expect_err(why);
            assert!(refused.message().contains(why), "{refused}");
        }
    }

    #[test]
    fn the_table_is_read_as_it_was_written() {
        let mut table = Table::begin("id", &[]).expect("range");
        table.lease(&machine("p1"), &eth0(), Mac([2, 0, 0, 0, 0, 1]), None).expect("lease");
        assert_eq!(Table::parse(&table.text()), Ok(table.clone()));
        let text = table.text();
        for (wrong, line) in
            [("", 0), ("range 10.0.0.1/22\n", 1), (&format!("{text}x\n"), 4), ("range x\n", 1)]
        {
            assert_eq!(Table::parse(wrong).map(drop), Err(line), "{wrong}");
        }
    }

    #[test]
    fn the_address_is_the_one_of_the_kernels_making() {
        let table =
            Table { gateway6: "fd00:1:2::1".parse().expect("v6"), ..Table::begin("id", &[]).expect("range") };
        let mac = Mac([2, 0, 0, 0, 0, 7]);
        assert_eq!(table.address6(mac).to_string(), "fd00:1:2::ff:fe00:7");
        assert_eq!(link_local(mac).to_string(), "fe80::ff:fe00:7");
    }

    proptest! {
        #[test]
        fn all_have_different_addresses_of_the_range(names in prop::collection::btree_set("[a-z]{1,8}", 1..100)) {
            let mut table = Table::begin("id", &[]).expect("range");
            let mut seen = BTreeSet::new();
            for (number, name) in (1..).zip(&names) {
                let (address, _) = table.lease(&machine(name), &eth0(), Mac([2, 0, 0, 0, 1, number]), None).expect("lease");
                let offset = u32::from(address) - u32::from(table.gateway) + 1;
                prop_assert!((FIRST..1023).contains(&offset) && seen.insert(address));
            }
        }
    }
}
