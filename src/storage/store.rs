//! The directory that holds the root file systems, and how trees come into it and leave it.
//!
//! ```text
//! Partial (.partial-p1-3f2a, locked) ── publish ──> Published (p1) ── undo ──┐
//!    └─ dropped ──> removed                                                  v
//!                                     p1 ── trash ──> .trash-p1-77c0 ──> removed
//! ```
//! One rename makes a tree appear, one makes it go. What a crash leaves behind is not locked by anyone, and the
//! next create or destroy sweeps it.

use std::fs::{self, DirBuilder, File};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use nix::fcntl::Flock;
use rustix::fs::RenameFlags;
use rustix::io::Errno;

use super::remove;
use crate::error::{Context, Error, Kind, Result};
use crate::name::MachineName;
use crate::paths::Root;
use crate::sys::lock::lock_directory;

const PARTIAL: &str = ".partial-";
const TRASH: &str = ".trash-";

/// Makes the store, readable by root alone.
pub fn make(root: &Root) -> Result<()> {
    let store = root.store();
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&store)
        .context(|| format!("failed to make '{}'", store.display()))
}

/// A tree being built, locked while we live.
pub struct Partial {
    root: Root,
    name: MachineName,
    path: PathBuf,
    directory: Option<Flock<File>>,
}

impl Partial {
    /// Makes and locks an empty one; fails when another create of the same name is under way.
    pub fn new(root: &Root, name: &MachineName) -> Result<Partial> {
        make(root)?;
        refuse_second(root, name)?;
        loop {
            let path = root.store().join(format!("{PARTIAL}{name}-{:08x}", random()?));
            match DirBuilder::new().mode(0o700).create(&path) {
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => continue,
                made => made.context(|| format!("failed to make '{}'", path.display()))?,
            }
            // A sweep may have come between mkdir and lock; then we make another.
            if let Some(directory) = lock(&path)? {
                return Ok(Partial {
                    root: root.clone(),
                    name: name.clone(),
                    path,
                    directory: Some(directory),
                });
            }
        }
    }

    /// The path at which the root file system is built; it does not exist yet.
    pub fn rootfs(&self) -> PathBuf {
        self.path.join("rootfs")
    }

    /// The name of this tree among the owners of id ranges; no machine can be called so.
    pub fn owner(&self) -> String {
        file_name(&self.path)
    }

    /// Writes all to disk and makes it the machine's. Nothing appears where the name is taken.
    pub fn publish(mut self) -> Result<Published> {
        let what = format!("failed to publish '{}'", self.name);
        let directory = self.directory.take().ok_or_else(|| Error::failed(what.clone()))?;
        let target = self.root.store_of(&self.name);
        let published = sync(directory.as_fd())
            .context(|| what.as_str())
            .and_then(|()| rename(&self.root, &self.path, &target));
        if let Err(error) = published {
            self.directory = Some(directory);
            return Err(error);
        }
        Ok(Published { root: self.root.clone(), name: self.name.clone() })
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if let Some(directory) = self.directory.take() {
            // What stays is swept by the next create; the error that brought us here is the one to tell.
            let _ = discard(&directory, &self.path);
        }
    }
}

/// A tree in its place.
#[must_use]
pub struct Published {
    root: Root,
    name: MachineName,
}

impl Published {
    /// Takes it back, where a later step of create failed.
    pub fn undo(self) -> Result<()> {
        trash(&self.root, &self.name)?.map_or(Ok(()), Trash::remove)
    }
}

/// A tree that no machine has any more.
pub struct Trash {
    path: PathBuf,
    directory: Flock<File>,
}

impl Trash {
    /// Deletes it.
    pub fn remove(self) -> Result<()> {
        discard(&self.directory, &self.path)
    }
}

/// Takes the tree of `name` out of its place, if it has one.
pub fn trash(root: &Root, name: &MachineName) -> Result<Option<Trash>> {
    let tree = root.store_of(name);
    let Some(directory) = lock(&tree)? else { return Ok(None) };
    let path = root.store().join(format!("{TRASH}{name}-{:08x}", random()?));
    rename(root, &tree, &path)?;
    Ok(Some(Trash { path, directory }))
}

/// Deletes what crashed operations left, after `release` took back what is booked on its [`Partial::owner`].
/// Returns a warning for each tree that could not be deleted.
pub fn sweep(root: &Root, release: impl Fn(&str) -> Result<()>) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    for path in leftovers(root)? {
        match lock(&path) {
            Ok(Some(directory)) => {
                let result = release(&file_name(&path)).and_then(|()| discard(&directory, &path));
                warnings.extend(result.err().map(|error| format!("{error}, ignoring")));
            }
            Ok(None) => {}
            Err(error) if error.kind() == Kind::Busy => {}
            Err(error) => warnings.push(format!("{error}, ignoring")),
        }
    }
    Ok(warnings)
}

