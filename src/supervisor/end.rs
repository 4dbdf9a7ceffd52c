//! The outcome of a container, and clean-up after it.

use std::time::Duration;

use crate::error::Result;
use crate::name::MachineName;
use crate::network::setup;
use crate::paths::Root;
use crate::runtime::cgroup::Cgroup;
use crate::runtime::directory::{self, Runtime};
use crate::runtime::state::{self, State};
use crate::runtime::{lock, stuck};
use crate::sandbox::lsm::apparmor;
use crate::supervisor::stored_fds::StoredFds;
use crate::sys::pidfd::Exit;
use crate::systemd::journal::Journal;
use crate::systemd::restart::{self, NextState};
use crate::systemd::{notify, payload};

/// Exit code by which the unit is started again (`RestartForceExitStatus=`), as systemd-nspawn uses it.
pub const REBOOT: u8 = 133;

/// The outcome of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was shut down, from inside or by us.
    PoweredOff,
    /// It called reboot(2).
    Rebooted,
    /// The init or command exited with this status.
    Exited(u8),
    /// This ended it.
    Failed(String),
}

impl Outcome {
    /// The supervisor's exit code. A payload cannot fake a reboot by its exit status.
    pub fn exit_code(&self) -> u8 {
        match self {
            Outcome::PoweredOff => 0,
            Outcome::Rebooted => REBOOT,
            Outcome::Exited(REBOOT) => 1,
            Outcome::Exited(code) => *code,
            Outcome::Failed(_) => 1,
        }
    }

    /// The same of a container that is there for one command, and is not started again.
    pub fn once(self) -> Outcome {
        if self == Outcome::Rebooted { Outcome::PoweredOff } else { self }
    }

    /// The sentence for the journal and `systemctl status`.
    pub fn sentence(&self) -> String {
        match self {
            Outcome::PoweredOff => "the container was powered off".to_string(),
            Outcome::Rebooted => "the container reboots".to_string(),
            Outcome::Exited(code) => format!("the container's first process ended with status {code}"),
            Outcome::Failed(why) => why.clone(),
        }
    }
}

/// Judges from what is known of the leader's end. reboot(2) in a pid namespace ends its init by SIGHUP, a
/// power-off by SIGINT (kernel/pid_namespace.c); `shutdown` is what systemd inside announced before.
pub fn judge(exit: Exit, stopping: bool, killed: bool, shutdown: &str) -> Outcome {
    match exit {
        _ if killed => Outcome::Failed("the container did not shut down in time and was killed".to_string()),
        Exit::Signal(libc::SIGHUP) if !stopping => Outcome::Rebooted,
        Exit::Signal(libc::SIGHUP | libc::SIGINT) => Outcome::PoweredOff,
        Exit::Code(_) if stopping => Outcome::PoweredOff,
        // It had to be put down, or somebody was quicker than us.
        Exit::Signal(libc::SIGKILL) if stopping => Outcome::PoweredOff,
        // A leader that is no child of ours any more ends like this in the kernel's books when it calls reboot(2).
        Exit::Code(0) if is_reboot(shutdown) => Outcome::Rebooted,
        Exit::Code(0) => Outcome::PoweredOff,
        Exit::Code(code) => Outcome::Exited(u8::try_from(code).unwrap_or(u8::MAX)),
        Exit::Signal(signal) => {
            Outcome::Failed(format!("the container's first process was killed by signal {signal}"))
        }
        Exit::Unknown if stopping => Outcome::PoweredOff,
        Exit::Unknown => match shutdown {
            _ if is_reboot(shutdown) => Outcome::Rebooted,
            "poweroff" | "halt" | "exit" => Outcome::PoweredOff,
            _ => Outcome::Failed("the container ended, and this kernel does not tell how".to_string()),
        },
    }
}

/// Whether what systemd inside has announced is a reboot.
fn is_reboot(shutdown: &str) -> bool {
    matches!(shutdown, "reboot" | "kexec" | "soft-reboot")
}

/// Takes away everything of a container that has ended; what fails is told, and the rest goes on. Fails as `Stuck`
/// where processes of it are left, and then takes nothing away below them.
pub fn clear_away(root: &Root, name: &MachineName, state: &State, journal: &Journal) -> Result<()> {
    if let Err(error) = payload::unregister(name) {
        journal.warning(&format!("{error}, ignoring"));
    }
    if let Some(cgroup) = Cgroup::of(state).filter(|cgroup| !wait_until(|| cgroup.is_gone())) {
        let left = stuck::processes(cgroup.path());
        if !left.is_empty() {
            leave(name, journal);
            return Err(stuck::error(name, state.killed, &left));
        }
        // systemd does not remove what is nested deeper than a path is long.
        if let Err(error) = cgroup.remove() {
            journal.warning(&format!("{error}, ignoring"));
        }
    }
    forget(root, name);
    Ok(())
}

