//! `containerctl-names`: the service that answers guests of the managed network. One process without a container's data,
//! started with the first container and alive as long as the bridge is there:
//!
//! ```text
//! guest ──► ctl0 ──┬─ UDP and TCP 53: names      responder ──► the host's name server
//!                  ├─ UDP 67: DHCP               dhcp
//!                  └─ ICMPv6: solicitations      router
//! ```
//! All sockets are bound to the bridge, so other links do not reach them, and need no address to exist. A port that another
//! program holds is tried again for as long as it takes; what does not work is said in the journal, in the unit's status
//! and in a file, which starts of containers, `check` and `network info` read.

/// DHCP for IPv4; pure.
pub mod dhcp;
/// Reports of the service.
mod health;
/// The table of leases, read when it has changed.
mod known;
/// Router advertisements.
mod router;
/// The loop.
mod server;
/// Sockets of the bridge alone.
mod sockets;

use std::fs;

pub use self::server::serve;

use super::managed::{BRIDGE, Bridge};
use crate::paths::Root;
use crate::systemd::{self, jobs::Job, manager::Manager};

/// The unit.
pub const UNIT: &str = "containerctl-names.service";

/// The last report of the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// It does not run.
    Absent,
    /// It runs, and each of these sentences says what does not work.
    Running(Vec<String>),
}

/// Reads what the service says of itself.
pub fn health(root: &Root) -> Health {
    match fs::read_to_string(root.network_status()) {
        Ok(text) => Health::Running(text.lines().map(str::to_string).collect()),
        Err(_) => Health::Absent,
    }
}

/// Problems of the service while the network is there.
pub fn problems(root: &Root) -> Vec<String> {
    match health(root) {
        Health::Running(problems) => problems,
        Health::Absent => vec![format!("names and DHCP of '{BRIDGE}' do not work: '{UNIT}' does not run")],
    }
}

/// Has the service run, and logs what does not work of it: a container has a link all the same. It need not be up
/// afterwards.
pub(super) fn ensure(root: &Root, bridge: Bridge) {
    let job = match (bridge, health(root)) {
        (Bridge::New, _) => Job::Restart,
        (Bridge::Found, Health::Absent) => Job::Start,
        (Bridge::Found, Health::Running(problems)) => {
            return problems.iter().for_each(|problem| log::warn!("{problem}"));
        }
    };
    let asked = systemd::block_on(async { Manager::connect().await?.ask(job, UNIT).await });
    if let Err(error) = asked {
        log::warn!("{error}, ignoring: guests get no names and no answers to DHCP");
    }
}
