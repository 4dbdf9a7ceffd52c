//! Writes a tree so that two generators at once never leave half a file.
//!
//! Each file and symlink is made under a name of its own in its directory and renamed into place: whoever comes
//! last wins, with the whole of it (rename(2)).

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::{Entry, Tree};
use crate::error::{Context, Error, Result};

/// Writes `tree` below `dir`. Goes on after a failure; the error names all of them.
pub fn write(tree: &Tree, dir: &Path) -> Result<()> {
    let failures: Vec<String> = tree
        .iter()
        .filter_map(|(path, entry)| place(&dir.join(path), entry).err())
        .map(|error| error.to_string())
        .collect();
    if failures.is_empty() { Ok(()) } else { Err(Error::failed(failures.join("; "))) }
}

fn place(path: &Path, entry: &Entry) -> Result<()> {
    let dir = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(dir).context(|| format!("failed to create '{}'", dir.display()))?;
    let temporary = make(dir, entry).context(|| format!("failed to write below '{}'", dir.display()))?;
    fs::rename(&temporary, path)
        .inspect_err(|_| _ = fs::remove_file(&temporary))
        .context(|| format!("failed to rename '{}' to '{}'", temporary.display(), path.display()))
}

/// Makes the entry under a name that nobody else has. Hidden, so that systemd passes over it.
fn make(dir: &Path, entry: &Entry) -> io::Result<PathBuf> {
    let mut attempt = 0;
    loop {
        let path = dir.join(format!(".containerctl-generator.{}.{attempt}", std::process::id()));
        let made = match entry {
            Entry::Link(target) => symlink(target, &path),
            Entry::File(content) => fill(&path, content),
        };
        match made {
            // Left by one that was killed, or another process id namespace's.
            Err(cause) if cause.kind() == ErrorKind::AlreadyExists && attempt < 100 => attempt += 1,
            made => return made.map(|()| path),
        }
    }
}

fn fill(path: &Path, content: &str) -> io::Result<()> {
    let mut file = fs::File::create_new(path)?;
    file.write_all(content.as_bytes()).inspect_err(|_| _ = fs::remove_file(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(content: &str) -> Tree {
        let entries =
            [("a.d/x.conf", Entry::File(content.to_string())), ("b.wants/y", Entry::Link("/z".into()))];
        entries.into_iter().map(|(path, entry)| (PathBuf::from(path), entry)).collect()
    }

    #[test]
    fn writing_again_replaces_and_leaves_nothing_else() {
        let dir = tempfile::tempdir().expect("directory");
        write(&tree("old"), dir.path()).expect("written");
        write(&tree("new"), dir.path()).expect("written");
        assert_eq!(fs::read_to_string(dir.path().join("a.d/x.conf")).expect("read"), "new");
        assert_eq!(fs::read_link(dir.path().join("b.wants/y")).expect("link"), Path::new("/z"));
        for sub in ["a.d", "b.wants"] {
            assert_eq!(fs::read_dir(dir.path().join(sub)).expect("listed").count(), 1);
        }
    }

    #[test]
    fn a_failure_does_not_keep_the_rest_from_being_written() {
        let dir = tempfile::tempdir().expect("directory");
        fs::write(dir.path().join("a.d"), "").expect("written");
        let error = write(&tree("x"), dir.path()).expect_err("a file is in the way");
        assert!(error.message().contains("a.d'"), "{error}");
        assert!(dir.path().join("b.wants/y").symlink_metadata().is_ok());
    }
}
