//! The confinement of tar: it sees the host's `/usr` read-only and the new tree, as root of a user namespace that owns
//! nothing else; no network, no other process, no device.
//!
//! The new tree is mounted with the ids mapped, so that what the archive calls user 0 is user 0 on disk, while
//! the process that writes it is a user whom nothing on the host belongs to.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

use nix::sched::CloneFlags;
use nix::sys::resource::{Resource, setrlimit};
use rustix::fs::{CWD, Mode};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags,
    UnmountFlags,
};
use rustix::thread::{CapabilitySet, remove_capability_from_bounding_set};

use crate::error::{Context, Result};
use crate::sandbox::userns;
use crate::sys::mount::{Depth, MountAttr, mount_setattr};

/// All that unpacking needs.
const KEPT: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::FSETID)
    .union(CapabilitySet::SETFCAP);

/// Moves the calling process in; its next child is the first process of the new PID namespace.
pub fn enter(tree: &Path, namespace: BorrowedFd<'_>, largest_file_bytes: u64) -> Result<()> {
    let namespaces = CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWUTS;
    nix::sched::unshare(namespaces).context(|| "failed to make namespaces")?;
    set_limits(largest_file_bytes)?;
    // Before anything is mounted, or the host would see it.
    rustix::mount::mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .context(|| "failed to make the mounts private")?;
    // /usr goes first: the new root is put on top of it.
    let usr = open_usr()?;
    let tree = open_tree_mapped(tree, namespace)?;
    let root = make_root()?;
    attach(&usr, &root, "usr")?;
    attach(&tree, &root, "tree")?;
    pivot(&root)?;
    nix::unistd::chdir("/tree").context(|| "failed to enter the new root file system")?;
    // Last: from here on we are nobody.
    userns::enter(namespace)?;
    drop_rights()
}

/// For tar and for what decompresses; memory, files and time are theirs, the disk is watched from outside.
fn set_limits(largest_file_bytes: u64) -> Result<()> {
    for (resource, limit) in [
        (Resource::RLIMIT_AS, 1 << 30),
        (Resource::RLIMIT_FSIZE, largest_file_bytes),
        (Resource::RLIMIT_NOFILE, 256),
        (Resource::RLIMIT_CPU, 3600),
        (Resource::RLIMIT_CORE, 0),
    ] {
        setrlimit(resource, limit, limit).context(|| format!("failed to set {resource:?}"))?;
    }
    Ok(())
}

fn open_usr() -> Result<OwnedFd> {
    let flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
    let usr = rustix::mount::open_tree(CWD, "/usr", flags).context(|| "failed to open '/usr'")?;
    set_attributes(&usr, libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV, None)?;
    Ok(usr)
}

fn open_tree_mapped(tree: &Path, namespace: BorrowedFd<'_>) -> Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let mount = rustix::mount::open_tree(CWD, tree, flags)
        .context(|| format!("failed to open '{}'", tree.display()))?;
    let attributes = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV | libc::MOUNT_ATTR_NOEXEC;
    set_attributes(&mount, attributes, Some(namespace))
        .context(|| "the file system of '/var/lib/containerctl' takes no id mapping")?;
    Ok(mount)
}

/// On a detached mount and all below it.
fn set_attributes(mount: &OwnedFd, attributes: u64, idmap: Option<BorrowedFd<'_>>) -> Result<()> {
    let attr = MountAttr { set: attributes, idmap, ..MountAttr::default() };
    mount_setattr(mount, c"", Depth::Recursive, attr).context(|| "failed to set the attributes of a mount")
}

/// A tmpfs with two mount points and the links that programs expect, then read-only.
fn make_root() -> Result<OwnedFd> {
    let failed = || "failed to make a root for tar";
    let fs = rustix::mount::fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC).context(failed)?;
    rustix::mount::fsconfig_set_string(&fs, "mode", "0755").context(failed)?;
    rustix::mount::fsconfig_set_string(&fs, "size", "64k").context(failed)?;
    rustix::mount::fsconfig_create(&fs).context(failed)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    let root = rustix::mount::fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, attributes).context(failed)?;
    for directory in ["usr", "tree"] {
        rustix::fs::mkdirat(&root, directory, Mode::from_raw_mode(0o755)).context(failed)?;
    }
    for link in ["bin", "lib", "lib64", "sbin"] {
        rustix::fs::symlinkat(format!("usr/{link}"), &root, link).context(failed)?;
    }
    set_attributes(&root, libc::MOUNT_ATTR_RDONLY, None)?;
    // Over a directory that every host has, and whose content we hold already.
    rustix::mount::move_mount(&root, "", CWD, "/usr", MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
        .context(failed)?;
    Ok(root)
}

fn attach(mount: &OwnedFd, root: &OwnedFd, at: &str) -> Result<()> {
    rustix::mount::move_mount(mount, "", root, at, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
        .context(|| format!("failed to mount '/{at}' for tar"))
}

/// The old root goes on top of the new one and is let go, as pivot_root(2) describes.
fn pivot(root: &OwnedFd) -> Result<()> {
    let failed = || "failed to change the root for tar";
    rustix::process::fchdir(root).context(failed)?;
    rustix::process::pivot_root(".", ".").context(failed)?;
    rustix::mount::unmount(".", UnmountFlags::DETACH).context(failed)
}

fn drop_rights() -> Result<()> {
    for capability in CapabilitySet::all().difference(KEPT).iter() {
        // EINVAL: a capability that this kernel does not have.
        match remove_capability_from_bounding_set(capability) {
            Ok(()) | Err(rustix::io::Errno::INVAL) => {}
            Err(errno) => return Err(errno).context(|| "failed to drop capabilities"),
        }
    }
    rustix::thread::set_no_new_privs(true).context(|| "failed to set no_new_privs")
}
