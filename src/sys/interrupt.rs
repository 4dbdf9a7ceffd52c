//! SIGINT, SIGTERM and SIGHUP as a readable descriptor, for programs that must clean up before they end.
//!
//! Handlers and not a signal mask, since std's `Command` hands the mask down to what it spawns; handlers end
//! at exec(2). Only for programs of ours that make one operation: the handlers stay for the life of the process.

use std::os::fd::{AsRawFd, BorrowedFd, IntoRawFd};
use std::sync::atomic::{AtomicI32, Ordering};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use rustix::event::EventfdFlags;

use crate::error::{Context, Result};

/// The eventfd that the handler writes to; -1 before the first [`catch`].
static EVENT: AtomicI32 = AtomicI32::new(-1);

/// Catches the signals from here on; a second call finds them caught. The descriptor can be read from the first signal
/// on, for good.
pub fn catch() -> Result<BorrowedFd<'static>> {
    if EVENT.load(Ordering::SeqCst) < 0 {
        begin()?;
    }
    // SAFETY: EVENT is set, and the descriptor is never closed.
    Ok(unsafe { BorrowedFd::borrow_raw(EVENT.load(Ordering::SeqCst)) })
}

fn begin() -> Result<()> {
    let event = rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
        .context(|| "failed to make an eventfd")?;
    if EVENT.compare_exchange(-1, event.as_raw_fd(), Ordering::SeqCst, Ordering::SeqCst).is_err() {
        return Ok(());
    }
    let _for_life = event.into_raw_fd();
    let action = SigAction::new(SigHandler::Handler(note), SaFlags::SA_RESTART, SigSet::empty());
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        // SAFETY: the handler makes one write(2) to a descriptor that is never closed.
        unsafe { sigaction(signal, &action) }.context(|| format!("failed to catch {signal}"))?;
    }
    Ok(())
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
