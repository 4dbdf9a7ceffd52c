//! Waiting for a state: the caller has a pipe to read from, and may let go of it.

use std::time::Duration;

use super::attach::{Handle, pipe, tell};
use super::lasting;
use crate::dbus::caller::Action;
use crate::dbus::interface::{FollowUp, Method};
use crate::error::{Error, Result};
use crate::machine::{Machine, RunState};

/// The method.
pub fn method() -> Method {
    lasting("Wait", Action::Look, &["states", "timeout_usec"], &["reached"], wait)
}

fn wait(machine: &Machine, (states, usec): (Vec<String>, u64)) -> Result<((Handle,), Option<FollowUp>)> {
    let states = states.iter().map(|state| state.parse()).collect::<Result<Vec<RunState>>>()?;
    if states.is_empty() {
        return Err(Error::config("there is no state to wait for").hint("for example running"));
    }
    let limit = Some(usec).filter(|usec| *usec != u64::MAX).map(Duration::from_micros);
    let (theirs, ours) = pipe()?;
    let machine = machine.clone();
    let follow_up = move || {
        if let Ok(state) = machine.wait_for_reader(&states, limit, &ours) {
            tell(ours, state);
        }
    };
    Ok(((theirs.into(),), Some(Box::new(follow_up))))
}
