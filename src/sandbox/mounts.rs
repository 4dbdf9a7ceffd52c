//! Carrying out the mount operations of a plan.
//!
//! Everything here runs in a freshly cloned, single-threaded child, by file descriptor: a new or copied mount is
//! made detached and then moved onto a target that was resolved inside the tree. Sources are opened by the parent
//! before it clones, so that a missing one is told while nothing has been made yet.

#![cfg_attr(not(test), deny(clippy::disallowed_methods))]

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::unistd::{Gid, Uid, setfsgid, setfsuid};
use rustix::fs::{AtFlags, FileType, Gid as FsGid, Mode, OFlags, Uid as FsUid};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create,
    fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
};

use crate::error::Result;
use crate::sandbox::layout::TTY_GROUP;
use crate::sandbox::operation::{Attributes, Operation};
use crate::sandbox::survey::DeviceKind;
use crate::storage::host_path::{Fault, HostPaths};
use crate::storage::tree::{Node, Tree};
use crate::sys::mount::{Depth, MountAttr, mount_setattr};
use crate::sys::to_errno;
use crate::sys::tty;

/// For each operation the detached copy of its source, where it has one.
pub type Sources = Vec<Option<OwnedFd>>;

/// Opens the sources of `operations` on the host, as detached copies that belong to no mount namespace yet. `root` is
/// the root file system.
pub fn open_sources(operations: &[Operation], root: &Tree, paths: &HostPaths) -> Result<Sources> {
    let open = |operation| match open_source(operation, root, paths) {
        Err(Fault::Errno(Errno::NOENT)) if matches!(operation, Operation::Bind { optional: true, .. }) => {
            Ok(None)
        }
        opened => opened.map_err(|fault| fault.of(format!("failed to {operation}"))),
    };
    operations.iter().map(open).collect()
}

fn open_source(operation: &Operation, root: &Tree, paths: &HostPaths) -> Result<Option<OwnedFd>, Fault> {
    let copy = match operation {
        Operation::Root { .. } => copy_of(root.as_fd(), Depth::Recursive),
        Operation::Bind { source, recursive: true, .. } => {
            copy_of(paths.open(source)?.as_fd(), Depth::Recursive)
        }
        Operation::Bind { source, .. } => copy_of(paths.open(source)?.as_fd(), Depth::One),
        _ => return Ok(None),
    };
    Ok(Some(copy?))
}

/// Gives the copied sources their attributes and id maps, while they are detached.
pub fn dress(operation: &Operation, source: &OwnedFd, userns: Option<BorrowedFd>) -> Result<(), Errno> {
    let (attributes, idmap) = match operation {
        Operation::Root { read_only: true, idmap, .. } => (Attributes::RO, *idmap),
        Operation::Root { idmap, .. } => (Attributes::NONE, *idmap),
        Operation::Bind { attributes, idmap, .. } => (*attributes, *idmap),
        _ => return Ok(()),
    };
    let attr = MountAttr {
        set: attributes.0,
        propagation: libc::MS_PRIVATE,
        idmap: userns.filter(|_| idmap),
        ..MountAttr::default()
    };
    mount_setattr(source, c"", Depth::Recursive, attr).map_err(to_errno)?;
    match operation {
        // The host's mount may be nosuid to keep its users from what the container writes; the container has a su(1).
        Operation::Root { idmap: true, .. } => {
            let attr = MountAttr { clear: libc::MOUNT_ATTR_NOSUID, ..MountAttr::default() };
            mount_setattr(source, c"", Depth::One, attr).map_err(to_errno)
        }
        _ => Ok(()),
    }
}

/// A root being assembled.
pub struct Assembly {
    /// The tree of the root.
    pub tree: Tree,
    /// The host id of the container's root: what is made belongs to it.
    pub owner: u32,
    /// Masks of a file and of a directory: empty, mode 0000, owned by the host's root.
    pub blank: (OwnedFd, OwnedFd),
}

