//! The state of a machine, derived from its two units: the service that an administrator starts, and the scope of its
//! payload.
//!
//! ```text
//! stopped ──► starting ──► running ◄──► frozen
//!    ▲            │           │           │
//!    │            ▼           ▼           ▼
//!    └──────── failed ◄─── stopping ──► stuck ──► stopped
//! ```

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use crate::error::{Error, Result};

/// The state of a machine. The names are LXC's where LXC has one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// Nothing of it runs.
    #[default]
    Stopped,
    /// It is on its way up.
    Starting,
    /// It runs.
    Running,
    /// It runs, and all its processes are frozen.
    Frozen,
    /// It is on its way down.
    Stopping,
    /// The service has ended, and processes are left that SIGKILL did not end.
    Stuck,
    /// It has ended with a failure.
    Failed,
}

impl RunState {
    /// All of them.
    pub const ALL: [RunState; 7] = [
        RunState::Stopped,
        RunState::Starting,
        RunState::Running,
        RunState::Frozen,
        RunState::Stopping,
        RunState::Stuck,
        RunState::Failed,
    ];

    /// The name of the state.
    pub fn as_str(self) -> &'static str {
        match self {
            RunState::Stopped => "stopped",
            RunState::Starting => "starting",
            RunState::Running => "running",
            RunState::Frozen => "frozen",
            RunState::Stopping => "stopping",
            RunState::Stuck => "stuck",
            RunState::Failed => "failed",
        }
    }

    /// Whether there is nothing that could be stopped.
    pub fn is_down(self) -> bool {
        matches!(self, RunState::Stopped | RunState::Failed)
    }

    /// Whether the payload is there.
    pub fn is_up(self) -> bool {
        matches!(self, RunState::Running | RunState::Frozen)
    }

    /// Judges. A service that is being started again after its supervisor's death has a payload that runs.
    pub fn of(service: &Service, scope: Scope) -> RunState {
        let up = if scope == Scope::Frozen { RunState::Frozen } else { RunState::Running };
        match service.active.as_str() {
            "active" | "reloading" | "refreshing" => up,
            "activating" if service.sub.starts_with("auto-restart") && scope != Scope::Gone => up,
            "activating" => RunState::Starting,
            "deactivating" => RunState::Stopping,
            _ if scope != Scope::Gone => RunState::Stuck,
            "failed" => RunState::Failed,
            _ => RunState::Stopped,
        }
    }
}

/// `ActiveState` and `SubState` of the service; empty where systemd has not loaded it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Service {
    /// `ActiveState`.
    pub active: String,
    /// `SubState`.
    pub sub: String,
}

/// The condition of the scope.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// There is none, or no process in it.
    #[default]
    Gone,
    /// It has processes.
    Alive,
    /// They are frozen.
    Frozen,
}

impl Scope {
    /// From `ActiveState` and `FreezerState` of the scope.
    pub fn of(active: &str, freezer: &str) -> Scope {
        match (active, freezer) {
            ("" | "inactive" | "failed", _) => Scope::Gone,
            (_, "frozen" | "frozen-by-parent") => Scope::Frozen,
            _ => Scope::Alive,
        }
    }

    /// From the scope's `cgroup.events`, empty where there is none (cgroups(7)).
    pub fn of_events(events: &str) -> Scope {
        let has = |line: &str| events.lines().any(|found| found == line);
        match (has("populated 1"), has("frozen 1")) {
            (false, _) => Scope::Gone,
            (true, true) => Scope::Frozen,
            (true, false) => Scope::Alive,
        }
    }
}

impl fmt::Display for RunState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for RunState {
    type Err = Error;

    /// Takes capital letters too, as LXC writes them.
    fn from_str(text: &str) -> Result<RunState> {
        let found = RunState::ALL.into_iter().find(|state| state.as_str().eq_ignore_ascii_case(text));
        found.ok_or_else(|| {
            let names = RunState::ALL.map(RunState::as_str).join(", ");
            Error::config(format!("'{}' is no state of a container", text.escape_debug()))
                .hint(format!("states are {names}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(active: &str, sub: &str) -> Service {
        Service { active: active.to_string(), sub: sub.to_string() }
    }

    #[test]
    fn every_pair_of_units_is_one_state() {
        use RunState::*;
        for (active, sub, scope, expected) in [
            ("", "", Scope::Gone, Stopped),
            ("inactive", "dead", Scope::Gone, Stopped),
            ("failed", "failed", Scope::Gone, Failed),
            ("activating", "start", Scope::Gone, Starting),
            ("activating", "start", Scope::Alive, Starting),
            ("active", "running", Scope::Alive, Running),
            ("active", "running", Scope::Frozen, Frozen),
            ("reloading", "reload-signal", Scope::Alive, Running),
            ("deactivating", "stop-sigterm", Scope::Alive, Stopping),
            ("deactivating", "final-sigterm", Scope::Gone, Stopping),
        ] {
            assert_eq!(RunState::of(&service(active, sub), scope), expected, "{active} {sub} {scope:?}");
        }
    }

    #[test]
    fn a_payload_without_its_supervisor_runs_while_that_is_on_its_way() {
        let restarting = service("activating", "auto-restart");
        assert_eq!(RunState::of(&restarting, Scope::Alive), RunState::Running);
        assert_eq!(RunState::of(&restarting, Scope::Frozen), RunState::Frozen);
        assert_eq!(RunState::of(&restarting, Scope::Gone), RunState::Starting);
    }

    #[test]
    fn what_is_left_when_the_service_has_ended_is_stuck() {
        assert_eq!(RunState::of(&service("failed", "failed"), Scope::Alive), RunState::Stuck);
        assert_eq!(RunState::of(&service("inactive", "dead"), Scope::Frozen), RunState::Stuck);
    }

    #[test]
    fn both_tellers_of_a_scope_agree() {
        assert_eq!(Scope::of_events("populated 1\nfrozen 0\n"), Scope::of("active", "running"));
        assert_eq!(Scope::of_events("populated 1\nfrozen 1\n"), Scope::of("active", "frozen-by-parent"));
        assert_eq!(Scope::of_events(""), Scope::of("", ""));
        assert_eq!(Scope::of_events("populated 0\nfrozen 1\n"), Scope::Gone);
    }

    #[test]
    fn names_are_read_as_lxc_writes_them() {
        for state in RunState::ALL {
            assert_eq!(state.as_str().to_uppercase().parse::<RunState>().expect("known"), state);
        }
        assert!("THAWED".parse::<RunState>().is_err());
    }
}
