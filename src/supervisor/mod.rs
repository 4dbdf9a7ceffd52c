//! One process per container, with one thread and one poll loop. It may die: the container goes on, and the
//! next one takes over from what systemd kept.
//!
//! ```text
//! run ─┬─ nothing kept ──► start ──┐ executes itself, keeping its pid
//!      └─ kept ──► adopt ◄─────────┘
//!                    └──► watch ──► end ──► exit code
//! ```
//!
//! [`start`] makes everything and keeps it (descriptors and a state memfd in the service manager's store) before
//! it is relied on, then executes itself: what watches for days has none of the memory that a start takes, and
//! adoption is tried at every start. [`event_loop`] is the loop: leader, console, notifications, control socket, signals, and
//! the calls that [`intercept`] has answered. [`end`] says how the container ended and takes away what was ours.

/// Taking over a running payload.
pub mod adopt;
/// The container's console: ring buffer, journal, attached clients.
pub mod console;
/// The outcome of a container, and clean-up.
pub mod end;
/// The poll loop.
pub mod event_loop;
/// The operations of a plan on the host.
pub mod host;
/// Asking an init of System V's kind to power off.
pub mod initctl;
/// System calls that a program outside answers.
pub mod intercept;
/// The guest's journal where the host's can find it.
pub mod journal_link;
/// Phases of a running container; pure.
pub mod lifecycle;
/// The container's links, and when they come and go.
pub mod links;
/// Notifications of the payload's PID 1.
pub mod notification;
/// The parent's half of clone.
pub mod spawn;
/// From a name to a running payload.
pub mod start;
/// Descriptors that outlive a supervisor.
pub mod stored_fds;

use crate::config;
use crate::error::{Kind, Result};
use crate::name::MachineName;
use crate::paths::Root;
use crate::runtime::cgroup::Cgroup;
use crate::runtime::directory::Runtime;
use crate::runtime::{lock, state};
use crate::systemd::journal::Journal;
use crate::systemd::{notify, payload};
use crate::worker::sealed;

/// Runs a container from start to end, or from adoption to end; the result is the process's exit code.
pub fn run(name: &MachineName) -> Result<u8> {
    let root = Root::system();
    let signals = event_loop::block_signals()?;
    let journal = Journal::open(name);
    // Whoever still clears away after a predecessor that was stopped comes to his end first.
    lock::wait(&root, name);
    let Some(adopted) = adopt::adopt(&root, name, &journal)? else {
        seal(&root, name)?;
        match start::start(&root, name, &journal)? {}
    };
    event_loop::EventLoop::new(adopted, signals, &journal)?.run(&root)
}

/// Starts a container whose root may write to files of the host's root by a copy of our program. What watches over it
/// afterwards is the one on disk again.
fn seal(root: &Root, name: &MachineName) -> Result<()> {
    // A definition that cannot be read is told of by the start.
    let exposed = config::load(root, name).is_ok_and(|it| it.settings.exec.private_users.has_hosts_root());
    if !exposed || sealed::is_sealed() {
        return Ok(());
    }
    Err(sealed::execute_ourselves(std::env::vars_os()))
}

/// Carries out `ExecStopPost=`: nothing after an orderly end, nothing when a crashed supervisor is about to be
/// restarted, and otherwise the end that the supervisor could not bring about.
pub fn cleanup(name: &MachineName) -> Result<u8> {
    let root = Root::system();
    let mut state = match state::load(&root, name) {
        Ok(Some(state)) => state,
        Ok(None) => return clear_beginnings(&root, name).map(|()| 0),
        // The supervisor has said so. What runs is left to a program that can read its state.
        Err(_) => return Ok(0),
    };
    // A supervisor that has given up has said so, and left the rest to the reaper (systemd.exec(5), $EXIT_STATUS).
    let stuck = Kind::Stuck.exit_code().to_string();
    if std::env::var("EXIT_STATUS").is_ok_and(|status| status == stuck) {
        return Ok(0);
    }
    if state.open_leader().is_some() {
        if is_restarted(name)? {
            return Ok(0);
        }
        state.killed = true;
        Runtime::open(&root, name)?.write_state(&state)?;
        Cgroup::of(&state).map_or(Ok(()), |cgroup| cgroup.kill())?;
    }
    end::clear_away(&root, name, &state, &Journal::open(name)).map(|()| 0)
}

/// Takes away what there is of a start whose supervisor was killed before it had written anything down. An orderly end
/// leaves no run-time directory; one that begins anew needs what an execution has noted there.
fn clear_beginnings(root: &Root, name: &MachineName) -> Result<()> {
    if !root.runtime_of(name).exists() {
        return Ok(());
    }
    payload::put_away(name)?;
    if !is_restarted(name)? {
        end::forget(root, name);
    }
    Ok(())
}

/// Whether systemd will start the service again, or leave it as it is; a stop has a job. Before it is started again
/// there is a pause, and a stop in that runs nothing of ours: so somebody listens who sees to that.
fn is_restarted(name: &MachineName) -> Result<bool> {
    let exited = std::env::var("SERVICE_RESULT").is_ok_and(|result| result == "exit-code");
    if !exited
        && !payload::is_being_stopped(name)?
        && let Err(error) = payload::await_reaper(name)
    {
        eprintln!("{error}, ignoring");
    }
    Ok(!payload::is_being_stopped(name)?)
}

/// Carries out `container-reaper@.service`: waits for the end of a payload that was killed in vain, or whether one that
/// nobody watches over is taken over or has been stopped.
pub fn reap(name: &MachineName) -> Result<u8> {
    end::reap(&Root::system(), name).map(|()| 0)
}

/// Carries out the first `ExecReload=`: a definition that cannot be applied fails the reload, with file, line and column.
pub fn check(name: &MachineName) -> Result<u8> {
    config::load(&Root::system(), name).map(|_| 0)
}

/// Leaves a sentence where `systemctl status` and `containerctl start` find it.
pub fn report_failure(sentence: &str) {
    notify::status(&format!("failed: {sentence}"));
}