impl Assembly {
    /// Carries out one operation. `source` is the copy opened by [`open_sources`], where the operation has one.
    ///
    /// The root, the terminals, procfs and the wait for the cgroup are the caller's.
    pub fn apply(&self, operation: &Operation, source: Option<&OwnedFd>) -> Result<(), Errno> {
        match operation {
            Operation::Mount { filesystem, target, options, attributes } => {
                let mount = new_filesystem(filesystem, options, *attributes)?;
                if *filesystem == "devpts" {
                    self.own(&mount, c"")?;
                    self.own(&mount, c"ptmx")?;
                }
                self.attach(mount.as_fd(), target)
            }
            Operation::Directory { target, mode } => {
                self.as_owner(|| self.tree.make_dir(target, *mode)).map(drop)
            }
            Operation::Symlink { target, to } => self.tree.make_symlink(target, to, self.owner),
            Operation::Node { target, kind, mode, major, minor } => {
                let kind = match kind {
                    DeviceKind::Block => FileType::BlockDevice,
                    DeviceKind::Char => FileType::CharacterDevice,
                };
                let number = rustix::fs::makedev(*major, *minor);
                self.tree.make_node(target, Node { kind, mode: *mode, number }, self.owner)
            }
            Operation::Bind { target, .. } => match source {
                Some(source) => self.attach(source.as_fd(), target),
                None => Ok(()),
            },
            Operation::Mask { target } => unless_missing(self.mask(target)),
            Operation::ReadOnly { target } => unless_missing(self.cover(target, Attributes::RO)),
            Operation::Writable { target } => unless_missing(self.uncover(target)),
            Operation::Root { .. } | Operation::Terminal { .. } | Operation::AwaitPlacement => Ok(()),
        }
    }

    /// Moves a detached mount onto `target`, which is made where it is missing.
    pub fn attach(&self, mount: BorrowedFd, target: &str) -> Result<(), Errno> {
        let source_is_dir = is_dir(mount)?;
        let target = match self.mount_point(target) {
            Err(Errno::NOENT) => self.as_owner(|| match source_is_dir {
                true => self.tree.make_dir(target, 0o755),
                false => self.tree.make_file(target, 0o644),
            })?,
            other => other?,
        };
        move_onto(mount, target.as_fd())
    }

    /// Makes the next terminal of the container's own devpts, which is to have this number, mounts it on `target` and
    /// returns its master.
    pub fn terminal(&self, number: u32, target: Option<&str>) -> Result<OwnedFd, Errno> {
        let master = self.tree.open_strict("/dev/pts/ptmx", OFlags::RDWR | OFlags::NOCTTY)?;
        tty::unlock(&master).map_err(to_errno)?;
        let peer = tty::peer(&master).map_err(to_errno)?;
        let (owner, group) = (FsUid::from_raw(self.owner), FsGid::from_raw(self.owner + TTY_GROUP));
        rustix::fs::fchown(&peer, Some(owner), Some(group))?;
        rustix::fs::fchmod(&peer, Mode::from_raw_mode(0o620))?;
        if tty::number(&master).map_err(to_errno)? != number {
            return Err(Errno::BUSY);
        }
        if let Some(target) = target {
            let node = self.tree.resolve_strict(&format!("/dev/pts/{number}"))?;
            self.attach(copy_of(node.as_fd(), Depth::One)?.as_fd(), target)?;
        }
        Ok(master)
    }

    /// On our own mount points no link is tolerated; the definition's are resolved as the container sees them.
    fn mount_point(&self, target: &str) -> Result<OwnedFd, Errno> {
        let first = target.trim_start_matches('/').split('/').next().unwrap_or_default();
        match first {
            "proc" | "sys" | "dev" | "run" => self.tree.resolve_strict(target),
            _ => self.tree.resolve(target),
        }
    }

