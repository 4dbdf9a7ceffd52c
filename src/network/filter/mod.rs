//! The packet filter: tables of our own in the families bridge, inet and netdev, and nobody else's touched.
//!
//! Whatever is added for a container, how to take it back is written into its run-time directory first: so it goes
//! whoever dies. All of it is idempotent, base chains included, for somebody may have flushed the whole rule set.

/// What other people's rules do.
pub mod foreign;
/// What a container may send.
pub mod guard;
/// nft(8).
pub mod nft;
/// Ports of the host that lead into containers.
pub mod ports;
/// Limits of bandwidth.
pub mod rates;

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::managed::BRIDGE;
use super::wiring::{Driver, PortOf, Wire};
use crate::config::network::Port;
use crate::error::{Context, Result};
use crate::name::MachineName;
use crate::paths::Root;

/// The name of each table of ours.
pub const TABLE: &str = "containerctl";
/// Below a machine's run-time directory: the script that takes all of its back.
const UNDO: &str = "nft";

/// The tables and their chains, made or made anew.
fn base() -> String {
    format!(
        "add table bridge {TABLE}
add map bridge {TABLE} ports {{ type ifname : verdict; }}
add set bridge {TABLE} members {{ type ifname; }}
add set bridge {TABLE} isolated {{ type ifname; }}
add chain bridge {TABLE} prerouting {{ type filter hook prerouting priority -350; policy accept; }}
add chain bridge {TABLE} forward {{ type filter hook forward priority -350; policy accept; }}
flush chain bridge {TABLE} prerouting
flush chain bridge {TABLE} forward
add rule bridge {TABLE} prerouting iifname vmap @ports
add rule bridge {TABLE} forward iifname @isolated oifname @members drop
add rule bridge {TABLE} forward oifname @isolated iifname @members drop
add table inet {TABLE}
add map inet {TABLE} dnat4 {{ type inet_proto . inet_service : ipv4_addr . inet_service; }}
add map inet {TABLE} dnat6 {{ type inet_proto . inet_service : ipv6_addr . inet_service; }}
add set inet {TABLE} isolated4 {{ type ipv4_addr; }}
add set inet {TABLE} isolated6 {{ type ipv6_addr; }}
add chain inet {TABLE} prerouting {{ type nat hook prerouting priority dstnat - 5; policy accept; }}
add chain inet {TABLE} output {{ type nat hook output priority dstnat - 5; policy accept; }}
add chain inet {TABLE} postrouting {{ type nat hook postrouting priority srcnat - 5; policy accept; }}
add chain inet {TABLE} forward {{ type filter hook forward priority filter - 5; policy accept; }}
flush chain inet {TABLE} prerouting
flush chain inet {TABLE} output
flush chain inet {TABLE} postrouting
flush chain inet {TABLE} forward
add rule inet {TABLE} prerouting fib daddr type local dnat ip to meta l4proto . th dport map @dnat4
add rule inet {TABLE} prerouting fib daddr type local dnat ip6 to meta l4proto . th dport map @dnat6
add rule inet {TABLE} output fib daddr type local dnat ip to meta l4proto . th dport map @dnat4
add rule inet {TABLE} output fib daddr type local ip6 daddr != ::1 dnat ip6 to meta l4proto . th dport map @dnat6
add rule inet {TABLE} postrouting iifname {BRIDGE} oifname {BRIDGE} ct status dnat masquerade
add rule inet {TABLE} postrouting oifname {BRIDGE} ip saddr 127.0.0.0/8 masquerade
add rule inet {TABLE} forward ct status dnat accept
add rule inet {TABLE} forward iifname {BRIDGE} oifname {BRIDGE} ip saddr @isolated4 drop
add rule inet {TABLE} forward iifname {BRIDGE} oifname {BRIDGE} ip daddr @isolated4 drop
add rule inet {TABLE} forward iifname {BRIDGE} oifname {BRIDGE} ip6 saddr @isolated6 drop
add rule inet {TABLE} forward iifname {BRIDGE} oifname {BRIDGE} ip6 daddr @isolated6 drop
"
    )
}

