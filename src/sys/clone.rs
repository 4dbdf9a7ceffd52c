//! clone3(2), as a fork: no shared memory, no stack of its own.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use nix::errno::Errno;
use nix::unistd::Pid;
use rustix::process::{WaitId, WaitIdOptions, waitid};

use crate::error::{Context, Error, Result};

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

/// The flags that give the child namespaces of its own, and share nothing else.
const NAMESPACES: libc::c_int = libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET;

/// Runs `child` in a copy of the calling process that has new `namespaces` (`CLONE_NEW*`) and exits with its result.
/// Refused where the caller has threads: the child would find their locks taken for ever.
pub fn spawn(namespaces: libc::c_int, child: impl FnOnce() -> i32) -> Result<(Pid, OwnedFd)> {
    spawn_into(None, namespaces, child)
}

/// As [`spawn`], into the cgroup of this directory.
pub fn spawn_into(
    cgroup: Option<BorrowedFd>,
    namespaces: libc::c_int,
    child: impl FnOnce() -> i32,
) -> Result<(Pid, OwnedFd)> {
    if namespaces & !NAMESPACES != 0 {
        return Err(Error::failed("refused to clone with flags that are of no namespace"));
    }
    require_one_thread()?;
    // SAFETY: the caller has one thread, and only flags of namespaces are passed.
    match unsafe { clone3_into(cgroup, namespaces) }.context(|| "failed to clone a child")? {
        Cloned::Child => exit_now(child()),
        Cloned::Parent { pid, pidfd } => Ok((pid, pidfd)),
    }
}

/// Fails in a process with threads, where clone3(2) and unshare(2) are not ours to call.
pub fn require_one_thread() -> Result<()> {
    let threads =
        std::fs::read_dir("/proc/self/task").context(|| "failed to read '/proc/self/task'")?.count();
    match threads {
        1 => Ok(()),
        _ => Err(Error::failed(format!(
            "refused to clone or change namespaces in a process of {threads} threads"
        ))),
    }
}

/// Clones the calling process into new namespaces (`CLONE_NEW*` in `flags`), with a pidfd.
///
/// The child's parent is the caller, or with `CLONE_PARENT` the caller's parent. Signal handlers are reset in
/// the child; ignored signals stay ignored.
///
/// # Safety
/// The calling process must have one thread: the child is an ordinary copy only then. A child of a process with threads
/// may make system calls alone. `flags` must hold none of `CLONE_VM`, `CLONE_THREAD`, `CLONE_SIGHAND`, which would share
/// the caller's memory or stack.
pub unsafe fn clone3(flags: libc::c_int) -> std::result::Result<Cloned, Errno> {
    // SAFETY: as the caller vouches for.
    unsafe { clone3_into(None, flags) }
}

/// As [`clone3`], into the cgroup of this directory (`CLONE_INTO_CGROUP`), which unlike a move waits for nobody. `EAGAIN`
/// where that cgroup, or one above it, may have no more processes.
///
/// # Safety
/// As [`clone3`].
pub unsafe fn clone3_into(
    cgroup: Option<BorrowedFd>,
    flags: libc::c_int,
) -> std::result::Result<Cloned, Errno> {
    let mut pidfd: libc::c_int = -1;
    // SAFETY: an all-zero clone_args is valid: no stack, no tid pointers.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = (flags as u32 as u64) | libc::CLONE_PIDFD as u64 | CLONE_CLEAR_SIGHAND;
    args.pidfd = &raw mut pidfd as u64;
    if let Some(cgroup) = &cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = cgroup.as_raw_fd() as u64;
    }
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
/// `CLONE_INTO_CGROUP` (linux/sched.h); above 32 bits, too.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Waits for a child's end; its exit status, or nothing where a signal ended it.
pub fn wait(pidfd: impl AsFd) -> std::result::Result<Option<i32>, rustix::io::Errno> {
    let status = rustix::io::retry_on_intr(|| waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED))?;
    Ok(status.and_then(|status| status.exit_status()))
}

/// Leaves the process at once: no destructors, no exit handlers.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: _exit(2) is always sound and async-signal-safe.
    unsafe { libc::_exit(code) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_namespaces_is_asked_for_and_no_threads_are_cloned() {
        assert!(spawn(libc::CLONE_VM, || 0).is_err());
        std::thread::scope(|scope| {
            let told = scope.spawn(|| spawn(0, || 0)).join();
            assert!(told.expect("thread").expect_err("threads").message().contains("threads"));
        });
    }
}
