//! Signals to the payload.

use nix::errno::Errno;

use crate::error::{Context, Error, Kind, Result};
use crate::machine::Machine;
use crate::runtime::state;
use crate::sys::signal::pidfd_send_signal;
use crate::systemd::manager::Whom;

/// The receivers of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The container's first process.
    Leader,
    /// Every process of it, those that were attached included.
    All,
}

impl Machine {
    /// Sends `signal`, by its number.
    pub fn kill(&self, target: Target, signal: i32) -> Result<()> {
        self.host().require_systemd()?;
        match target {
            Target::Leader => to_leader(self, signal),
            Target::All => {
                self.require_up()?;
                self.host()
                    .systemd(async |manager| manager.kill_unit(&self.name.scope(), Whom::All, signal).await)
            }
        }
    }
}

/// By pidfd, so that no other process that has got the leader's number is signalled.
fn to_leader(machine: &Machine, signal: i32) -> Result<()> {
    let name = &machine.name;
    if !rustix::process::geteuid().is_root() {
        let denied = format!("only root may send a signal to the leader of '{name}'");
        return Err(Error::new(Kind::Denied, denied).hint("try it with sudo, or '--whom all'"));
    }
    let (_, leader) = state::require_running(machine.root(), name)?;
    match pidfd_send_signal(leader, signal) {
        // It has ended since.
        Err(Errno::ESRCH) => Err(state::not_running(name)),
        sent => sent.context(|| format!("failed to send signal {signal} to '{name}'")),
    }
}
