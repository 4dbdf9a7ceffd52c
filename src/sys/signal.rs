//! Signals: sending by pidfd, and a clean slate before exec.

use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::SigSet;

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

/// Sends any signal to the process group that the process leads.
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

/// Waits for any blocked signal, at most for `limit`; its number.
pub fn wait_any(limit: Option<Duration>) -> Option<i32> {
    let all = SigSet::all();
    let info = std::ptr::null_mut();
    let signal = match limit {
        // SAFETY: a valid set; what else is known of the signal is not asked for.
        None => unsafe { libc::sigwaitinfo(all.as_ref(), info) },
        Some(limit) => {
            let limit = libc::timespec {
                tv_sec: limit.as_secs() as libc::time_t,
                tv_nsec: libc::c_long::from(limit.subsec_nanos()),
            };
            // SAFETY: as above, and a valid time.
            unsafe { libc::sigtimedwait(all.as_ref(), info, &raw const limit) }
        }
    };
    (signal > 0).then_some(signal)
}

/// Sends a signal to every process that the caller sees and may signal, but not to itself and process 1 (kill(2));
/// an error says that there is none.
pub fn send_to_all(signal: i32) -> Result<(), Errno> {
    // SAFETY: no memory is passed.
    Errno::result(unsafe { libc::kill(-1, signal) }).map(drop)
}

/// Takes the exit status of every child that has ended, and forgets it.
pub fn reap_all() {
    // SAFETY: a null status is allowed.
    while unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) } > 0 {}
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
