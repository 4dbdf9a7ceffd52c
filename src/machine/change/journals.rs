//! The journals of guests among the host's: links to the store, and directories that carry the name of their container.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, XattrFlags};

use crate::error::{Context, Result};
use crate::name::MachineName;
use crate::paths::Root;
use crate::replace::remove_file;
use crate::sandbox::journal::{DIRECTORY, OWNER, Ownership};
use crate::storage::remove;

/// Removes the journals of a container that is destroyed, and the links to them.
pub fn remove(root: &Root, name: &MachineName, rootfs: &Path) -> Result<()> {
    unlink(root, name, rootfs)?;
    own(root, name).try_for_each(|directory| {
        let shown = directory.display().to_string();
        let failed = || format!("failed to remove '{shown}'");
        remove::empty(open(&directory).context(failed)?.as_fd(), &shown)?;
        fs::remove_dir(&directory).context(failed)
    })
}

/// Puts the new name on the journals of a container that is renamed; a start makes links anew.
pub fn rename(root: &Root, old: &MachineName, new: &MachineName, rootfs: &Path) -> Result<()> {
    unlink(root, old, rootfs)?;
    own(root, old).try_for_each(|directory| {
        rustix::fs::setxattr(&directory, OWNER, new.as_str().as_bytes(), XattrFlags::empty())
            .context(|| format!("failed to rename the owner of '{}'", directory.display()))
    })
}

/// The directory that keeps the journal of a container on the host, if there is one.
pub fn find(root: &Root, name: &MachineName) -> Option<PathBuf> {
    Some(root.journal_of(name)).filter(|path| path.is_dir()).or_else(|| own(root, name).next())
}

/// Links to the store, and those of an earlier version into the guest's tree.
fn unlink(root: &Root, name: &MachineName, rootfs: &Path) -> Result<()> {
    let is_ours = |to: PathBuf| to == root.journal_of(name) || to.starts_with(rootfs);
    for path in entries(root) {
        if fs::read_link(&path).is_ok_and(is_ours) {
            remove_file(&path)?;
        }
    }
    Ok(())
}

/// The directories that were made for `name`.
fn own(root: &Root, name: &MachineName) -> impl Iterator<Item = PathBuf> {
    entries(root).filter(move |path| Ownership::of(path, name.as_str()) == Ownership::Own)
}

fn entries(root: &Root) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(root.path(DIRECTORY)).into_iter().flatten().flatten().map(|entry| entry.path())
}

fn open(directory: &Path) -> Result<OwnedFd, rustix::io::Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::open(directory, flags, Mode::empty())
}
