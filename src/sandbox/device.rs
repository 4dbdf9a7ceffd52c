//! A device node in the `/dev` of a container that runs.
//!
//! The container may have mounted over its `/dev`, or put links into it. So the node is made only where the file
//! system is the one that was mounted at the start, which nobody inside can forge: its `/dev/null` is a device, and
//! below it neither a link nor a mount is crossed.

#![cfg_attr(not(test), deny(clippy::disallowed_methods))]

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Gid, Mode, Stat, Uid, makedev};
use rustix::io::Errno;

use crate::sandbox::survey::{Device, DeviceKind};
use crate::storage::tree::Tree;

/// `TMPFS_MAGIC` (linux/magic.h).
const TMPFS: u64 = 0x0102_1994;

/// The container's own `/dev`.
pub struct Dev {
    tree: Tree,
    owner: u32,
}

impl Dev {
    /// Finds it in the root of a container whose root has the host id `owner`; `EPERM` where something else is there.
    pub fn of(root: &Tree, owner: u32) -> Result<Dev, Errno> {
        let dev = root.resolve_strict("/dev")?;
        let is_tmpfs = rustix::fs::fstatfs(&dev)?.f_type as u64 == TMPFS;
        let tree = Tree::from_fd(dev);
        let null = rustix::fs::fstat(tree.resolve_own("/null")?)?;
        let is_null = is_device(&null, FileType::CharacterDevice, makedev(1, 3)) && null.st_uid == owner;
        if is_tmpfs && is_null { Ok(Dev { tree, owner }) } else { Err(Errno::PERM) }
    }

    /// Makes a node at `path`, which is below `/dev`. `EEXIST` where something else has that name.
    pub fn add(&self, path: &str, device: &Device) -> Result<(), Errno> {
        let (parent, name) = self.parent(path)?;
        let (kind, number) = number_of(device);
        match rustix::fs::mknodat(&parent, name, kind, Mode::from_raw_mode(device.mode), number) {
            Err(Errno::EXIST) => {}
            made => made?,
        }
        // By descriptor from here on: the name may lead somewhere else by now.
        let node = self.tree.resolve_own(below_dev(path)?)?;
        if !is_device(&rustix::fs::fstat(&node)?, kind, number) {
            return Err(Errno::EXIST);
        }
        self.own(&node)?;
        // A descriptor that is a mere path can be changed by this way only; the mode was cut by our umask.
        rustix::fs::chmod(format!("/proc/self/fd/{}", node.as_raw_fd()), Mode::from_raw_mode(device.mode))
    }

    /// Takes the node away again; one that is gone, or is another by now, is left.
    pub fn remove(&self, path: &str, device: &Device) -> Result<(), Errno> {
        let (kind, number) = number_of(device);
        let node = match self.tree.resolve_own(below_dev(path)?) {
            Err(Errno::NOENT) => return Ok(()),
            node => rustix::fs::fstat(node?)?,
        };
        if !is_device(&node, kind, number) {
            return Ok(());
        }
        let (parent, name) = self.parent(path)?;
        rustix::fs::unlinkat(&parent, name, AtFlags::empty())
    }

    /// The directory of `path`, made where it is missing, and the last component.
    fn parent<'a>(&self, path: &'a str) -> Result<(OwnedFd, &'a str), Errno> {
        let (directories, name) = below_dev(path)?.rsplit_once('/').ok_or(Errno::INVAL)?;
        let mut parent = self.tree.resolve_own("/")?;
        let mut prefix = String::new();
        for part in directories.split('/').filter(|part| !part.is_empty()) {
            prefix = format!("{prefix}/{part}");
            parent = match self.tree.resolve_own(&prefix) {
                Err(Errno::NOENT) => {
                    rustix::fs::mkdirat(&parent, part, Mode::from_raw_mode(0o755))?;
                    let made = self.tree.resolve_own(&prefix)?;
                    self.own(&made)?;
                    made
                }
                found => found?,
            };
        }
        Ok((parent, name))
    }

    fn own(&self, node: &OwnedFd) -> Result<(), Errno> {
        let (uid, gid) = (Uid::from_raw(self.owner), Gid::from_raw(self.owner));
        rustix::fs::chownat(node.as_fd(), "", Some(uid), Some(gid), AtFlags::EMPTY_PATH)
    }
}

/// `/dev/x` as `/x`.
fn below_dev(path: &str) -> Result<&str, Errno> {
    path.strip_prefix("/dev").filter(|rest| rest.starts_with('/')).ok_or(Errno::INVAL)
}

fn number_of(device: &Device) -> (FileType, u64) {
    let kind = match device.kind {
        DeviceKind::Block => FileType::BlockDevice,
        DeviceKind::Char => FileType::CharacterDevice,
    };
    (kind, makedev(device.major, device.minor))
}

fn is_device(stat: &Stat, kind: FileType, number: u64) -> bool {
    FileType::from_raw_mode(stat.st_mode) == kind && stat.st_rdev == number
}
