//! SIGINT, SIGTERM and SIGHUP as a readable descriptor, for verbs that must clean up before they end.
//!
//! Handlers and not a signal mask, since std's `Command` hands the mask down to what it spawns; handlers end
//! at exec(2). Only for short-lived verbs: the handlers stay for the life of the process.

use std::os::fd::{AsRawFd, BorrowedFd, IntoRawFd};
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use rustix::event::EventfdFlags;

use crate::error::{Context, Error, Kind, Result};
use crate::sys::poll::{happened, poll};

/// The eventfd that the handler writes to; -1 before [`Interrupt::catch`].
static EVENT: AtomicI32 = AtomicI32::new(-1);

/// The reason why [`Interrupt::wait`] returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The descriptor can be read, or has hung up.
    Readable,
    /// A signal came.
    Interrupted,
    /// The time ran out.
    Late,
}

/// Proof that the signals are caught.
#[derive(Clone, Copy)]
pub struct Interrupt(());

impl Interrupt {
    /// Catches the signals from here on; a second call finds them caught.
    pub fn catch() -> Result<Interrupt> {
        let event = rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .context(|| "failed to make an eventfd")?;
        if EVENT.compare_exchange(-1, event.as_raw_fd(), Ordering::SeqCst, Ordering::SeqCst).is_ok() {
            let _for_life = event.into_raw_fd();
            let action = SigAction::new(SigHandler::Handler(note), SaFlags::SA_RESTART, SigSet::empty());
            for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
                // SAFETY: the handler makes one write(2) to a descriptor that is never closed.
                unsafe { sigaction(signal, &action) }.context(|| format!("failed to catch {signal}"))?;
            }
        }
        Ok(Interrupt(()))
    }

    /// Readable from the first signal on, for good.
    pub fn fd(&self) -> BorrowedFd<'static> {
        // SAFETY: `self` proves that EVENT was set, and it is never closed.
        unsafe { BorrowedFd::borrow_raw(EVENT.load(Ordering::SeqCst)) }
    }

    /// An error of kind `Interrupted` once a signal came.
    pub fn check(&self) -> Result<()> {
        let mut fds = [PollFd::new(self.fd(), PollFlags::POLLIN)];
        match poll(&mut fds, Some(Duration::ZERO)) {
            Ok(0) | Err(_) => Ok(()),
            Ok(_) => Err(interrupted()),
        }
    }

    /// Waits until `fd` can be read, however long it takes, or a signal comes.
    pub fn wait_readable(&self, fd: BorrowedFd<'_>) -> Result<()> {
        self.wait(fd, None)?;
        self.check()
    }

    /// Waits until `fd` can be read or a signal comes, at most so long.
    pub fn wait(&self, fd: BorrowedFd<'_>, limit: Option<Duration>) -> Result<Event> {
        let mut fds = [PollFd::new(self.fd(), PollFlags::POLLIN), PollFd::new(fd, PollFlags::POLLIN)];
        Ok(match poll(&mut fds, limit).context(|| "failed to wait for input")? {
            0 => Event::Late,
            _ if happened(&fds[0]) => Event::Interrupted,
            _ => Event::Readable,
        })
    }
}

/// The error of a verb that was interrupted.
pub fn interrupted() -> Error {
    Error::new(Kind::Interrupted, "interrupted, nothing was changed")
}

extern "C" fn note(_signal: libc::c_int) {
    let one = 1u64;
    // SAFETY: write(2) is async-signal-safe; errno is put back for the code that was interrupted.
    unsafe {
        let errno = *libc::__errno_location();
        libc::write(EVENT.load(Ordering::SeqCst), (&raw const one).cast(), size_of::<u64>());
        *libc::__errno_location() = errno;
    }
}
