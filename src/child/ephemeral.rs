//! A root that forgets what was written to it: an overlay whose upper half is a tmpfs.
//!
//! All of it is mounted below the staging directory, in a mount namespace that ends with the container; the kernel
//! takes the halves of an overlay only from mounts of the caller's own namespace.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;

use crate::sandbox::mounts::{move_onto, new_filesystem};
use crate::sandbox::operation::Attributes;

/// Mounts `source`, overlaid, below `staging`, and opens it.
pub fn attach(source: &OwnedFd, staging: &Path, attributes: Attributes) -> Result<OwnedFd, Errno> {
    let tmpfs = new_filesystem("tmpfs", &[("mode".to_string(), "0700".to_string())], Attributes::NONE)?;
    move_onto(tmpfs.as_fd(), open(staging)?.as_fd())?;
    let [lower, upper, work, root] = ["lower", "upper", "work", "root"].map(|name| staging.join(name));
    for directory in [&lower, &upper, &work, &root] {
        rustix::fs::mkdirat(CWD, directory, Mode::from_raw_mode(0o755))?;
    }
    move_onto(source.as_fd(), open(&lower)?.as_fd())?;
    // Of the root directory itself it is the upper one's owner and mode that count.
    let stat = rustix::fs::fstat(source)?;
    let (owner, group) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    let upper_dir = rustix::fs::open(&upper, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::fs::fchown(&upper_dir, Some(owner), Some(group))?;
    rustix::fs::fchmod(&upper_dir, Mode::from_raw_mode(stat.st_mode))?;
    let option = |key: &str, path: &Path| (key.to_string(), path.to_string_lossy().into_owned());
    let halves = [option("lowerdir", &lower), option("upperdir", &upper), option("workdir", &work)];
    let overlay = new_filesystem("overlay", &halves, attributes)?;
    move_onto(overlay.as_fd(), open(&root)?.as_fd())?;
    open(&root)
}

fn open(path: &Path) -> Result<OwnedFd, Errno> {
    rustix::fs::open(path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
}
