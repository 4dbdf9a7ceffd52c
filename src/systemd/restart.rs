//! The next state of a service whose main process was killed: systemd restarts it after a pause, in which a stop runs
//! nothing of the service's own.
//!
//! ```text
//! deactivating ──► auto-restart ──► activating ──► active       Restarted
//!      │                │                └───────► failed       Restarted: given up later, by who started
//!      │                ├── stopped meanwhile ───► inactive     Stopped
//!      │                └── too often ───────────► failed       Restarted: the next start takes over
//!      └── stopped meanwhile ────────────────────► failed       Stopped
//! ```

use super::block_on;
use super::bus::connect;
use super::manager::Manager;
use super::watch::{Change, Watch};
use crate::error::Result;
use crate::name::MachineName;

/// The next state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextState {
    /// It was started again, or systemd has given it up: somebody sees to it, or will.
    Restarted,
    /// Somebody has stopped it.
    Stopped,
}

/// Waits for the next state of a container's service; `listening` is called once nothing can be missed any more.
pub fn next_state(name: &MachineName, listening: impl FnOnce()) -> Result<NextState> {
    let service = name.service();
    block_on(async {
        let mut watch = Watch::on(connect().await?).await?;
        let mut states = States::default();
        for unit in watch.look(&[&service]).await? {
            states.take(Some(&unit.active), Some(&unit.sub));
        }
        listening();
        loop {
            if let Some(next) = states.next() {
                return Ok(next);
            }
            match watch.next().await? {
                Change::Unit { name, properties } if name == service => states.take(
                    properties.get("ActiveState").map(String::as_str),
                    properties.get("SubState").map(String::as_str),
                ),
                Change::Gone(name) if name == service => return Ok(NextState::Stopped),
                _ => {}
            }
        }
    })
}

/// Whether nobody has started a container's service again.
pub fn is_down(name: &MachineName) -> Result<bool> {
    let units = block_on(Manager::find_units_by(Manager::connect, &[&name.service()]))?;
    Ok(units.iter().all(|unit| ["inactive", "failed"].contains(&unit.active.as_str())))
}

/// The last state, and whether a restart was seen.
#[derive(Default)]
struct States {
    active: String,
    sub: String,
    waited: bool,
    ended: bool,
}

impl States {
    fn take(&mut self, active: Option<&str>, sub: Option<&str>) {
        for (known, told) in [(&mut self.active, active), (&mut self.sub, sub)] {
            if let Some(told) = told {
                *known = told.to_string();
            }
        }
        self.waited |= self.is_paused();
        self.ended |= self.active == "deactivating";
    }

    /// Of `failed-before-auto-restart`, `auto-restart`, `auto-restart-queued`.
    fn is_paused(&self) -> bool {
        self.sub.contains("auto-restart")
    }

    fn next(&self) -> Option<NextState> {
        match self.active.as_str() {
            "deactivating" => None,
            _ if self.is_paused() => None,
            "inactive" => Some(NextState::Stopped),
            "failed" if self.ended && !self.waited => Some(NextState::Stopped),
            _ => Some(NextState::Restarted),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next_of(told: &[(&str, &str)]) -> Option<NextState> {
        let mut states = States::default();
        for (active, sub) in told {
            assert_eq!(states.next().filter(|_| !states.active.is_empty()), None, "before {active}");
            states.take(Some(active), Some(sub));
        }
        states.next()
    }

    #[test]
    fn a_stop_is_told_from_a_restart_and_from_a_failure() {
        let post = ("deactivating", "stop-post");
        let pause = ("activating", "auto-restart");
        let before = ("failed", "failed-before-auto-restart");
        let dead = ("inactive", "dead-resources-pinned");
        let failed = ("failed", "failed");
        assert_eq!(next_of(&[post]), None);
        assert_eq!(next_of(&[post, pause, ("activating", "auto-restart-queued")]), None);
        assert_eq!(next_of(&[post, pause, ("activating", "start")]), Some(NextState::Restarted));
        assert_eq!(next_of(&[("active", "running")]), Some(NextState::Restarted));
        assert_eq!(next_of(&[post, before, pause, ("activating", "start")]), Some(NextState::Restarted));
        assert_eq!(next_of(&[post, pause, failed]), Some(NextState::Restarted));
        assert_eq!(next_of(&[failed]), Some(NextState::Restarted));
        assert_eq!(next_of(&[post, failed]), Some(NextState::Stopped));
        assert_eq!(next_of(&[post, pause, dead]), Some(NextState::Stopped));
        assert_eq!(next_of(&[dead]), Some(NextState::Stopped));
    }
}