    fn mask(&self, target: &str) -> Result<(), Errno> {
        let target = self.mount_point(target)?;
        let blank = if is_dir(target.as_fd())? { &self.blank.1 } else { &self.blank.0 };
        let cover = copy_of(blank.as_fd(), Depth::One)?;
        let attr = MountAttr { set: Attributes::RO.0 | Attributes::API.0, ..MountAttr::default() };
        mount_setattr(&cover, c"", Depth::One, attr).map_err(to_errno)?;
        move_onto(cover.as_fd(), target.as_fd())
    }

    /// Puts a copy of `target` with `attributes` on top of itself.
    fn cover(&self, target: &str, attributes: Attributes) -> Result<(), Errno> {
        let target = self.mount_point(target)?;
        let copy = copy_of(target.as_fd(), Depth::One)?;
        mount_setattr(&copy, c"", Depth::One, MountAttr { set: attributes.0, ..MountAttr::default() })
            .map_err(to_errno)?;
        move_onto(copy.as_fd(), target.as_fd())
    }

    /// Puts a writable copy of a read-only `target` on top of itself.
    fn uncover(&self, target: &str) -> Result<(), Errno> {
        let target = self.mount_point(target)?;
        let copy = copy_of(target.as_fd(), Depth::One)?;
        mount_setattr(&copy, c"", Depth::One, MountAttr { clear: Attributes::RO.0, ..MountAttr::default() })
            .map_err(to_errno)?;
        move_onto(copy.as_fd(), target.as_fd())
    }

    /// Gives the container's root what the kernel has made for the host's.
    fn own(&self, mount: &OwnedFd, path: &CStr) -> Result<(), Errno> {
        let (owner, group) = (FsUid::from_raw(self.owner), FsGid::from_raw(self.owner));
        rustix::fs::chownat(mount, path, Some(owner), Some(group), AtFlags::EMPTY_PATH)
    }

    /// Creates as the container's root: an id that the mount's map does not know can own nothing there.
    fn as_owner<T>(&self, create: impl FnOnce() -> Result<T, Errno>) -> Result<T, Errno> {
        let (uid, gid) = (setfsuid(Uid::from_raw(self.owner)), setfsgid(Gid::from_raw(self.owner)));
        let result = create();
        setfsuid(uid);
        setfsgid(gid);
        result
    }
}

/// Makes a new, detached file system.
pub fn new_filesystem(
    filesystem: &str,
    options: &[(String, String)],
    attributes: Attributes,
) -> Result<OwnedFd, Errno> {
    let context = fsopen(filesystem, FsOpenFlags::FSOPEN_CLOEXEC)?;
    // What mount(8) shows in its first column.
    fsconfig_set_string(&context, "source", filesystem)?;
    for (key, value) in options {
        match value.as_str() {
            "" => fsconfig_set_flag(&context, key.as_str())?,
            value => fsconfig_set_string(&context, key.as_str(), value)?,
        }
    }
    fsconfig_create(&context)?;
    let attributes = MountAttrFlags::from_bits_retain(attributes.0 as u32);
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

/// Moves a detached mount onto an open directory or file.
pub fn move_onto(mount: BorrowedFd, target: BorrowedFd) -> Result<(), Errno> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(mount, c"", target, c"", flags)
}

/// A detached copy of the mount that `fd` lies on, from there on down.
fn copy_of(fd: BorrowedFd, depth: Depth) -> Result<OwnedFd, Errno> {
    const EMPTY: &CStr = c"";
    let mut flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    flags.set(OpenTreeFlags::AT_RECURSIVE, depth == Depth::Recursive);
    open_tree(fd, EMPTY, flags)
}

fn is_dir(fd: BorrowedFd) -> Result<bool, Errno> {
    let stat = rustix::fs::statat(fd, c"", AtFlags::EMPTY_PATH)?;
    Ok(FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}

/// Kernels differ in what they have below `/proc` and `/sys`.
fn unless_missing(result: Result<(), Errno>) -> Result<(), Errno> {
    match result {
        Err(Errno::NOENT) => Ok(()),
        other => other,
    }
}
