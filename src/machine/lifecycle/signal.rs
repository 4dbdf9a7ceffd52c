//! Signals to the payload.

use nix::errno::Errno;

use super::unit::require_systemd;
use crate::error::{Context, Error, Kind, Result};
use crate::machine::inspect::registry;
use crate::name::MachineName;
use crate::paths::Root;
use crate::runtime::state;
use crate::sys::signal::pidfd_send_signal;
use crate::systemd::{
    self,
    manager::{Manager, Whom},
};

/// Who gets a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The container's first process.
    Leader,
    /// Every process of it, those that were attached included.
    All,
}

/// Sends `signal` by its number.
pub fn send(root: &Root, name: &MachineName, target: Target, signal: i32) -> Result<()> {
    registry::require(root, name)?;
    require_systemd(root)?;
    match target {
        Target::Leader => to_leader(root, name, signal),
        Target::All if registry::state(root, name)?.is_down() => Err(state::not_running(name)),
        Target::All => systemd::block_on(async {
            Manager::connect().await?.kill_unit(&name.scope(), Whom::All, signal).await
        }),
    }
}

/// By pidfd, so that it is the leader and no other process that has got its number.
fn to_leader(root: &Root, name: &MachineName, signal: i32) -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        return Err(Error::new(
            Kind::Denied,
            format!("only root may send a signal to the leader of '{name}'"),
        )
        .hint("try it with sudo, or '--whom all'"));
    }
    let (_, leader) = state::require_running(root, name)?;
    match pidfd_send_signal(leader, signal) {
        // It has ended since.
        Err(Errno::ESRCH) => Err(state::not_running(name)),
        sent => sent.context(|| format!("failed to send signal {signal} to '{name}'")),
    }
}
