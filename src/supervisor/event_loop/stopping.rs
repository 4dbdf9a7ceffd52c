//! The ways to a payload's end: asked when it can hear it, thawed so that it can, killed, given up.

use super::EventLoop;
use crate::error::{Error, Result};
use crate::runtime::cgroup::Cgroup;
use crate::runtime::stuck;
use crate::supervisor::lifecycle::Phase;
use crate::supervisor::{end, initctl};
use crate::sys::signal;
use crate::systemd::{notify, payload};

impl EventLoop<'_> {
    /// Whoever comes after us must not take a payload over that was killed.
    pub(super) fn kill(&mut self) -> Result<()> {
        self.state.killed = true;
        self.file.write(&self.state)?;
        self.runtime.write_state(&self.state)?;
        Cgroup::of(&self.state).map_or(Ok(()), |cgroup| cgroup.kill())
    }

    /// Leaves what the kernel cannot end to one who waits for that.
    pub(super) fn give_up(&self) -> Error {
        let left = Cgroup::of(&self.state).map(|cgroup| stuck::processes(cgroup.path())).unwrap_or_default();
        end::leave(&self.name, self.journal);
        stuck::error(&self.name, true, &left)
    }

    /// Says that it goes down, and makes it able to hear what it will be asked.
    pub(super) fn begin_stop(&self) {
        notify::stopping("Container shutting down.");
        self.thaw();
    }

    /// Thaws the payload: a frozen process neither handles a signal nor exits.
    pub(super) fn thaw(&self) {
        if Cgroup::of(&self.state).is_some_and(|cgroup| cgroup.is_frozen())
            && let Err(error) = payload::thaw(&self.name)
        {
            self.journal.warning(&format!("{error}, ignoring"));
        }
    }

    /// Asks the payload to shut down.
    pub(super) fn ask_payload(&self) {
        // By itself this signal says that power fails, and what an inittab does then differs; LXC's images have it shut
        // down, Debian's calls a script that is not there.
        if self.state.stop_signal == libc::SIGPWR
            && initctl::power_off(&self.leader, self.state.leader).is_ok()
        {
            return;
        }
        if let Err(errno) = signal::pidfd_send_signal(&self.leader, self.state.stop_signal) {
            self.journal.warning(&format!(
                "failed to send signal {} to the container: {}",
                self.state.stop_signal,
                errno.desc()
            ));
        }
    }

    /// A PID 1 without a handler loses a signal for good, so it is not sent before there is one: systemd says so
    /// itself (from 256 on), of others the kernel tells. A signal that is blocked counts only if it was so at the last
    /// look, too: every fork(3) blocks all of them for a moment.
    pub(super) fn can_take_stop_signal(&mut self) -> bool {
        if !matches!(self.phase, Phase::Stopping { .. }) {
            return false;
        }
        let read = |file: &str| std::fs::read_to_string(format!("/proc/{}/{file}", self.state.leader));
        let status = read("status").unwrap_or_default();
        let mask = |key| {
            let mask = status.lines().find_map(|line| line.strip_prefix(key));
            mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default()
        };
        let blocked = mask("SigBlk:");
        let stays_blocked = blocked & std::mem::replace(&mut self.blocked, blocked);
        // While a process waits for signals by sigtimedwait(2), the kernel shows those as not blocked.
        let waits = read("wchan").is_ok_and(|place| place.contains("sigtimedwait"));
        let taken = mask("SigCgt:") | stays_blocked;
        self.takes_signals || waits || taken & signal::bit(self.state.stop_signal) != 0
    }
}