/// Leaves a payload that was killed and cannot end yet to `container-reaper@NAME.service`, which outlives us. Nobody
/// is to take it over.
pub fn leave(name: &MachineName, journal: &Journal) {
    StoredFds::unstore();
    if let Err(error) = payload::start_reaper(name) {
        journal.warning(&format!("{error}, ignoring"));
    }
}

/// Waits until the last process of a payload that was killed has ended, and takes away what is left. The failure of
/// the service is over with it.
pub fn reap(root: &Root, name: &MachineName) -> Result<()> {
    let state = state::load(root, name)?;
    if !state.as_ref().is_some_and(|state| state.killed) {
        return follow(root, name);
    }
    let Some(state) = state else { return Ok(()) };
    notify::ready("Waiting for the end of what was killed.");
    if let Some(cgroup) = Cgroup::of(&state) {
        cgroup.wait_until_empty()?;
        wait_until(|| cgroup.is_gone());
    }
    // Whoever has it now has begun anew, and clears away himself.
    let Ok(_lock) = lock::take(root, name) else { return Ok(()) };
    forget(root, name);
    payload::reset_failed(name)
}

/// Waits until a payload whose supervisor was killed is taken over; ends it where its service is stopped before that.
fn follow(root: &Root, name: &MachineName) -> Result<()> {
    let listening = || notify::ready("Waiting for a supervisor.");
    if restart::next_state(name, listening)? == NextState::Restarted || !root.runtime_of(name).exists() {
        return Ok(());
    }
    let Ok(runtime) = Runtime::open(root, name) else { return Ok(()) };
    // Started once more, it waits for us to let go of the lock, unless it came first.
    if !restart::is_down(name)? {
        return Ok(());
    }
    let Some(mut state) = state::load(root, name)? else {
        forget(root, name);
        return Ok(());
    };
    state.killed = true;
    runtime.write_state(&state)?;
    Cgroup::of(&state).map_or(Ok(()), |cgroup| cgroup.kill())?;
    clear_away(root, name, &state, &Journal::open(name))
}

/// Takes away what is only ours, of a container without processes: its AppArmor profile, kept descriptors and the
/// run-time directory.
pub fn forget(root: &Root, name: &MachineName) {
    if let Err(error) = apparmor::unload(root, name.as_str()) {
        eprintln!("{error}, ignoring");
    }
    for error in setup::clear_away(root, name) {
        eprintln!("{error}, ignoring");
    }
    StoredFds::unstore();
    if let Err(error) = directory::remove(root, name) {
        eprintln!("{error}, ignoring");
    }
}

/// systemd takes an empty scope away by itself, in no time; the next start needs its name.
fn wait_until(done: impl Fn() -> bool) -> bool {
    for _ in 0..400 {
        if done() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_signals_tell_reboot_from_power_off() {
        assert_eq!(judge(Exit::Signal(libc::SIGHUP), false, false, ""), Outcome::Rebooted);
        assert_eq!(judge(Exit::Signal(libc::SIGINT), false, false, ""), Outcome::PoweredOff);
    }

    #[test]
    fn a_reboot_during_a_stop_is_a_stop() {
        assert_eq!(judge(Exit::Signal(libc::SIGHUP), true, false, "reboot"), Outcome::PoweredOff);
    }

    #[test]
    fn an_init_that_dies_is_a_failure_and_cannot_fake_a_reboot() {
        assert_eq!(judge(Exit::Code(3), false, false, "").exit_code(), 3);
        assert_eq!(judge(Exit::Code(133), false, false, "").exit_code(), 1);
        assert_eq!(judge(Exit::Signal(libc::SIGSEGV), false, false, "").exit_code(), 1);
    }

    #[test]
    fn where_the_kernel_is_silent_the_guests_announcement_counts() {
        assert_eq!(judge(Exit::Unknown, false, false, "reboot"), Outcome::Rebooted);
        assert_eq!(judge(Exit::Code(0), false, false, "reboot"), Outcome::Rebooted);
        assert_eq!(judge(Exit::Unknown, false, false, "poweroff"), Outcome::PoweredOff);
        assert_ne!(judge(Exit::Unknown, false, false, "").exit_code(), 0);
    }
}
