//! Atomic replacement of a file: after a crash it has the old or the new content.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use crate::error::{Context, Result};

/// Replaces the text of the file at `path`, or makes it with its directory. Owner and mode stay; so does a symbolic link, since
/// an administrator may keep the file elsewhere.
pub fn replace(path: &Path, text: &str) -> Result<()> {
    replace_or_make(path, text, 0o644)
}

/// As [`replace`], of a definition: one that is new is for root and its group.
pub fn replace_definition(path: &Path, text: &str) -> Result<()> {
    replace_or_make(path, text, 0o640)
}

fn replace_or_make(path: &Path, text: &str, mode: u32) -> Result<()> {
    let failed = || format!("failed to write '{}'", path.display());
    let real = &fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let directory = real.parent().unwrap_or(Path::new("/"));
    DirBuilder::new().recursive(true).mode(0o755).create(directory).context(failed)?;
    let new = temporary(directory);
    let write = || -> std::io::Result<()> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        match fs::metadata(real) {
            Ok(old) => {
                fchown(&file, Some(old.uid()), Some(old.gid()))?;
                file.set_permissions(old.permissions())?;
            }
            Err(_) => file.set_permissions(Permissions::from_mode(mode))?,
        }
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, real)?;
        File::open(directory)?.sync_all()
    };
    write().inspect_err(|_| drop(fs::remove_file(&new))).context(failed)
}

/// Replaces a file below `/run`, or makes it with this mode: readers find the old content or the new one. It is not
/// synced, since nothing there outlives the host.
pub fn publish(path: &Path, content: &[u8], mode: u32) -> Result<()> {
    let new = temporary(path.parent().unwrap_or(Path::new("/")));
    let write = || -> std::io::Result<()> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.set_permissions(Permissions::from_mode(mode))?;
        file.write_all(content)?;
        fs::rename(&new, path)
    };
    let written = write().inspect_err(|_| drop(fs::remove_file(&new)));
    written.context(|| format!("failed to write '{}'", path.display()))
}

/// A name for a new file. The leading dot hides it from readers of the directory; the process id makes it unique.
fn temporary(directory: &Path) -> PathBuf {
    directory.join(format!(".containerctl.{}", std::process::id()))
}

/// Removes a file or symbolic link. Returns whether it existed.
pub fn remove_file(path: &Path) -> Result<bool> {
    was_there(fs::remove_file(path), path)
}

/// Removes a directory with its content, or a symbolic link. Returns whether it existed.
pub fn remove_directory(path: &Path) -> Result<bool> {
    was_there(fs::remove_dir_all(path), path)
}

fn was_there(removed: std::io::Result<()>, path: &Path) -> Result<bool> {
    match removed {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        result => result.context(|| format!("failed to remove '{}'", path.display())).map(|()| true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_published_has_the_mode_that_is_asked_for_and_leaves_nothing_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        publish(&path, b"old and longer", 0o600).unwrap();
        publish(&path, b"new", 0o644).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o644);
        assert!(publish(&dir.path().join("none/state"), b"x", 0o644).is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_replaced_keeps_its_mode_and_its_link() {
        let dir = tempfile::tempdir().unwrap();
        let (real, link) = (dir.path().join("real.conf"), dir.path().join("p1.conf"));
        fs::write(&real, "old").unwrap();
        fs::set_permissions(&real, Permissions::from_mode(0o600)).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        replace(&link, "new").unwrap();
        assert_eq!(fs::read_to_string(&real).unwrap(), "new");
        assert_eq!(real.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert!(link.is_symlink());
        replace(&dir.path().join("p2.conf.d/50.conf"), "made").unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3);
    }
}
