//! mount_setattr(2) and statmount(2), which rustix lacks.

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::errno::Errno;

/// A change to a mount: `MOUNT_ATTR_*` to set and to clear, a propagation type, a user namespace to map
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

/// statmount(2); one number on every architecture that systemd runs on.
const SYS_STATMOUNT: libc::c_long = 457;
/// `STATMOUNT_SB_BASIC` (linux/mount.h).
const SB_BASIC: u64 = 1;

/// `struct mnt_id_req` in its first version (linux/mount.h).
#[repr(C)]
struct MountRequest {
    size: u32,
    spare: u32,
    mount: u64,
    wanted: u64,
}

/// The beginning of `struct statmount` (linux/mount.h), and room for the rest.
#[repr(C)]
#[derive(Default)]
struct StatMount {
    size: u32,
    options: u32,
    mask: u64,
    device: [u32; 2],
    magic: u64,
    rest: [[u64; 20]; 3],
}

/// The type of the file system that `fd` is on, as `f_type` of statfs(2), of a mount in the caller's namespace.
///
/// It is the kernel's word: statfs(2) asks the file system itself, and one that is a process may never answer. Before
/// Linux 6.8 there is no other way.
pub fn magic(fd: impl AsFd) -> Result<u64, Errno> {
    match mount_id(fd.as_fd()).and_then(|id| id.map_or(Err(Errno::ENOSYS), stat_mount)) {
        Err(Errno::ENOSYS) => {
            let found = rustix::fs::fstatfs(fd).map_err(|errno| Errno::from_raw(errno.raw_os_error()))?;
            Ok(found.f_type.cast_unsigned())
        }
        magic => magic,
    }
}

/// The mount's number, given out once; none where the kernel knows no such numbers.
fn mount_id(fd: BorrowedFd<'_>) -> Result<Option<u64>, Errno> {
    // SAFETY: all zeroes is a valid statx.
    let mut found: libc::statx = unsafe { std::mem::zeroed() };
    let (flags, wanted) = (libc::AT_EMPTY_PATH | libc::AT_STATX_DONT_SYNC, libc::STATX_MNT_ID_UNIQUE);
    // SAFETY: the path is a C string, and the kernel writes one statx.
    let result = unsafe { libc::statx(fd.as_raw_fd(), c"".as_ptr(), flags, wanted, &raw mut found) };
    Errno::result(result)?;
    Ok((found.stx_mask & wanted != 0).then_some(found.stx_mnt_id))
}

fn stat_mount(mount: u64) -> Result<u64, Errno> {
    let request = MountRequest { size: size_of::<MountRequest>() as u32, spare: 0, mount, wanted: SB_BASIC };
    let mut found = StatMount::default();
    // SAFETY: the request is of the size that it says, and the kernel writes no more than the size given.
    let result = unsafe {
        libc::syscall(SYS_STATMOUNT, &raw const request, &raw mut found, size_of::<StatMount>(), 0)
    };
    Errno::result(result)?;
    if found.mask & SB_BASIC != 0 { Ok(found.magic) } else { Err(Errno::ENOSYS) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_systems_type_is_what_statfs_says() {
        for path in ["/proc", "/dev", "/"] {
            let fd = std::fs::File::open(path).expect("open");
            let asked = rustix::fs::fstatfs(&fd).expect("statfs").f_type.cast_unsigned();
            assert_eq!(magic(&fd), Ok(asked), "{path}");
        }
        let proc = std::fs::File::open("/proc").expect("open");
        let id = mount_id(proc.as_fd()).expect("statx");
        assert!(id.is_none_or(|id| matches!(stat_mount(id), Ok(0x9fa0) | Err(Errno::ENOSYS))), "{id:?}");
    }
}
