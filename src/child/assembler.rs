//! The helper that makes the mounts from outside: in a mount namespace of its own, in the host's user namespace.
//!
//! It clones the leader first, so that the leader shares the mount namespace, and ends when the root is in place.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;

use nix::errno::Errno as NixErrno;
use rustix::fs::{AtFlags, CWD, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;
use rustix::mount::{UnmountFlags, unmount};

use crate::child::ephemeral;
use crate::child::leader::{self, Leader};
use crate::child::message::{Failed, Order, Report, Step, at, await_order, raw, report};
use crate::sandbox::mounts::{Assembly, Sources, dress, move_onto, new_filesystem};
use crate::sandbox::operation::{Attributes, Operation};
use crate::sandbox::plan::Plan;
use crate::storage::tree::Tree;
use crate::sys::clone::{Cloned, clone3, exit_now, wait};
use crate::sys::fds::close_parents;
use crate::sys::mount::{Depth, MountAttr, mount_setattr};
use crate::sys::pidfd;
use crate::sys::to_errno;

/// Everything the assembler needs, ready before the clone.
pub struct Assembler<'a> {
    /// The plan to carry out.
    pub plan: &'a Plan,
    /// Sources of the outside operations.
    pub outside: &'a Sources,
    /// Sources of the inside operations, which the leader attaches.
    pub inside: &'a Sources,
    /// Our end of the socket to the supervisor.
    pub supervisor: BorrowedFd<'a>,
    /// The supervisor's own ends of both sockets, which no child may hold open.
    pub parents: [RawFd; 2],
    /// An empty directory of the host on which the root is put together.
    pub staging: &'a Path,
    /// The blank file and directory of the host that cover what is masked.
    pub blank: (&'a Path, &'a Path),
    /// Host id of the container's root.
    pub owner: u32,
    /// `CLONE_NEW*` of the leader, without the mount and cgroup namespaces, which it makes itself.
    pub namespaces: libc::c_int,
    /// A network namespace that is there already, for the leader to be born into.
    pub network: Option<BorrowedFd<'a>>,
    /// The inputs of the leader.
    pub leader: &'a Leader<'a>,
}

/// Runs the assembler; never returns.
pub fn run(assembler: &Assembler) -> ! {
    close_parents(&assembler.parents);
    let code = match assemble(assembler) {
        Ok(()) => 0,
        Err((step, errno)) => {
            let errno = NixErrno::from_raw(errno.raw_os_error());
            let _ = report(assembler.supervisor, Report::Failed(step, errno), None);
            1
        }
    };
    exit_now(code)
}

fn assemble(this: &Assembler) -> Result<(), Failed> {
    // What is created has just the mode that is asked for.
    rustix::process::umask(Mode::empty());
    // Nothing that is mounted from here on may reach the host.
    let private = MountAttr { propagation: libc::MS_PRIVATE, ..MountAttr::default() };
    at(Step::MakePrivate, raw(mount_setattr(CWD, c"/", Depth::Recursive, private)))?;
    if let Some(network) = this.network {
        at(Step::JoinNetwork, raw(pidfd::setns(network, libc::CLONE_NEWNET)))?;
    }
    // The leader is born into these mounts, and waits.
    let leader = clone_leader(this)?;
    // procfs and sysfs show the namespaces of whoever mounts them.
    let joined = libc::CLONE_NEWPID | libc::CLONE_NEWNET | libc::CLONE_NEWIPC;
    let joined = joined & this.namespaces;
    at(Step::JoinLeader, raw(pidfd::setns(leader.as_fd(), joined)))?;
    // The id map that the mounts borrow exists once the supervisor has written it.
    at(Step::JoinLeader, raw(await_order(this.supervisor, Order::Mapped)))?;
    let userns = user_namespace(this, &leader)?;
    dress_all(this, userns.as_ref().map(AsFd::as_fd))?;
    mount_all(this, &leader)
}

/// Clones the leader as the supervisor's child and hands over its pidfd.
fn clone_leader(this: &Assembler) -> Result<OwnedFd, Failed> {
    let step = Step::CloneLeader;
    // SAFETY: this process has one thread, and the flags are of new namespaces and CLONE_PARENT only.
    match at(step, raw(unsafe { clone3(this.namespaces | libc::CLONE_PARENT) }))? {
        Cloned::Child => {
            close_parents(&[this.supervisor.as_raw_fd()]);
            leader::run(this.leader)
        }
        Cloned::Parent { pid, pidfd } => {
            close_parents(&[this.leader.supervisor.as_raw_fd()]);
            let sent = report(this.supervisor, Report::Leader(pid.as_raw()), Some(pidfd.as_fd()));
            at(step, raw(sent))?;
            Ok(pidfd)
        }
    }
}

fn user_namespace(this: &Assembler, leader: &OwnedFd) -> Result<Option<OwnedFd>, Failed> {
    match this.namespaces & libc::CLONE_NEWUSER {
        0 => Ok(None),
        _ => at(Step::MapIds, raw(pidfd::user_namespace(leader))).map(Some),
    }
}

