//! Executing a program of ours that goes where others may look at it.
//!
//! Whoever may trace a process can open its program and its libraries again by `/proc/PID/exe` and `map_files`, and a
//! container without a user namespace of its own has root's rights over the files behind. So the program is executed
//! from a mount namespace in which everything is read-only: opened again by whatever way, it cannot be written. No
//! other mount namespace may change these mounts (mount_setattr(2) and mount(2) want them to be one's own).

use std::io::Result;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::fs::CWD;
use rustix::thread::UnshareFlags;

use crate::sys::exec::close_on_exec_from;
use crate::sys::mount::{Depth, MountAttr, mount_setattr};

/// Which mounts the program sees until it enters others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mounts {
    /// A read-only copy of ours.
    ReadOnly,
    /// Ours.
    Ours,
}

/// Executes `program` with `input` as standard input, no other descriptor, no environment and no
/// controlling terminal. Callers may have
/// threads.
pub fn launch(program: &Path, input: OwnedFd, mounts: Mounts) -> Result<Child> {
    let mut command = Command::new(program);
    command.env_clear().stdin(Stdio::from(input)).stdout(Stdio::null()).stderr(Stdio::null());
    // SAFETY: between fork and exec only system calls are made, and nothing is allocated.
    unsafe { command.pre_exec(move || leave(mounts)) };
    command.spawn()
}

/// Leaves the caller's session and mounts, and whatever it has open without being told to close it.
fn leave(mounts: Mounts) -> Result<()> {
    close_on_exec_from(3)?;
    rustix::process::setsid()?;
    if mounts == Mounts::Ours {
        return Ok(());
    }
    // SAFETY: a freshly forked process has one thread, and only the mount namespace is parted.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS) }?;
    let private = MountAttr { propagation: libc::MS_PRIVATE, ..MountAttr::default() };
    mount_setattr(CWD, c"/", Depth::Recursive, private)?;
    let read_only = MountAttr { set: libc::MOUNT_ATTR_RDONLY, ..MountAttr::default() };
    mount_setattr(CWD, c"/", Depth::Recursive, read_only)?;
    Ok(())
}
