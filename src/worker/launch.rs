//! Executing a program of ours that goes where others may look at it.
//!
//! Whoever may trace a process can open its program and its libraries again by `/proc/PID/exe` and `map_files`, and a
//! container without a user namespace of its own has root's rights over the files behind. So the program is executed
//! from a mount namespace in which everything is read-only: opened again by whatever way, it cannot be written. No
//! other mount namespace may change these mounts (mount_setattr(2) and mount(2) want them to be one's own).

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags};
use nix::unistd::Pid;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::thread::UnshareFlags;

use super::entry;
use crate::error::{Context, Kind, Result};
use crate::sys::clone::{Cloned, clone3_into, exit_now, wait};
use crate::sys::exec::{StringList, close_on_exec_from, execve};
use crate::sys::mount::{Depth, MountAttr, mount_setattr};
use crate::sys::pidfd::{self, Exit};
use crate::sys::poll::poll;
use crate::sys::signal;
use crate::sys::to_errno;

/// The exit status of a child that could not execute the program.
const FAILED: i32 = 125;

/// Which mounts the program sees until it enters others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mounts {
    /// A read-only copy of ours.
    ReadOnly,
    /// Ours.
    Ours,
}

/// A program and what it starts with, laid out before the clone.
pub struct Launch {
    arguments: StringList,
    environment: StringList,
    input: OwnedFd,
    nothing: OwnedFd,
    mounts: Mounts,
    /// The beginning of the message on `input` when the program could not be executed.
    complaint: Vec<u8>,
}

/// A program that was launched; ended and waited for when it is dropped.
#[derive(Debug)]
pub struct Launched {
    pid: Pid,
    pidfd: OwnedFd,
}

impl Launch {
    /// Lays out `program` with `input` as standard input, no other descriptor and no environment.
    pub fn new(program: &Path, input: OwnedFd, mounts: Mounts) -> Result<Launch> {
        let flags = OFlags::RDWR | OFlags::CLOEXEC;
        let nothing =
            rustix::fs::open("/dev/null", flags, Mode::empty()).context(|| "failed to open '/dev/null'")?;
        let complaint = entry::failure(Kind::Failed, &format!("failed to execute '{}': ", program.display()));
        let arguments = StringList::of([program.as_os_str().to_os_string()])?;
        Ok(Launch { arguments, environment: StringList::of([])?, input, nothing, mounts, complaint })
    }

    /// Clones a process into the cgroup and executes the program in it, with no controlling terminal. Callers may have
    /// threads.
    pub fn run(&self, cgroup: BorrowedFd) -> std::result::Result<Launched, Errno> {
        // SAFETY: the child makes system calls alone until it executes the program, and allocates nothing.
        match unsafe { clone3_into(Some(cgroup), 0) }? {
            Cloned::Parent { pid, pidfd } => Ok(Launched { pid, pidfd }),
            Cloned::Child => self.become_it(),
        }
    }

    /// Between clone and exec.
    fn become_it(&self) -> ! {
        signal::reset_all();
        let errno = match self.leave() {
            Ok(()) => execve(&self.arguments, &self.environment),
            Err(errno) => Errno::from_raw(errno.raw_os_error()),
        };
        let told = [&self.complaint[..], errno.desc().as_bytes()].map(std::io::IoSlice::new);
        let _ = rustix::io::writev(&self.input, &told);
        exit_now(FAILED)
    }

    /// Leaves the caller's session and mounts, and whatever it has open without being told to close it.
    fn leave(&self) -> std::result::Result<(), rustix::io::Errno> {
        rustix::stdio::dup2_stdin(&self.input)?;
        rustix::stdio::dup2_stdout(&self.nothing)?;
        rustix::stdio::dup2_stderr(&self.nothing)?;
        close_on_exec_from(3).map_err(to_errno)?;
        rustix::process::setsid()?;
        if self.mounts == Mounts::Ours {
            return Ok(());
        }
        // SAFETY: a freshly cloned process has one thread, and only the mount namespace is parted.
        unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS) }?;
        let private = MountAttr { propagation: libc::MS_PRIVATE, ..MountAttr::default() };
        mount_setattr(CWD, c"/", Depth::Recursive, private).map_err(to_errno)?;
        let read_only = MountAttr { set: libc::MOUNT_ATTR_RDONLY, ..MountAttr::default() };
        mount_setattr(CWD, c"/", Depth::Recursive, read_only).map_err(to_errno)
    }
}

impl Launched {
    /// The number of its process.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Ends it at once.
    pub fn kill(&self) {
        let _ = signal::pidfd_send_signal(&self.pidfd, libc::SIGKILL);
    }

    /// Waits for its end; its exit status, or 128 and the number of the signal that ended it.
    pub fn wait(&self) -> std::result::Result<u8, Errno> {
        let mut fds = [PollFd::new(self.pidfd.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, None)?;
        let code = match pidfd::childs_status(&self.pidfd) {
            Some(Exit::Code(code)) => code,
            Some(Exit::Signal(signal)) => 128 + signal,
            _ => i32::from(u8::MAX),
        };
        Ok(u8::try_from(code).unwrap_or(u8::MAX))
    }
}

impl AsFd for Launched {
    /// The pidfd, readable once the process has ended.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

impl Drop for Launched {
    fn drop(&mut self) {
        self.kill();
        let _ = wait(&self.pidfd);
    }
}
