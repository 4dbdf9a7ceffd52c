//! Looking at a root file system, and writing the few files that we put into one, always by descriptor.

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::{Component, Path};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::error::{Context, Error, Kind, Result};
use crate::paths::Root;

/// Where an init is looked for, the first found wins; systemd.nspawn(5) `Boot=` has the same order.
pub const INITS: [&str; 3] = ["usr/lib/systemd/systemd", "lib/systemd/systemd", "sbin/init"];

/// Checks that `path` can be a machine's root file system as it stands.
pub fn check(root: &Root, path: &Path) -> Result<()> {
    let shown = path.to_string_lossy();
    let refused = |why: &str| Error::config(format!("'{shown}' cannot be a root file system: {why}"));
    if path
        .to_str()
        .is_none_or(|path| path.contains(char::is_control) || path.trim() != path || path.ends_with('\\'))
    {
        return Err(refused("its name has characters that a definition cannot carry").hint("rename it"));
    }
    if !path.is_absolute() || path.components().any(|part| part == Component::ParentDir) {
        return Err(refused("the path is not absolute").hint("begin it with '/', without '..'"));
    }
    if path.parent().is_none() {
        return Err(refused("it is the host's own root"));
    }
    if root.store().starts_with(path) || path.starts_with(root.store()) {
        return Err(refused("containerctl's own store is there").hint("use a directory elsewhere"));
    }
    let metadata = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(Error::new(Kind::NotFound, format!("'{shown}' does not exist")));
        }
        metadata => metadata.context(|| format!("failed to look at '{shown}'"))?,
    };
    if metadata.is_symlink() {
        return Err(refused("it is a symbolic link").hint("name the directory that it points to"));
    }
    if !metadata.is_dir() {
        return Err(refused("it is not a directory"));
    }
    let mut entries = fs::read_dir(path).context(|| format!("failed to list '{shown}'"))?;
    match entries.next() {
        Some(_) => Ok(()),
        None => Err(refused("it is empty").hint("unpack a distribution into it first")),
    }
}

/// Opens a root file system.
pub fn open(path: &Path) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty()).context(|| format!("failed to open '{}'", path.display()))
}

/// Fails unless the tree at `path` has an init; its links are followed as the container will.
pub fn require_init(path: &Path) -> Result<()> {
    let tree = open(path)?;
    if INITS.iter().any(|init| is_program(&tree, init)) {
        return Ok(());
    }
    let inits = INITS.map(|init| format!("/{init}")).join(", ");
    Err(Error::new(Kind::NotFound, format!("'{}' has no init, tried {inits}", path.display()))
        .hint("install one, or say what runs instead: 'containerctl create NAME … -- COMMAND'"))
}

fn is_program(tree: &OwnedFd, path: &str) -> bool {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let found = rustix::fs::openat2(tree, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), resolve);
    let stat = found.and_then(rustix::fs::fstat);
    stat.is_ok_and(|stat| {
        FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile && stat.st_mode & 0o111 != 0
    })
}

/// Writes a new file into the tree, in place of what may be there. No link on the way is followed.
pub fn write(tree: &OwnedFd, path: &str, mode: u32, text: &str) -> Result<()> {
    let failed = || format!("failed to write '/{path}' in the new root file system");
    let (parent, name) = path.rsplit_once('/').unwrap_or((".", path));
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let parent = rustix::fs::openat2(tree, parent, flags, Mode::empty(), resolve).context(failed)?;
    match rustix::fs::unlinkat(&parent, name, AtFlags::empty()) {
        Err(Errno::NOENT) => {}
        result => result.context(failed)?,
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(&parent, name, flags, Mode::from_raw_mode(mode)).context(failed)?;
    rustix::fs::fchmod(&file, Mode::from_raw_mode(mode)).context(failed)?;
    File::from(file).write_all(text.as_bytes()).context(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn trees_that_cannot_be_a_root_are_refused_in_a_sentence_each() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::at(dir.path().join("host"));
        fs::create_dir_all(root.store()).unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir(at("empty")).unwrap();
        fs::write(at("file"), "").unwrap();
        symlink(at("empty"), at("link")).unwrap();
        for (path, why) in [
            (at("missing"), "does not exist"),
            (at("empty"), "it is empty"),
            (at("file"), "not a directory"),
            (at("link"), "symbolic link"),
            (at("host"), "own store"),
            ("/".into(), "host's own root"),
            ("tree".into(), "not absolute"),
            ("/a/../b".into(), "not absolute"),
            ("/a\nb".into(), "cannot carry"),
        ] {
            let error = check(&root, &path).expect_err(why);
            assert!(error.message().contains(why), "{error}");
        }
        assert!(check(&root, dir.path().parent().unwrap()).is_err());
    }

    #[test]
    fn an_init_is_found_through_the_trees_own_links_only() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("usr/sbin")).unwrap();
        symlink("/usr/sbin", at("sbin")).unwrap();
        symlink("/bin/sh", at("usr/sbin/init")).unwrap();
        assert_eq!(require_init(dir.path()).unwrap_err().kind(), Kind::NotFound);
        fs::create_dir(at("bin")).unwrap();
        fs::write(at("bin/sh"), "").unwrap();
        assert!(require_init(dir.path()).is_err());
        fs::set_permissions(at("bin/sh"), PermissionsExt::from_mode(0o755)).unwrap();
        require_init(dir.path()).unwrap();
    }

    #[test]
    fn a_file_is_written_in_place_of_a_link_never_through_it() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("marker"), "old").unwrap();
        fs::create_dir(dir.path().join("etc")).unwrap();
        symlink("../marker", dir.path().join("etc/hostname")).unwrap();
        symlink("etc", dir.path().join("lib")).unwrap();
        let tree = open(dir.path()).unwrap();
        write(&tree, "etc/hostname", 0o644, "p1\n").unwrap();
        assert!(write(&tree, "lib/hostname", 0o644, "p1\n").is_err());
        assert_eq!(fs::read_to_string(dir.path().join("marker")).unwrap(), "old");
        assert_eq!(fs::read_to_string(dir.path().join("etc/hostname")).unwrap(), "p1\n");
    }
}
