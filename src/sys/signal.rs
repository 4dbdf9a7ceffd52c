//! Signals: sending by pidfd, and a clean slate before exec.

use std::os::fd::{AsFd, AsRawFd};

use nix::errno::Errno;

/// First real-time signal that the C library leaves to programs, SIGRTMIN.
pub fn rtmin() -> i32 {
    libc::SIGRTMIN()
}

/// The bit of a signal in the masks of `/proc/PID/status`; none for what is no signal.
pub fn bit(signal: i32) -> u64 {
    u32::try_from(signal - 1).ok().and_then(|shift| 1u64.checked_shl(shift)).unwrap_or(0)
}

/// `PIDFD_SIGNAL_PROCESS_GROUP` (Linux 6.9).
const PROCESS_GROUP: libc::c_uint = 1 << 2;

/// Sends any signal to a process, real-time ones included (pidfd_send_signal(2)).
pub fn pidfd_send_signal(pidfd: impl AsFd, signal: i32) -> Result<(), Errno> {
    send(pidfd, signal, 0)
}

/// The same to all of the process group that the process leads.
pub fn pidfd_send_signal_to_group(pidfd: impl AsFd, signal: i32) -> Result<(), Errno> {
    send(pidfd, signal, PROCESS_GROUP)
}

fn send(pidfd: impl AsFd, signal: i32, flags: libc::c_uint) -> Result<(), Errno> {
    let info = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: a null siginfo is allowed; no other memory is passed.
    let result =
        unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_fd().as_raw_fd(), signal, info, flags) };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_signal_has_no_bit() {
        assert_eq!((bit(1), bit(64)), (1, 1 << 63));
        assert_eq!((bit(0), bit(65), bit(-1)), (0, 0, 0));
    }
}
