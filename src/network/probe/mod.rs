//! Probe for the fate of a container's packets on this host. A port of the managed bridge is made for it and sends like a
//! container, so rules of any firewall count, in whatever order and of whatever making.
//!
//! ```text
//! namespace ──► ctl0 ──► others' rules ──► counter at the end of the hook: it gets there
//!                            └──► nothing counted: it is sent again and traced, which names the chain (nft monitor)
//! ```
//! A packet for the world is counted, too, and dropped behind the last rule: nothing leaves the host. Everything that is
//! made goes again, the bridge included where there was none. IPv4 alone is tried, by which containers ask for names.

/// The command that mends a firewall.
mod remedy;
/// Links, rules and sockets of the probe.
mod site;
/// Packets by their way through the rules.
mod trace;

use std::time::{Duration, Instant};

use self::site::Site;
use self::trace::Chain;
use super::managed::forwarding;
use super::service::{self, Health};
use crate::error::Result;
use crate::paths::Root;

/// Longer than any packet takes on one host.
const DELIVERED: Duration = Duration::from_millis(500);
/// Between two looks at what has arrived.
const PAUSE: Duration = Duration::from_millis(20);
/// For who answers, and for a packet that is traced.
const ANSWERED: Duration = Duration::from_secs(2);

/// A kind of packet that containers send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet {
    /// A question to the name server.
    Names,
    /// A question for an address.
    Dhcp,
    /// To somebody beyond the host.
    World,
}

impl Packet {
    /// All of them.
    pub const ALL: [Packet; 3] = [Packet::Names, Packet::Dhcp, Packet::World];

    /// The port that it goes to.
    fn port(self) -> u16 {
        match self {
            Packet::Names => 53,
            Packet::Dhcp => 67,
            Packet::World => 9,
        }
    }

    /// The hook in which others decide about it.
    fn hook(self) -> &'static str {
        if self == Packet::World { "forward" } else { "input" }
    }
}

/// The fate of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It arrives, and is answered where somebody is to answer it.
    Passes,
    /// It does not.
    Fails {
        /// The reason.
        by: String,
        /// The command that mends a firewall.
        remedy: String,
    },
}

/// Sends each packet, and finds out what becomes of it.
pub fn probe(root: &Root, host_id: &str) -> Result<Vec<(Packet, Outcome)>> {
    let mut site = Site::make(root, host_id)?;
    let mut lost = Packet::ALL.to_vec();
    send_until(&mut site, &mut lost, DELIVERED, |_| Ok(()))?;
    let droppers = if lost.is_empty() { Vec::new() } else { traced(&mut site, &mut lost)? };
    let outcome = |packet: Packet| {
        let dropper = droppers.iter().find(|(dropped, _)| *dropped == packet).map(|(_, chain)| chain);
        match dropper.is_some() || lost.contains(&packet) {
            true => dropped(root, packet, dropper),
            false => answered(root, &site, packet),
        }
    };
    Ok(Packet::ALL.map(|packet| (packet, outcome(packet))).to_vec())
}

/// Sends packets again and again, as a link that has just come up forwards nothing for a moment, until all have arrived
/// or `found` has taken them out of those that are missing.
fn send_until(
    site: &mut Site,
    missing: &mut Vec<Packet>,
    limit: Duration,
    mut found: impl FnMut(&mut Vec<Packet>) -> Result<()>,
) -> Result<()> {
    let begin = Instant::now();
    while !missing.is_empty() && begin.elapsed() < limit {
        missing.iter().for_each(|packet| site.send(*packet));
        std::thread::sleep(PAUSE);
        let arrived = site.arrived()?;
        missing.retain(|packet| !arrived.contains(packet));
        found(missing)?;
    }
    Ok(())
}

/// Sends packets that were lost until a trace says where each ends.
fn traced(site: &mut Site, lost: &mut Vec<Packet>) -> Result<Vec<(Packet, Chain)>> {
    let mut monitor = site.trace()?;
    let mut found = Vec::new();
    send_until(site, lost, ANSWERED, |lost| {
        monitor.read()?;
        let dropper = |packet: &Packet| Some((*packet, monitor.dropper(packet.port())?));
        found.extend(lost.iter().filter_map(dropper));
        lost.retain(|packet| !found.iter().any(|(dropped, _)| dropped == packet));
        Ok(())
    })?;
    Ok(found)
}

/// Why a packet did not arrive.
fn dropped(root: &Root, packet: Packet, dropper: Option<&Chain>) -> Outcome {
    let is_unforwarded = packet == Packet::World && dropper.is_none() && !forwarding::is_enabled();
    let (by, remedy) = match dropper {
        _ if is_unforwarded => {
            ("the host does not forward packets".to_string(), "containerctl network restore".to_string())
        }
        Some(chain) => (format!("dropped by {chain}"), remedy::of(root, chain, packet.hook())),
        None => remedy::untraced(packet.hook()),
    };
    Outcome::Fails { by, remedy }
}

/// Whether a packet that arrived is answered. What the service says of itself is told elsewhere.
fn answered(root: &Root, site: &Site, packet: Packet) -> Outcome {
    let is_served = site.is_served() && service::health(root) == Health::Running(Vec::new());
    if packet == Packet::World || !is_served || site.is_answered(packet, ANSWERED) {
        return Outcome::Passes;
    }
    Outcome::Fails {
        by: "it arrives, and no answer comes back".to_string(),
        remedy: "let out by 'ctl0' what comes from ports 53 and 67 of the host".to_string(),
    }
}
