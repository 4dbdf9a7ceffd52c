//! Freezing the payload: by systemd's own freezer, so that systemctl shows it and can undo it.

use std::time::Duration;

use super::unit::require_systemd;
use crate::error::{Error, Kind, Result};
use crate::machine::conversation::within;
use crate::machine::inspect::registry;
use crate::name::MachineName;
use crate::paths::Root;
use crate::runtime::run_state::RunState;
use crate::runtime::state;
use crate::systemd::{self, manager::Manager};

/// A process that sleeps in the kernel and cannot be woken cannot be frozen either.
const LIMIT: Duration = Duration::from_secs(10);

/// Stops all processes of the payload where they are, until [`thaw`]. One that is frozen already is fine.
pub fn freeze(root: &Root, name: &MachineName) -> Result<()> {
    require_running(root, name)?;
    let scope = name.scope();
    let late = || {
        // Half of it frozen is not what was asked for.
        let _ = thaw(root, name);
        Error::new(Kind::TimedOut, format!("failed to freeze '{name}': a process cannot be stopped"))
            .hint(format!("see what its processes wait for with 'systemd-cgls -u {}'", name.scope()))
    };
    let ask = move || systemd::block_on(async { Manager::connect().await?.freeze_unit(&scope).await });
    within(LIMIT, ask, late).or_else(|error| match registry::state(root, name)? {
        RunState::Running | RunState::Frozen => Err(error),
        state => Err(Error::new(Kind::Busy, format!("container '{name}' is {state}"))),
    })
}

/// Lets them go on. One that is not frozen is fine.
pub fn thaw(root: &Root, name: &MachineName) -> Result<()> {
    require_running(root, name)?;
    let (scope, slice) = (name.scope(), name.slice());
    systemd::block_on(async {
        let manager = Manager::connect().await?;
        let thawed = manager.thaw_unit(&scope).await;
        let freezer = manager.properties(&scope, "Scope").await?.text("FreezerState");
        match freezer.as_str() {
            "frozen-by-parent" | "freezing-by-parent" => {
                Err(Error::new(Kind::Busy, format!("failed to thaw '{scope}': a slice above it is frozen"))
                    .hint(format!("thaw that: 'systemctl thaw {slice}', or the one above")))
            }
            _ => thawed,
        }
    })
}

fn require_running(root: &Root, name: &MachineName) -> Result<()> {
    registry::require(root, name)?;
    require_systemd(root)?;
    let state = registry::state(root, name)?;
    if state.is_down() { Err(state::not_running(name)) } else { Ok(()) }
}
