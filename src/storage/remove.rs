//! Deletes a tree that a container shaped: by descriptor, without following links, without leaving the mount,
//! and at any depth with a handful of descriptors.
//!
//! No recursion: a directory found on the way is first moved up into the top, then emptied there.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, RenameFlags, ResolveFlags};
use rustix::io::Errno;

use crate::error::{Context, Result};

/// Empties `top`, a directory that we own and hold locked; `shown` is its path in errors.
pub fn empty(top: BorrowedFd<'_>, shown: &str) -> Result<()> {
    let mut moved = 0u64;
    loop {
        let directories = unlink_files(top, shown)?;
        if directories.is_empty() {
            return Ok(());
        }
        for name in directories {
            let what = || format!("failed to remove '{}' in '{shown}'", name.to_string_lossy());
            let directory = open_beneath(top, &name).context(what)?;
            for child in unlink_files(directory.as_fd(), shown)? {
                move_up(directory.as_fd(), &child, top, &mut moved).context(what)?;
            }
            rustix::fs::unlinkat(top, &name, AtFlags::REMOVEDIR).context(what)?;
        }
    }
}

/// Unlinks all of `directory` but its directories, and returns those.
fn unlink_files(directory: BorrowedFd<'_>, shown: &str) -> Result<Vec<CString>> {
    let mut directories = Vec::new();
    let entries = Dir::read_from(directory).context(|| format!("failed to list '{shown}'"))?;
    for entry in entries {
        let entry = entry.context(|| format!("failed to list '{shown}'"))?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        if entry.file_type() == FileType::Directory || !unlink(directory, name, shown)? {
            directories.push(name.to_owned());
        }
    }
    Ok(directories)
}

/// Whether `name` was a file; where the file system tells no types, unlink(2) does.
fn unlink(directory: BorrowedFd<'_>, name: &CStr, shown: &str) -> Result<bool> {
    match rustix::fs::unlinkat(directory, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(true),
        Err(Errno::ISDIR) => Ok(false),
        Err(errno) => {
            Err(errno).context(|| format!("failed to remove '{}' in '{shown}'", name.to_string_lossy()))
        }
    }
}

/// A mount point is `EXDEV`, a link `ELOOP`.
fn open_beneath(top: BorrowedFd<'_>, name: &CStr) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    rustix::fs::openat2(top, name, flags, Mode::empty(), resolve)
}

/// Under a number that is free in `top`; what an earlier run left there keeps its place.
fn move_up(
    from: BorrowedFd<'_>,
    name: &CStr,
    top: BorrowedFd<'_>,
    moved: &mut u64,
) -> rustix::io::Result<()> {
    loop {
        *moved += 1;
        match rustix::fs::renameat_with(from, name, top, moved.to_string(), RenameFlags::NOREPLACE) {
            Err(Errno::EXIST) => {}
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn emptied(top: &std::path::Path) -> bool {
        let fd = fs::File::open(top).unwrap();
        empty(fd.as_fd(), "top").unwrap();
        fs::read_dir(top).unwrap().next().is_none()
    }

    #[test]
    fn links_out_of_the_tree_are_not_followed() {
        let (marker, top) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(marker.path().join("keep"), "").unwrap();
        fs::create_dir_all(top.path().join("a/b")).unwrap();
        symlink(marker.path(), top.path().join("a/b/out")).unwrap();
        symlink(marker.path(), top.path().join("out")).unwrap();
        assert!(emptied(top.path()));
        assert!(marker.path().join("keep").exists());
    }

    #[test]
    fn depth_costs_no_descriptors() {
        let top = tempfile::tempdir().unwrap();
        let mut at: OwnedFd = fs::File::open(top.path()).unwrap().into();
        for _ in 0..5000 {
            rustix::fs::mkdirat(&at, "d", Mode::RWXU).unwrap();
            at = open_beneath(at.as_fd(), c"d").unwrap();
        }
        assert!(emptied(top.path()));
    }

    #[test]
    fn directories_called_like_our_numbers_are_removed_too() {
        let top = tempfile::tempdir().unwrap();
        fs::create_dir_all(top.path().join("x/1/2/3")).unwrap();
        fs::create_dir_all(top.path().join("1/2")).unwrap();
        fs::write(top.path().join("2"), "").unwrap();
        assert!(emptied(top.path()));
    }
}