/// What is to be added, and how it is taken back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script {
    /// Adds.
    pub add: String,
    /// Takes back.
    pub undo: String,
}

/// The script for the links of a machine, all of which have their addresses, and for its ports.
pub fn script(machine: &MachineName, wires: &[Wire], forwarded: &[Port]) -> Script {
    let mut script = Script::default();
    for wire in wires.iter().filter(|wire| wire.is_managed()) {
        let (Driver::Veth(veth), Some(mac)) = (&wire.driver, wire.mac) else { continue };
        let addresses = addresses(std::slice::from_ref(wire));
        script.add.push_str(&guard::add(&veth.outside, mac, &addresses));
        script.undo.push_str(&guard::remove(&veth.outside));
        if veth.isolated && veth.port == PortOf::Managed {
            script.add.push_str(&format!("add element bridge {TABLE} isolated {{ \"{}\" }}\n", veth.outside));
            for address in &addresses {
                let set = if address.is_ipv4() { "isolated4" } else { "isolated6" };
                script.add.push_str(&format!("add element inet {TABLE} {set} {{ {address} }}\n"));
                script.undo.push_str(&format!("destroy element inet {TABLE} {set} {{ {address} }}\n"));
            }
        }
    }
    let addresses = addresses(wires);
    script.add.push_str(&ports::add(machine, forwarded, &addresses));
    script.undo.push_str(&ports::remove(forwarded, &addresses));
    script
}

/// All addresses of some links, without their lengths.
pub fn addresses(wires: &[Wire]) -> Vec<IpAddr> {
    wires.iter().flat_map(|wire| wire.addresses.iter().map(|prefix| prefix.address)).collect()
}

/// Begins to carry a script out; nothing is begun where there is nothing to do.
pub fn begin(root: &Root, machine: &MachineName, script: &Script) -> Result<Option<nft::Running>> {
    if script.add.is_empty() {
        return Ok(None);
    }
    remember(&undo_path(root, machine), &script.undo)?;
    nft::start(&format!("{}{}", base(), script.add)).map(Some)
}

/// Carries a script out.
pub fn apply(root: &Root, machine: &MachineName, script: &Script) -> Result<()> {
    begin(root, machine, script)?.map_or(Ok(()), |running| running.finish().map(drop))
}

/// Carries the undoing part of a script out, now.
pub fn undo(script: &Script) -> Result<()> {
    if script.undo.is_empty() { Ok(()) } else { nft::run(&format!("{}{}", base(), script.undo)) }
}

/// Takes back all that was ever added for a machine since it started.
pub fn tear_down(root: &Root, machine: &MachineName) -> Result<()> {
    let path = undo_path(root, machine);
    let undo = match fs::read_to_string(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        text => text.context(|| format!("failed to read '{}'", path.display()))?,
    };
    // Twice the same would be one too many for chains; and what went with its interface is fine.
    let mut lines: Vec<&str> = Vec::new();
    undo.lines().for_each(|line| {
        if !lines.contains(&line) {
            lines.push(line)
        }
    });
    nft::run(&format!("{}{}\n", base(), lines.join("\n")))?;
    fs::remove_file(&path).context(|| format!("failed to remove '{}'", path.display()))
}

fn undo_path(root: &Root, machine: &MachineName) -> PathBuf {
    root.runtime_of(machine).join(UNDO)
}

fn remember(path: &Path, undo: &str) -> Result<()> {
    let mut open = OpenOptions::new();
    let written =
        open.create(true).append(true).open(path).and_then(|mut file| file.write_all(undo.as_bytes()));
    written.context(|| format!("failed to write '{}'", path.display()))
}

/// Lets the host's own programs reach forwarded ports at 127.0.0.1: their packets leave by the bridge (ip-sysctl). No
/// container gets there by it, since its port drops what is for 127.0.0.0/8.
pub fn allow_loopback() -> Result<()> {
    let path = format!("/proc/sys/net/ipv4/conf/{BRIDGE}/route_localnet");
    fs::write(&path, "1").context(|| format!("failed to write '{path}'"))
}
