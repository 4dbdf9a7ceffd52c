//! A process that enters a running container to try things there, with no more rights than its payload has, and that
//! executes nothing.
//!
//! ```text
//! caller ──clone──► entrant   is in the cgroup; joins the namespaces, gives up its rights
//!                      └──clone──► attached   is in the pid namespace, and does its work
//! ```

use std::os::fd::BorrowedFd;

use rustix::io::Errno;
use rustix::process::DumpableBehavior;

use crate::sandbox::userns;
use crate::sys::capabilities::Mask;
use crate::sys::capabilities::drop_capabilities;
use crate::sys::clone::{Cloned, clone3, exit_now, wait};
use crate::sys::exec::close_from;
use crate::sys::memory::Memory;
use crate::sys::seccomp::Listening;
use crate::sys::seccomp::{Filter, Filters};
use crate::sys::to_errno;
use crate::sys::{keyring, memory, pidfd, seccomp};
use crate::worker::entrant::let_go;

/// The container to enter, and the rights that the process keeps.
pub struct Entry<'a> {
    /// The leader's pidfd.
    pub leader: BorrowedFd<'a>,
    /// `CLONE_NEW*` of the namespaces to join.
    pub namespaces: libc::c_int,
    /// Capabilities that are kept.
    pub capabilities: Mask,
    /// Set no_new_privs.
    pub no_new_privileges: bool,
    /// System call filters.
    pub filters: &'a Filters,
    /// The part of our program that can be reached from inside.
    pub memory: Memory,
}

/// Exit status of an entrant that could not enter.
pub const FAILED: i32 = 125;

/// The entrant: enters, and has `work` done in there by a process of its own. Never returns; the exit status is
/// that of the work. The process must have one thread.
pub fn run(entry: &Entry, work: &dyn Fn() -> i32) -> ! {
    exit_now(enter(entry, work).unwrap_or(FAILED))
}

fn enter(entry: &Entry, work: &dyn Fn() -> i32) -> Result<i32, Errno> {
    // Nobody inside may look into us, from before we are to be seen.
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    // While our own procfs is there to tell what they are.
    if entry.memory == Memory::Own {
        memory::leave_files().map_err(to_errno)?;
    }
    keyring::join_new_session_keyring().map_err(to_errno)?;
    pidfd::setns(entry.leader, entry.namespaces).map_err(to_errno)?;
    userns::become_root()?;
    rustix::process::chdir("/")?;
    // Before anybody inside sees us: whoever may trace us could use what we have.
    give_up(entry)?;
    close_from(3).map_err(to_errno)?;
    let_go()?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    // SAFETY: one thread, and nothing is shared. Only a child is in the pid namespace.
    match unsafe { clone3(0) }.map_err(to_errno)? {
        Cloned::Parent { pidfd, .. } => Ok(wait(&pidfd)?.unwrap_or(FAILED)),
        Cloned::Child => exit_now(work()),
    }
}

fn give_up(entry: &Entry) -> Result<(), Errno> {
    drop_capabilities(entry.capabilities, 0)?;
    if entry.no_new_privileges {
        rustix::thread::set_no_new_privs(true)?;
    }
    // Nobody is asked about what is tried here: where a filter would ask, the call is not there.
    let load = |filter: &Filter| seccomp::load(&filter.program, Listening::No).map(drop);
    entry.filters.iter().try_for_each(load).map_err(to_errno)
}
