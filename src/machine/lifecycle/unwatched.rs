//! Ending a payload whose service has ended, so that no supervisor can: its program could not be executed, or systemd has
//! given it up after too many starts.

use std::time::{Duration, Instant};

use super::unit::{Stop, Stopped};
use crate::error::{Kind, Result};
use crate::machine::Machine;
use crate::runtime::cgroup::Cgroup;
use crate::runtime::directory::Runtime;
use crate::runtime::state::{self, State};
use crate::runtime::stuck;
use crate::sys::signal::pidfd_send_signal;
use crate::systemd::{jobs::Job, payload};

/// Time limit for a payload's shutdown, the same as the supervisor's.
const ASK_LIMIT: Duration = Duration::from_secs(90);
/// Time limit for a kill before the container counts as stuck.
const KILL_LIMIT: Duration = Duration::from_secs(4);
/// Time limit for clean-up.
const CLEAR_LIMIT: Duration = Duration::from_secs(5);
/// The time between two looks.
const TICK: Duration = Duration::from_millis(20);

/// Ends a payload that nobody watches over: asked to shut down unless it is to be killed, and killed in the end. Does
/// nothing to one that has a supervisor. Errors are `Stuck` where processes are left.
pub fn end(machine: &Machine, how: Stop) -> Result<Stopped> {
    let (root, name) = (machine.root(), &machine.name);
    if machine.refuse_stuck().is_ok() {
        return Ok(Stopped::Down);
    }
    let Some((mut state, cgroup)) = payload_of(machine) else {
        // There is a scope, and nobody knows of what: systemd kills what is in it.
        machine.host().systemd(async |manager| manager.ask(Job::Stop, &name.scope()).await)?;
        within(KILL_LIMIT, || machine.refuse_stuck().is_ok());
        return machine.refuse_stuck().map(|()| Stopped::Killed);
    };
    let obeys = match how {
        _ if state.killed => false,
        Stop::Kill => false,
        Stop::Ask => ask(&state, &cgroup, ASK_LIMIT),
        Stop::AskFor(limit) => ask(&state, &cgroup, limit),
    };
    state.killed = true;
    // Whoever has the lock clears away himself.
    match Runtime::open(root, name) {
        Ok(runtime) => runtime.write_state(&state)?,
        Err(error) if error.kind() == Kind::Busy => {}
        Err(error) => return Err(error),
    }
    cgroup.kill()?;
    payload::start_reaper(name)?;
    if !within(KILL_LIMIT, || cgroup.is_empty()) {
        return Err(stuck::error(name, true, &stuck::processes(cgroup.path())));
    }
    within(CLEAR_LIMIT, || cgroup.is_gone() && state::read(root, name).is_none());
    Ok(if obeys || how == Stop::Kill { Stopped::Down } else { Stopped::Killed })
}

fn payload_of(machine: &Machine) -> Option<(State, Cgroup)> {
    let state = state::read(machine.root(), &machine.name)?;
    let cgroup = Cgroup::of(&state)?;
    Some((state, cgroup))
}

/// Sends the leader its shutdown signal; whether it has ended in time.
fn ask(state: &State, cgroup: &Cgroup, limit: Duration) -> bool {
    let asked = state.open_leader().filter(|_| state.init && !cgroup.is_frozen());
    asked.is_some_and(|leader| pidfd_send_signal(leader, state.stop_signal).is_ok())
        && within(limit, || state.open_leader().is_none())
}

/// Waits until something is so; false where it is not in time.
fn within(limit: Duration, is_so: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    loop {
        if is_so() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(TICK);
    }
}
