//! A user namespace that nobody runs in, for idmapped mounts and for setns(2); and becoming its root.
//!
//! A child is born into the namespace and waits; the parent writes the maps and holds the namespace open after
//! the child is gone (user_namespaces(7)).

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::process::{Gid, Uid};

use crate::error::{Context, Result};
use crate::sys::clone::{spawn, wait};
use crate::sys::fds::close_parents;
use crate::sys::idmap::{IdRange, write_maps};
use crate::sys::{pidfd, scm};

/// Opens a new user namespace whose ids are those of `range`. The caller must have one thread only.
pub fn userns(range: IdRange) -> Result<OwnedFd> {
    let (ours, theirs) = scm::pair().context(|| "failed to make a socket pair")?;
    let (parents, end) = (ours.as_raw_fd(), theirs.as_fd());
    let (pid, pidfd) = spawn(libc::CLONE_NEWUSER, || {
        close_parents(&[parents]);
        // Nothing is ever sent: the end comes when the parent has what it wants, or is gone.
        let _ = scm::receive(end, &mut [0]);
        0
    })?;
    let namespace = write_maps(pid, range)
        .and_then(|()| pidfd::user_namespace(&pidfd).context(|| "failed to open the user namespace"));
    drop((ours, theirs));
    wait(&pidfd).context(|| "failed to wait for a child")?;
    namespace
}

/// Joins `namespace`, as its root.
pub fn enter(namespace: BorrowedFd) -> Result<()> {
    let failed = || "failed to become root of the user namespace";
    pidfd::setns(namespace, libc::CLONE_NEWUSER).context(failed)?;
    become_root().context(failed)
}

/// Makes the calling thread root of the user namespace that it is in, with no supplementary groups.
///
/// Bare system calls, for use between clone and exec too.
pub fn become_root() -> Result<(), Errno> {
    let (uid, gid) = (Uid::ROOT, Gid::ROOT);
    rustix::thread::set_thread_groups(&[])?;
    rustix::thread::set_thread_res_gid(gid, gid, gid)?;
    rustix::thread::set_thread_res_uid(uid, uid, uid)
}
