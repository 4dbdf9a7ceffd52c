//! Freezing the payload: by systemd's own freezer, so that systemctl shows it and can undo it.

use std::time::Duration;

use crate::error::{Error, Kind, Result};
use crate::machine::Machine;
use crate::machine::background::within;
use crate::runtime::run_state::RunState;
use crate::runtime::state;
use crate::systemd;

/// A process that sleeps in the kernel and cannot be woken cannot be frozen either.
const LIMIT: Duration = Duration::from_secs(10);

impl Machine {
    /// Freezes all processes of the payload, until [`Machine::thaw`]. Does nothing to one that is frozen.
    pub fn freeze(&self) -> Result<()> {
        self.require_up()?;
        let (bus, scope) = (self.host().bus().clone(), self.name.scope());
        let late = || {
            // A payload of which half is frozen is of no use.
            let _ = self.thaw();
            let failed = format!("failed to freeze '{}': a process cannot be stopped", self.name);
            Error::new(Kind::TimedOut, failed)
                .hint(format!("see what its processes wait for with 'systemd-cgls -u {}'", self.name.scope()))
        };
        let freeze = move || systemd::block_on(async { bus.manager().await?.freeze_unit(&scope).await });
        within(self.host().cancellation(), LIMIT, freeze, late).or_else(|error| match self.state()? {
            RunState::Running | RunState::Frozen => Err(error),
            state => Err(Error::new(Kind::Busy, format!("container '{}' is {state}", self.name))),
        })
    }

    /// Thaws the payload. Does nothing to one that is not frozen.
    pub fn thaw(&self) -> Result<()> {
        self.require_up()?;
        let (scope, slice) = (self.name.scope(), self.name.slice());
        self.host().systemd(async |manager| {
            let thawed = manager.thaw_unit(&scope).await;
            let freezer = manager.properties(&scope, "Scope").await?.text("FreezerState");
            match freezer.as_str() {
                "frozen-by-parent" | "freezing-by-parent" => {
                    let failed = format!("failed to thaw '{scope}': a slice above it is frozen");
                    Err(Error::new(Kind::Busy, failed)
                        .hint(format!("thaw that: 'systemctl thaw {slice}', or the one above")))
                }
                _ => thawed,
            }
        })
    }

    /// Fails with kind `NotFound` unless the container is up, or on its way there.
    pub(super) fn require_up(&self) -> Result<()> {
        self.host().require_systemd()?;
        if self.state()?.is_down() { Err(state::not_running(&self.name)) } else { Ok(()) }
    }
}
