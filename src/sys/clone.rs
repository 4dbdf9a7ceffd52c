//! clone3(2), as a fork: no shared memory, no stack of its own.

use std::os::fd::{FromRawFd, OwnedFd};

use nix::errno::Errno;
use nix::unistd::Pid;

/// Which side of the clone the caller is on.
pub enum Cloned {
    /// In the parent.
    Parent {
        /// The child as the caller's pid namespace numbers it.
        pid: Pid,
        /// The child's pidfd, close-on-exec.
        pidfd: OwnedFd,
    },
    /// In the child.
    Child,
}

/// Clones the calling process into new namespaces (`CLONE_NEW*` in `flags`), with a pidfd.
///
/// The child's parent is the caller, or with `CLONE_PARENT` the caller's parent. Signal handlers are reset in
/// the child; ignored signals stay ignored.
///
/// # Safety
/// The calling process must have one thread: the child is an ordinary copy only then. `flags` must hold none of
/// `CLONE_VM`, `CLONE_THREAD`, `CLONE_SIGHAND`, which would share the caller's memory or stack.
pub unsafe fn clone3(flags: libc::c_int) -> Result<Cloned, Errno> {
    let mut pidfd: libc::c_int = -1;
    // SAFETY: an all-zero clone_args is valid: no stack, no tid pointers.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = (flags as u32 as u64) | libc::CLONE_PIDFD as u64 | CLONE_CLEAR_SIGHAND;
    args.pidfd = &raw mut pidfd as u64;
    // With CLONE_PARENT the exit signal is inherited and must not be given.
    args.exit_signal = if flags & libc::CLONE_PARENT == 0 { libc::SIGCHLD as u64 } else { 0 };
    // SAFETY: `args` is a valid clone_args of the size given; the caller vouches for the flags.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw mut args, size_of::<libc::clone_args>()) };
    match Errno::result(pid)? {
        0 => Ok(Cloned::Child),
        pid => Ok(Cloned::Parent {
            pid: Pid::from_raw(pid as i32),
            // SAFETY: clone3 has just stored a new descriptor there that nobody else owns.
            pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) },
        }),
    }
}

/// `CLONE_CLEAR_SIGHAND` (linux/sched.h); above 32 bits, so only clone3 takes it.
const CLONE_CLEAR_SIGHAND: u64 = 0x1_0000_0000;

/// Leaves the process at once: no destructors, no exit handlers.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: _exit(2) is always sound and async-signal-safe.
    unsafe { libc::_exit(code) }
}
