//! A user namespace that nobody runs in: for idmapped mounts, and for setns(2).
//!
//! As user_namespaces(7) and mount_setattr(2) want it: a child makes the namespace and waits, we write its
//! maps and keep the namespace open after it is gone.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use nix::sched::CloneFlags;
use nix::unistd::{ForkResult, Pid};

use crate::error::{Context, Error, Result};

/// Opens a new user namespace in which ids 0 to `size` are the host's from `base` on. The caller must have one
/// thread only.
pub fn userns(base: u32, size: u32) -> Result<OwnedFd> {
    let (ours, theirs) = UnixStream::pair().context(|| "failed to make a socket pair")?;
    // SAFETY: the child makes raw system calls only and ends in _exit or SIGKILL.
    match unsafe { nix::unistd::fork() }.context(|| "failed to fork")? {
        ForkResult::Child => wait_in_userns(ours.as_raw_fd(), theirs.as_raw_fd()),
        ForkResult::Parent { child } => {
            drop(theirs);
            let namespace = map_and_open(child, &ours, base, size);
            drop(ours);
            let _ = nix::sys::wait::waitpid(child, None);
            namespace
        }
    }
}

/// The child: makes the namespace, says so with one byte, and ends when the parent's socket is closed.
fn wait_in_userns(parents: i32, socket: i32) -> ! {
    // SAFETY: close, unshare, write, read and _exit are bare system calls; nothing is allocated or locked.
    unsafe {
        libc::close(parents);
        let mut errno = match libc::unshare(libc::CLONE_NEWUSER) {
            0 => 0u8,
            _ => *libc::__errno_location() as u8,
        };
        let byte = (&raw mut errno).cast();
        libc::write(socket, byte, 1);
        libc::read(socket, byte, 1);
        libc::_exit(0)
    }
}

fn map_and_open(child: Pid, mut socket: &UnixStream, base: u32, size: u32) -> Result<OwnedFd> {
    let mut errno = [0u8];
    socket.read_exact(&mut errno).context(|| "failed to make a user namespace")?;
    if errno[0] != 0 {
        let errno = std::io::Error::from_raw_os_error(errno[0].into());
        return Err(errno).context(|| "failed to make a user namespace");
    }
    for map in ["uid_map", "gid_map"] {
        let path = format!("/proc/{child}/{map}");
        File::options()
            .write(true)
            .open(&path)
            .and_then(|mut file| file.write_all(format!("0 {base} {size}\n").as_bytes()))
            .context(|| format!("failed to write '{path}'"))?;
    }
    let path = format!("/proc/{child}/ns/user");
    File::open(&path).map(OwnedFd::from).context(|| format!("failed to open '{path}'"))
}

/// Enters `namespace` as its root, with no supplementary groups.
pub fn enter_userns(namespace: BorrowedFd<'_>) -> Result<()> {
    let root = nix::unistd::Uid::from_raw(0);
    let root_group = nix::unistd::Gid::from_raw(0);
    nix::sched::setns(namespace, CloneFlags::CLONE_NEWUSER)
        .context(|| "failed to enter the user namespace")?;
    nix::unistd::setgroups(&[]).context(|| "failed to drop the supplementary groups")?;
    nix::unistd::setresgid(root_group, root_group, root_group)
        .context(|| "failed to become the root group")?;
    nix::unistd::setresuid(root, root, root).context(|| "failed to become root of the user namespace")
}

/// mount_setattr(2) on `tree`, a detached mount: sets `attributes` (`MOUNT_ATTR_*`), and maps ids by `userns`.
pub fn mount_setattr(tree: BorrowedFd<'_>, attributes: u64, userns: Option<BorrowedFd<'_>>) -> Result<()> {
    let idmap = if userns.is_some() { libc::MOUNT_ATTR_IDMAP } else { 0 };
    let attr = libc::mount_attr {
        attr_set: attributes | idmap,
        attr_clr: 0,
        propagation: 0,
        userns_fd: userns.map_or(0, |fd| fd.as_raw_fd() as u64),
    };
    let flags = libc::AT_EMPTY_PATH | libc::AT_RECURSIVE;
    // SAFETY: the path is a C string, `attr` lives over the call and its size is passed with it.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attr,
            size_of::<libc::mount_attr>(),
        )
    };
    match result {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()).context(|| "failed to set the attributes of a mount"),
    }
}

/// Marks all but the standard descriptors close-on-exec, whoever left them open (close_range(2)).
pub fn close_rest_on_exec() -> Result<()> {
    // SAFETY: no descriptor is closed, so none that is in use goes away.
    match unsafe { libc::close_range(3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC as libc::c_int) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()).context(|| "failed to mark descriptors close-on-exec"),
    }
}

/// Refuses to go on in a process with threads, where setns(2) and fork(2) are not ours to call.
pub fn assert_one_thread() -> Result<()> {
    let threads =
        std::fs::read_dir("/proc/self/task").context(|| "failed to read '/proc/self/task'")?.count();
    match threads {
        1 => Ok(()),
        _ => Err(Error::failed(format!("refused to change namespaces in a process of {threads} threads"))),
    }
}
