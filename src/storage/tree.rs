//! A container's tree, touched by file descriptor only.
//!
//! The content may be shaped by an attacker who wants our privileges. So no path string of it ever reaches a
//! call that resolves links on the host: every look-up is openat2(2) held inside the tree, magic links refused.

#![cfg_attr(not(test), deny(clippy::disallowed_methods))]

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::error::{Context, Error, Kind, Result};

/// Retries of a look-up when the kernel saw a concurrent rename (`EAGAIN`, openat2(2)).
const RETRIES: usize = 128;

/// The largest file that we read out of a container.
const READ_LIMIT: usize = 64 * 1024;

/// An open root of a container.
#[derive(Debug)]
pub struct Tree(OwnedFd);

impl Tree {
    /// Opens a root file system at a path of ours; one that somebody names is opened by [`super::host_path`]. The last component must be a directory, no link.
    pub fn open(path: &Path) -> Result<Tree> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(fd) => Ok(Tree(fd)),
            Err(Errno::NOENT) => Err(missing(path)),
            Err(Errno::NOTDIR | Errno::LOOP) => Err(not_a_directory(path)),
            Err(errno) => {
                Err(errno).context(|| format!("failed to open root file system '{}'", path.display()))
            }
        }
    }

    /// Fails where the root file system, which messages call `path`, has nothing in it.
    pub fn require_filled(self, path: &Path) -> Result<Tree> {
        match self.is_empty().context(|| format!("failed to list '{}'", path.display()))? {
            false => Ok(self),
            true => Err(Error::config(format!("root file system '{}' is empty", path.display()))
                .hint("put a system into it, or create the container from a template")),
        }
    }

    /// A tree that is open already.
    pub fn from_fd(fd: OwnedFd) -> Tree {
        Tree(fd)
    }

    /// Resolves `path` as the container would see it: links are followed, but never out of the tree.
    pub fn resolve(&self, path: &str) -> Result<OwnedFd, Errno> {
        self.openat2(path, OFlags::PATH, Links::Inside)
    }

    /// Resolves one of our own mount points, on which no link is tolerated.
    pub fn resolve_strict(&self, path: &str) -> Result<OwnedFd, Errno> {
        self.openat2(path, OFlags::PATH, Links::Refused)
    }

    /// Resolves `path` without a link and without leaving the mount that the tree's root lies on.
    pub fn resolve_own(&self, path: &str) -> Result<OwnedFd, Errno> {
        self.openat2(path, OFlags::PATH, Links::RefusedAndMounts)
    }

    /// Opens a file below a mount of our own, on whose path no link is tolerated.
    pub fn open_strict(&self, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        self.openat2(path, flags, Links::Refused)
    }

    /// The real location of `path` as an absolute path inside; only for executable files and directories.
    pub fn real_path(&self, path: &str) -> Result<String, Errno> {
        let fd = self.resolve(path)?;
        let root = link_of(self.0.as_fd())?;
        let real = link_of(fd.as_fd())?;
        let inside = real.strip_prefix(root.trim_end_matches('/')).ok_or(Errno::XDEV)?;
        Ok(inside.to_string())
    }

    /// The target of the symbolic link at `path`, whose parents hold no link.
    pub fn read_link(&self, path: &str) -> Result<String, Errno> {
        let (directory, name) = split(path).ok_or(Errno::ISDIR)?;
        let parent = self.openat2(directory, OFlags::PATH | OFlags::DIRECTORY, Links::Refused)?;
        let target = rustix::fs::readlinkat(&parent, name, Vec::new())?;
        target.into_string().map_err(|_| Errno::ILSEQ)
    }

    /// Reads a small regular file; never waits on a FIFO or a device, and takes 64 KiB at most.
    pub fn read(&self, path: &str) -> Result<String, Errno> {
        let fd = self.openat2(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY, Links::Inside)?;
        if FileType::from_raw_mode(rustix::fs::fstat(&fd)?.st_mode) != FileType::RegularFile {
            return Err(Errno::INVAL);
        }
        let mut content = vec![0; READ_LIMIT];
        let mut filled = 0;
        while filled < READ_LIMIT {
            match rustix::io::read(&fd, &mut content[filled..])? {
                0 => break,
                n => filled += n,
            }
        }
        content.truncate(filled);
        String::from_utf8(content).map_err(|_| Errno::ILSEQ)
    }

    /// As [`Tree::read`], of what means something else when its end is missing: 64 KiB or more is `EFBIG`.
    pub fn read_whole(&self, path: &str) -> Result<String, Errno> {
        match self.read(path)? {
            text if text.len() >= READ_LIMIT => Err(Errno::FBIG),
            text => Ok(text),
        }
    }

    /// Whether the tree's root holds nothing at all.
    fn is_empty(&self) -> Result<bool, Errno> {
        let dir = self.openat2("/", OFlags::RDONLY | OFlags::DIRECTORY, Links::Refused)?;
        let mut buffer = [std::mem::MaybeUninit::uninit(); 1024];
        let mut entries = rustix::fs::RawDir::new(dir, &mut buffer);
        while let Some(entry) = entries.next() {
            if !matches!(entry?.file_name().to_bytes(), b"." | b"..") {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether `path` is a regular file that may be executed.
    pub fn is_program(&self, path: &str) -> bool {
        let stat = self.resolve(path).and_then(rustix::fs::fstat);
        stat.is_ok_and(|stat| {
            FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile && stat.st_mode & 0o111 != 0
        })
    }

    /// Writes a new file in place of what may be there, never through a link nor into a mount.
    pub fn replace_file(&self, path: &str, mode: u32, text: &str) -> Result<()> {
        self.replace(path, Mode::from_raw_mode(mode), text)
            .context(|| format!("failed to write '{path}' in the new root file system"))
    }

    fn replace(&self, path: &str, mode: Mode, text: &str) -> std::io::Result<()> {
        let (dir, name) = split(path).ok_or(Errno::ISDIR)?;
        let parent = self.openat2(dir, OFlags::PATH | OFlags::DIRECTORY, Links::RefusedAndMounts)?;
        match rustix::fs::unlinkat(&parent, name, AtFlags::empty()) {
            Err(Errno::NOENT) => {}
            result => result?,
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&parent, name, flags, mode)?;
        rustix::fs::fchmod(&file, mode)?;
        File::from(file).write_all(text.as_bytes())
    }

    /// Opens the directory `path`, creating what is missing of it.
    pub fn make_dir(&self, path: &str, mode: u32) -> Result<OwnedFd, Errno> {
        let mut parent = self.openat2("/", OFlags::PATH | OFlags::DIRECTORY, Links::Refused)?;
        let mut prefix = String::new();
        for part in path.split('/').filter(|part| !part.is_empty()) {
            prefix.push('/');
            prefix.push_str(part);
            let flags = OFlags::PATH | OFlags::DIRECTORY;
            parent = match self.openat2(&prefix, flags, Links::Inside) {
                Err(Errno::NOENT) => {
                    match rustix::fs::mkdirat(&parent, part, Mode::from_raw_mode(mode)) {
                        Ok(()) | Err(Errno::EXIST) => {}
                        Err(errno) => return Err(errno),
                    }
                    self.openat2(&prefix, flags, Links::Inside)?
                }
                other => other?,
            };
        }
        Ok(parent)
    }

    /// Opens the file `path` as a mount point, creating an empty one and its directories where missing.
    pub fn make_file(&self, path: &str, mode: u32) -> Result<OwnedFd, Errno> {
        match self.resolve(path) {
            Err(Errno::NOENT) => {}
            other => return other,
        }
        let (dir, name) = split(path).ok_or(Errno::ISDIR)?;
        let parent = self.make_dir(dir, 0o755)?;
        match rustix::fs::mknodat(&parent, name, FileType::RegularFile, Mode::from_raw_mode(mode), 0) {
            Ok(()) | Err(Errno::EXIST) => self.resolve(path),
            Err(errno) => Err(errno),
        }
    }

    /// Makes a device node in a directory that we mounted ourselves, owned by `owner`.
    pub fn make_node(&self, path: &str, node: Node, owner: u32) -> Result<(), Errno> {
        let (dir, name) = split(path).ok_or(Errno::ISDIR)?;
        let parent = self.resolve_strict(dir)?;
        match rustix::fs::mknodat(&parent, name, node.kind, Mode::from_raw_mode(node.mode), node.number) {
            // One of the standard nodes, asked for once more.
            Err(Errno::EXIST) => Ok(()),
            other => other.and_then(|()| own(parent.as_fd(), name, owner)),
        }
    }

    /// Makes a symbolic link in a directory that we mounted ourselves, owned by `owner`.
    pub fn make_symlink(&self, path: &str, target: &str, owner: u32) -> Result<(), Errno> {
        let (dir, name) = split(path).ok_or(Errno::ISDIR)?;
        let parent = self.resolve_strict(dir)?;
        rustix::fs::symlinkat(target, &parent, name)?;
        own(parent.as_fd(), name, owner)
    }

    fn openat2(&self, path: &str, flags: OFlags, links: Links) -> Result<OwnedFd, Errno> {
        let resolve = match links {
            Links::Inside => ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS,
            Links::Refused => ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS,
            Links::RefusedAndMounts => {
                ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV
            }
        };
        for _ in 0..RETRIES {
            match rustix::fs::openat2(&self.0, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
                Err(Errno::AGAIN | Errno::INTR) => continue,
                other => return other,
            }
        }
        Err(Errno::AGAIN)
    }
}

impl AsFd for Tree {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A device node to be made.
#[derive(Clone, Copy, Debug)]
pub struct Node {
    /// Block or character device.
    pub kind: FileType,
    /// Permission bits.
    pub mode: u32,
    /// Major and minor number (makedev(3)).
    pub number: u64,
}

/// The treatment of symbolic links during a look-up.
enum Links {
    /// Followed, with the tree's root as `/`.
    Inside,
    /// An error.
    Refused,
    /// An error, as is a mount point.
    RefusedAndMounts,
}

/// The error of a root file system that is not there.
pub(super) fn missing(path: &Path) -> Error {
    Error::new(Kind::NotFound, format!("root file system '{}' does not exist", path.display()))
}

/// Why `path` is no root; what it is instead is looked up for the sentence alone.
pub(super) fn not_a_directory(path: &Path) -> Error {
    let shown = path.display();
    match rustix::fs::readlink(path, Vec::new()) {
        Ok(_) => Error::config(format!("root file system '{shown}' is a symbolic link"))
            .hint("name the directory that it points to"),
        Err(_) => Error::config(format!("root file system '{shown}' is not a directory")),
    }
}

/// Directory and last component of an absolute path; none for `/`.
fn split(path: &str) -> Option<(&str, &str)> {
    let (dir, name) = path.trim_end_matches('/').rsplit_once('/')?;
    Some((if dir.is_empty() { "/" } else { dir }, name))
}

fn own(parent: BorrowedFd, name: &str, owner: u32) -> Result<(), Errno> {
    let (uid, gid) = (rustix::fs::Uid::from_raw(owner), rustix::fs::Gid::from_raw(owner));
    rustix::fs::chownat(parent, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
}

/// The kernel's own name of an open file; used to compare two of ours, never to open anything.
fn link_of(fd: BorrowedFd) -> Result<String, Errno> {
    let link = rustix::fs::readlink(format!("/proc/self/fd/{}", fd.as_raw_fd()), Vec::new())?;
    link.into_string().map_err(|_| Errno::ILSEQ)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn tree() -> (tempfile::TempDir, Tree) {
        let dir = tempfile::tempdir().expect("tempdir");
        let tree = Tree::open(dir.path()).expect("open");
        (dir, tree)
    }

    #[test]
    fn links_never_lead_out_of_the_tree() {
        let (dir, tree) = tree();
        std::fs::create_dir_all(dir.path().join("etc")).expect("mkdir");
        std::fs::write(dir.path().join("etc/passwd"), "inside").expect("write");
        symlink("/etc/passwd", dir.path().join("absolute")).expect("symlink");
        symlink("../../../../etc/passwd", dir.path().join("relative")).expect("symlink");
        assert_eq!(tree.read("/absolute").expect("read"), "inside");
        assert_eq!(tree.read("/relative").expect("read"), "inside");
    }

    #[test]
    fn magic_links_are_refused() {
        let (dir, tree) = tree();
        symlink("/proc/self/root", dir.path().join("x")).expect("symlink");
        assert!(tree.resolve("/x/etc").is_err());
    }

    #[test]
    fn our_own_mount_points_tolerate_no_link() {
        let (dir, tree) = tree();
        std::fs::create_dir(dir.path().join("real")).expect("mkdir");
        symlink("real", dir.path().join("proc")).expect("symlink");
        assert_eq!(tree.resolve_strict("/proc").expect_err("link"), Errno::LOOP);
    }

    #[test]
    fn reading_never_waits_on_a_fifo() {
        let (dir, tree) = tree();
        nix::unistd::mkfifo(&dir.path().join("os-release"), nix::sys::stat::Mode::S_IRWXU).expect("mkfifo");
        assert!(tree.read("/os-release").is_err());
    }

    #[test]
    fn a_file_or_a_link_is_no_root() {
        let dir = tempfile::tempdir().expect("tempdir");
        std::fs::write(dir.path().join("file"), "").expect("write");
        symlink("/", dir.path().join("link")).expect("symlink");
        for (name, kind) in [("file", Kind::Config), ("link", Kind::Config), ("none", Kind::NotFound)] {
            assert_eq!(Tree::open(&dir.path().join(name)).expect_err(name).kind(), kind);
        }
    }

    #[test]
    fn a_file_is_written_in_place_of_a_link_never_through_it() {
        let (dir, tree) = tree();
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("marker"), "old").expect("write");
        std::fs::create_dir(at("etc")).expect("mkdir");
        symlink("../marker", at("etc/hostname")).expect("symlink");
        symlink("etc", at("lib")).expect("symlink");
        tree.replace_file("/etc/hostname", 0o644, "p1\n").expect("replace");
        assert!(tree.replace_file("/lib/hostname", 0o644, "p1\n").is_err());
        assert_eq!(std::fs::read_to_string(at("marker")).expect("read"), "old");
        assert_eq!(std::fs::read_to_string(at("etc/hostname")).expect("read"), "p1\n");
    }

    #[test]
    fn missing_directories_are_made_below_links_that_stay_inside() {
        let (dir, tree) = tree();
        std::fs::create_dir(dir.path().join("run")).expect("mkdir");
        symlink("/run", dir.path().join("var-run")).expect("symlink");
        tree.make_dir("/var-run/a/b", 0o755).expect("make");
        assert!(dir.path().join("run/a/b").is_dir());
        tree.make_file("/var-run/c/file", 0o644).expect("make");
        assert!(dir.path().join("run/c/file").is_file());
    }
}