fn leftovers(root: &Root) -> Result<Vec<PathBuf>> {
    let store = root.store();
    let entries = match fs::read_dir(&store) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.context(|| format!("failed to list '{}'", store.display()))?,
    };
    let ours = |path: &PathBuf| [PARTIAL, TRASH].iter().any(|prefix| file_name(path).starts_with(prefix));
    Ok(entries.filter_map(|entry| Some(entry.ok()?.path())).filter(ours).collect())
}

/// Two long creates of one name should not both run to the end; the rename decides if they do.
fn refuse_second(root: &Root, name: &MachineName) -> Result<()> {
    for path in leftovers(root)? {
        let file_name = file_name(&path);
        let of_name = file_name.strip_prefix(PARTIAL).and_then(|rest| rest.rsplit_once('-'));
        if of_name.is_some_and(|(of, _)| of == name.as_str()) && is_locked(&path) {
            return Err(Error::new(Kind::Busy, format!("another create of '{name}' is under way")));
        }
    }
    Ok(())
}

fn is_locked(path: &Path) -> bool {
    matches!(lock(path), Err(error) if error.kind() == Kind::Busy)
}

/// The directory at `path`, locked; `None` if it is not there (any more).
fn lock(path: &Path) -> Result<Option<Flock<File>>> {
    match lock_directory(path) {
        Ok(directory) => Ok(Some(directory)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
            let message = format!("another operation holds '{}'", path.display());
            Err(Error::new(Kind::Busy, message).hint("try again when it has ended"))
        }
        Err(error) => Err(error).context(|| format!("failed to lock '{}'", path.display())),
    }
}

/// renameat2(2) within the store, on disk when it returns.
fn rename(root: &Root, from: &Path, to: &Path) -> Result<()> {
    let store = root.store();
    let failed = || format!("failed to rename '{}' to '{}'", from.display(), to.display());
    let directory = File::open(&store).context(failed)?;
    match rustix::fs::renameat_with(&directory, from, &directory, to, RenameFlags::NOREPLACE) {
        Err(Errno::EXIST) => {
            return Err(Error::new(Kind::Busy, format!("'{}' exists already", to.display()))
                .hint("choose another name, or destroy the one that has it"));
        }
        result => result.context(failed)?,
    }
    directory.sync_all().context(failed)
}

fn discard(directory: &Flock<File>, path: &Path) -> Result<()> {
    remove::empty(directory.as_fd(), &path.display().to_string())?;
    fs::remove_dir(path).context(|| format!("failed to remove '{}'", path.display()))
}

fn sync(directory: BorrowedFd<'_>) -> rustix::io::Result<()> {
    rustix::fs::syncfs(directory)
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn random() -> Result<u32> {
    let mut bytes = [0u8; 4];
    let mut file = File::open("/dev/urandom").context(|| "failed to open '/dev/urandom'")?;
    std::io::Read::read_exact(&mut file, &mut bytes).context(|| "failed to read '/dev/urandom'")?;
    Ok(u32::from_ne_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host() -> (tempfile::TempDir, Root, MachineName) {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::at(dir.path());
        (dir, root, MachineName::new("p1").unwrap())
    }

    fn build(root: &Root, name: &MachineName) -> Partial {
        let partial = Partial::new(root, name).unwrap();
        fs::create_dir(partial.rootfs()).unwrap();
        partial
    }

    #[test]
    fn a_tree_appears_whole_or_not_at_all() {
        let (_dir, root, name) = host();
        drop(build(&root, &name));
        assert!(leftovers(&root).unwrap().is_empty());
        let published = build(&root, &name).publish().unwrap();
        assert!(root.rootfs(&name).is_dir());
        published.undo().unwrap();
        assert_eq!(fs::read_dir(root.store()).unwrap().count(), 0);
    }

    #[test]
    fn the_second_create_of_a_name_is_told_so() {
        let (_dir, root, name) = host();
        let first = build(&root, &name);
        assert_eq!(Partial::new(&root, &name).err().unwrap().kind(), Kind::Busy);
        assert!(Partial::new(&root, &MachineName::new("p1-a").unwrap()).is_ok());
        let _published = first.publish().unwrap();
        assert_eq!(build(&root, &name).publish().err().unwrap().kind(), Kind::Busy);
        assert!(leftovers(&root).unwrap().is_empty());
    }

    #[test]
    fn only_what_nobody_holds_is_swept() {
        let (_dir, root, name) = host();
        let held = build(&root, &name);
        fs::create_dir_all(root.store().join(".trash-old-1/rootfs")).unwrap();
        fs::create_dir_all(root.store().join(".partial-old-1/rootfs")).unwrap();
        fs::create_dir_all(root.store().join("other")).unwrap();
        assert!(sweep(&root, |_| Ok(())).unwrap().is_empty());
        assert_eq!(leftovers(&root).unwrap(), std::slice::from_ref(&held.path));
        assert!(root.store().join("other").exists());
    }
}
