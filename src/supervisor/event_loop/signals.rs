//! Signals to the supervisor, read from a descriptor: systemd's and an administrator's wishes.

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use super::EventLoop;
use crate::error::{Context, Result};
use crate::supervisor::lifecycle::Event;

/// Blocks the signals that we read from a descriptor; children set them free again before exec.
pub fn block_signals() -> Result<SignalFd> {
    let mut set = SigSet::empty();
    [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGUSR1]
        .into_iter()
        .for_each(|signal| set.add(signal));
    let failed = || "failed to set up signals";
    set.thread_block().context(failed)?;
    SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK).context(failed)
}

impl EventLoop<'_> {
    /// SIGHUP applies the definition, SIGUSR1 kills, every other stops.
    pub(super) fn take_signals(&mut self) -> Result<()> {
        while let Ok(Some(info)) = self.signals.read_signal() {
            match info.ssi_signo as i32 {
                libc::SIGHUP => self.reload = true,
                libc::SIGUSR1 => self.handle(Event::KillAsked)?,
                _ => self.handle(Event::StopAsked)?,
            }
        }
        Ok(())
    }
}
