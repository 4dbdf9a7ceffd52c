//! mount_setattr(2), which rustix lacks.

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::errno::Errno;

/// What to change on a mount: `MOUNT_ATTR_*` to set and to clear, a propagation type, a user namespace to map
/// ids by. Zero or `None` leaves things as they are.
#[derive(Clone, Copy, Default)]
pub struct MountAttr<'a> {
    /// `MOUNT_ATTR_*` flags to set.
    pub set: u64,
    /// `MOUNT_ATTR_*` flags to clear.
    pub clear: u64,
    /// `MS_PRIVATE`, `MS_SHARED`, `MS_SLAVE` or 0.
    pub propagation: u64,
    /// Maps the ids of the mount by this user namespace (`MOUNT_ATTR_IDMAP`); only before it is attached.
    pub idmap: Option<BorrowedFd<'a>>,
}

/// Whether the change reaches the mounts below too.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// This mount alone.
    One,
    /// This mount and all below it (`AT_RECURSIVE`).
    Recursive,
}

/// Changes the mount that `path` below `dir` names; with an empty path the mount that `dir` itself is.
pub fn mount_setattr(dir: impl AsFd, path: &CStr, depth: Depth, attr: MountAttr) -> Result<(), Errno> {
    let mut flags = libc::AT_EMPTY_PATH | libc::AT_SYMLINK_NOFOLLOW;
    if depth == Depth::Recursive {
        flags |= libc::AT_RECURSIVE;
    }
    let raw = libc::mount_attr {
        attr_set: attr.set | attr.idmap.map_or(0, |_| libc::MOUNT_ATTR_IDMAP),
        attr_clr: attr.clear,
        propagation: attr.propagation,
        userns_fd: attr.idmap.map_or(0, |fd| fd.as_raw_fd() as u64),
    };
    // SAFETY: `path` is a C string and `raw` a mount_attr of the size given; both outlive the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            dir.as_fd().as_raw_fd(),
            path.as_ptr(),
            flags,
            &raw const raw,
            size_of::<libc::mount_attr>(),
        )
    };
    Errno::result(result).map(drop)
}