/// Attributes and id maps are set while the copies are still detached.
fn dress_all(this: &Assembler, userns: Option<BorrowedFd>) -> Result<(), Failed> {
    let outside = this.plan.outside.iter().zip(this.outside).enumerate();
    let inside = this.plan.inside.iter().zip(this.inside).enumerate();
    let outside = outside.map(|(index, pair)| (Step::Outside(index as u16), pair));
    let inside = inside.map(|(index, pair)| (Step::Inside(index as u16), pair));
    for (step, (operation, source)) in outside.chain(inside) {
        if let Some(source) = source {
            at(step, dress(operation, source, userns))?;
        }
    }
    Ok(())
}

fn mount_all(this: &Assembler, leader: &OwnedFd) -> Result<(), Failed> {
    let covers = Step::OpenCovers;
    let blank = (at(covers, path_fd(this.blank.0))?, at(covers, path_fd(this.blank.1))?);
    at(Step::OwnQueues, own_message_queues(this))?;
    let root = at(Step::Outside(0), attach_root(this))?;
    let assembly = Assembly { tree: Tree::from_fd(root), owner: this.owner, blank };
    for (index, (operation, source)) in this.plan.outside.iter().zip(this.outside).enumerate().skip(1) {
        let step = Step::Outside(index as u16);
        match operation {
            Operation::Mount { filesystem: "proc", target, attributes, .. } => {
                at(step, procfs(this, *attributes).and_then(|proc| assembly.attach(proc.as_fd(), target)))?;
            }
            Operation::Terminal { number, target } => {
                let master = at(step, assembly.terminal(*number, target.as_deref()))?;
                at(step, raw(report(this.supervisor, Report::Terminal, Some(master.as_fd()))))?;
            }
            Operation::AwaitPlacement => {
                at(step, raw(await_order(this.supervisor, Order::Placed)))?;
                at(step, raw(pidfd::setns(leader.as_fd(), libc::CLONE_NEWCGROUP)))?;
            }
            operation => at(step, assembly.apply(operation, source.as_ref()))?,
        }
    }
    at(Step::PivotRoot, pivot(&assembly.tree))
}

/// The file system of message queues is made with its namespace, by the host's root; the leader mounts that same one.
fn own_message_queues(this: &Assembler) -> Result<(), Errno> {
    let queues = new_filesystem("mqueue", &[], Attributes::API)?;
    let (owner, group) = (Uid::from_raw(this.owner), Gid::from_raw(this.owner));
    rustix::fs::chownat(&queues, c"", Some(owner), Some(group), AtFlags::EMPTY_PATH)
}

/// Puts the root onto the staging directory, where pivot_root(2) can take it from.
fn attach_root(this: &Assembler) -> Result<OwnedFd, Errno> {
    let source = this.outside.first().and_then(Option::as_ref).ok_or(Errno::NOENT)?;
    if let Some(Operation::Root { ephemeral: true, read_only, .. }) = this.plan.outside.first() {
        let attributes = if *read_only { Attributes::RO } else { Attributes::NONE };
        return ephemeral::attach(source, this.staging, attributes);
    }
    move_onto(source.as_fd(), path_fd(this.staging)?.as_fd())?;
    path_fd(this.staging)
}

/// procfs shows the pid namespace that its mounter *is in*, and setns(2) moves only children: so a child of ours
/// makes it, into a descriptor that both share.
fn procfs(this: &Assembler, attributes: Attributes) -> Result<OwnedFd, Errno> {
    let slot = rustix::io::fcntl_dupfd_cloexec(this.supervisor, 0)?;
    // SAFETY: this process has one thread; the descriptor table is shared on purpose, memory is not.
    match unsafe { clone3(libc::CLONE_FILES) }.map_err(to_errno)? {
        Cloned::Child => {
            let mut slot = slot;
            let made = new_filesystem("proc", &[], attributes)
                .and_then(|proc| rustix::io::dup3(&proc, &mut slot, rustix::io::DupFlags::CLOEXEC));
            std::mem::forget(slot);
            exit_now(made.err().map_or(0, Errno::raw_os_error))
        }
        Cloned::Parent { pidfd, .. } => match wait(&pidfd)? {
            Some(0) => Ok(slot),
            errno => Err(errno.map_or(Errno::IO, Errno::from_raw_os_error)),
        },
    }
}

/// Makes `root` the root of this mount namespace and of everybody in it, and lets go of the host's.
fn pivot(root: &Tree) -> Result<(), Errno> {
    rustix::process::fchdir(root)?;
    rustix::process::pivot_root(".", ".")?;
    // The old root now lies over the new one, at the same place.
    unmount(".", UnmountFlags::DETACH)?;
    rustix::process::chdir("/")
}

fn path_fd(path: &Path) -> Result<OwnedFd, Errno> {
    rustix::fs::open(path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
}
