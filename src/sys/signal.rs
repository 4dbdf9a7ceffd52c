//! Signals: sending by pidfd, and a clean slate before exec.

use std::os::fd::{AsFd, AsRawFd};

use nix::errno::Errno;

/// First real-time signal that the C library leaves to programs, SIGRTMIN.
pub fn rtmin() -> i32 {
    libc::SIGRTMIN()
}

/// Sends any signal, real-time ones included (pidfd_send_signal(2)).
pub fn pidfd_send_signal(pidfd: impl AsFd, signal: i32) -> Result<(), Errno> {
    let info = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: a null siginfo is allowed; no other memory is passed.
    let result =
        unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_fd().as_raw_fd(), signal, info, 0) };
    Errno::result(result).map(drop)
}

/// Sets every signal to its default action and blocks none, as a program expects it after exec.
///
/// Async-signal-safe: only sigaction(2) and sigprocmask(2).
pub fn reset_all() {
    for signal in 1..=libc::SIGRTMAX() {
        // SAFETY: SIG_DFL is a valid disposition; the call fails harmlessly for SIGKILL and SIGSTOP.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    // SAFETY: an all-zero set is initialised by sigemptyset before use.
    unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
}
