//! The host's end of a link: the host learns nothing from the container that sends into it.
//!
//! The kernel's defaults are those of a client in a network that it trusts: a router advertisement installs a default
//! route, a redirect changes one, and each interface has an IPv6 link-local address by which the host's services are
//! reached. Where networkd configures an interface, as `ve-*` and `vz-*`, it sets afterwards what its own files
//! ask for. The settings belong to the interface and stay when it is renamed (ip-sysctl).

use std::fs;
use std::io::ErrorKind;

use crate::error::{Context, Result};

/// Files below `/proc/sys/net`, where `IFACE` is an interface's name, and what they hold. None of them makes the host trust
/// what comes in.
const UNTRUSTED: &[(&str, &str)] = &[
    ("ipv6/conf/IFACE/accept_ra", "0"),
    ("ipv6/conf/IFACE/autoconf", "0"),
    ("ipv6/conf/IFACE/accept_redirects", "0"),
    ("ipv6/conf/IFACE/accept_source_route", "-1"),
    ("ipv6/conf/IFACE/proxy_ndp", "0"),
    ("ipv4/conf/IFACE/accept_redirects", "0"),
    ("ipv4/conf/IFACE/accept_source_route", "0"),
    ("ipv4/conf/IFACE/proxy_arp", "0"),
    ("ipv4/conf/IFACE/proxy_arp_pvlan", "0"),
];

/// `IN6_ADDR_GEN_MODE_NONE`: the kernel makes no link-local address.
const NO_LINK_LOCAL: (&str, &str) = ("ipv6/conf/IFACE/addr_gen_mode", "1");

/// The port of a bridge has no packets of its own: what is delivered to the port itself did not come by the bridge.
/// Strict reverse path filtering refuses each IPv4 packet, since no route leads to the port.
const PORT: &[(&str, &str)] = &[("ipv6/conf/IFACE/disable_ipv6", "1"), ("ipv4/conf/IFACE/rp_filter", "1")];

/// Part that an interface of the host plays in a container's network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The host's end of a point-to-point link.
    Alone,
    /// The port of a bridge.
    Port,
    /// The bridge of a zone.
    Zone,
    /// The managed bridge, whose link-local address is that of the containers' router.
    Managed,
}

/// Prepares the interface `name`, which is still down. A kernel or host without IPv6 has nothing to set for it.
pub fn prepare(name: &str, role: Role) -> Result<()> {
    let link_local = (role != Role::Managed).then_some(&NO_LINK_LOCAL);
    let port = if role == Role::Port { PORT } else { &[] };
    UNTRUSTED.iter().chain(link_local).chain(port).try_for_each(|(file, value)| write(name, file, value))
}

fn write(name: &str, file: &str, value: &str) -> Result<()> {
    let path = format!("/proc/sys/net/{}", file.replace("IFACE", name));
    match fs::write(&path, value) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        written => written.context(|| format!("failed to write '{path}'")),
    }
}

/// Settings of an interface of the host, kept while it is in a container: the kernel forgets them when it moves.
pub fn read(name: &str) -> Vec<(String, String)> {
    let files = UNTRUSTED.iter().chain([&NO_LINK_LOCAL]).chain(PORT).map(|(file, _)| *file);
    let read = |file: &str| {
        let text = fs::read_to_string(format!("/proc/sys/net/{}", file.replace("IFACE", name))).ok()?;
        Some((file.to_string(), text.trim().to_string()))
    };
    files.filter_map(read).collect()
}

/// Gives the interface `name` back the settings of [`read`], of which none names another file than those above.
pub fn restore(name: &str, settings: &[(String, String)]) -> Result<()> {
    settings.iter().try_for_each(|(file, value)| write(name, file, value))
}
