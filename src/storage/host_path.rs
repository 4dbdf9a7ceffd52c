//! Paths of the host that a definition, a verb or the bus names, opened so that only root decides where they lead.
//!
//! A path without a symbolic link leads where it says. A link is followed only where it is root's word: every
//! directory that was passed up to it belongs to root, and neither a user nor a container can write it. A container
//! counts from its definition on, whether it runs or not: it can write below its root file system and below what is
//! bound into it writable. What was opened is used by its descriptor from then on, never by the path again.

use std::cell::OnceCell;
use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use super::tree::{self, Tree};
use crate::config;
use crate::config::settings::{CustomMount, Settings};
use crate::error::{Cause, Error, Result};
use crate::name::MachineName;
use crate::paths::Root;
use crate::sys::mount;

/// Retries of a look-up when the kernel saw a concurrent rename (`EAGAIN`, openat2(2)).
const RETRIES: usize = 128;
/// The number of symbolic links that a path may have, as path_resolution(7) has it.
const LINKS: usize = 40;
/// `FUSE_SUPER_MAGIC` (linux/magic.h).
const FUSE: u64 = 0x6573_5546;
/// `PROC_SUPER_MAGIC` (linux/magic.h).
const PROC: u64 = 0x9fa0;

/// Opens paths of the host. The definitions are read once, and only if a link is met.
pub struct HostPaths {
    root: Root,
    /// The beginning of absolute paths: `/`.
    top: PathBuf,
    written: OnceCell<Vec<Written>>,
}

/// A directory below which a container can write.
struct Written {
    by: MachineName,
    place: Place,
}

/// Device and inode.
type Place = (u64, u64);

/// Why a path was not opened.
#[derive(Debug)]
pub enum Fault {
    /// The kernel's refusal.
    Errno(Errno),
    /// A link on the way that somebody else than root may have made.
    Link {
        /// The link.
        link: PathBuf,
        /// The directory, on the way to the link, that somebody else can write.
        directory: PathBuf,
        /// The user or container that can write it, as text.
        writer: String,
    },
}

impl From<Errno> for Fault {
    fn from(errno: Errno) -> Fault {
        Fault::Errno(errno)
    }
}

impl Cause for Fault {
    fn cause(&self) -> String {
        match self {
            Fault::Errno(errno) => errno.cause(),
            Fault::Link { link, directory, writer } => format!(
                "'{}' is a symbolic link, and {writer} can write '{}'",
                link.display(),
                directory.display()
            ),
        }
    }
}

impl Fault {
    /// The kernel's number of it: `ELOOP` where it is ours.
    pub fn errno(&self) -> nix::errno::Errno {
        match self {
            Fault::Errno(errno) => nix::errno::Errno::from_raw(errno.raw_os_error()),
            Fault::Link { .. } => nix::errno::Errno::ELOOP,
        }
    }

    /// The error of an operation, which reads like `failed to open '/etc/x'`.
    pub fn of(self, operation: impl Into<String>) -> Error {
        let told = format!("{}: {}", operation.into(), self.cause());
        match self {
            Fault::Errno(_) => Error::failed(told),
            Fault::Link { .. } => Error::config(told).hint("name the place itself, without a link"),
        }
    }
}

impl HostPaths {
    /// For the containers that are defined below `root`.
    pub fn new(root: &Root) -> HostPaths {
        HostPaths { root: root.clone(), top: PathBuf::from("/"), written: OnceCell::new() }
    }

    /// Opens `path`, of whatever type it is, as a mere place (`O_PATH`).
    pub fn open(&self, path: &Path) -> Result<OwnedFd, Fault> {
        self.resolve(path, LastLink::Followed)
    }

    /// Opens the root file system at `path`, whose last component must be a directory, no link.
    pub fn tree(&self, path: &Path) -> Result<Tree> {
        match self.resolve(path, LastLink::Refused).and_then(|fd| Ok((is_directory(&fd)?, fd))) {
            Ok((true, fd)) => Ok(Tree::from_fd(fd)),
            Ok((false, _)) | Err(Fault::Errno(Errno::NOTDIR | Errno::LOOP)) => {
                Err(tree::not_a_directory(path))
            }
            Err(Fault::Errno(Errno::NOENT)) => Err(tree::missing(path)),
            Err(fault) => Err(fault.of(format!("failed to open root file system '{}'", path.display()))),
        }
    }

    /// Opens a regular file for reading; a FIFO or a device is never waited for.
    pub fn file(&self, path: &Path) -> Result<File, Fault> {
        let place = self.open(path)?;
        match kind_of(&rustix::fs::fstat(&place)?) {
            FileType::RegularFile => Ok(File::from(reopen(&place, OFlags::RDONLY)?)),
            FileType::Directory => Err(Errno::ISDIR.into()),
            _ => Err(Errno::INVAL.into()),
        }
    }

    /// Opens a namespace: a file that one is mounted on, or one of procfs.
    pub fn namespace(&self, path: &Path) -> Result<OwnedFd, Fault> {
        let of_process = || {
            let (parent, name) = (self.open(path.parent()?).ok()?, path.file_name()?);
            let in_proc = mount::magic(&parent).is_ok_and(|magic| magic == PROC);
            in_proc
                .then(|| rustix::fs::openat(&parent, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()))
        };
        match of_process() {
            Some(opened) => Ok(opened?),
            None => Ok(reopen(&self.open(path)?, OFlags::RDONLY | OFlags::NONBLOCK)?),
        }
    }

    fn resolve(&self, path: &Path, last: LastLink) -> Result<OwnedFd, Fault> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let top = rustix::fs::open(&self.top, flags, Mode::empty())?;
        match open_without_links(&top, path.strip_prefix("/").unwrap_or(path).as_os_str()) {
            Err(Errno::LOOP) => Walk::new(self, top)?.to(path, last),
            opened => Ok(opened?),
        }
    }

    /// The user or container beside root that can write the directory, as the subject of a sentence.
    fn writer(&self, directory: &Passed) -> Option<String> {
        let Stat { st_uid: uid, st_gid: gid, st_mode: mode, .. } = directory.stat;
        let by_group = mode & 0o020 != 0;
        match () {
            () if uid != 0 => Some(format!("user {uid}")),
            () if mode & 0o002 != 0 => Some("everybody".to_string()),
            () if by_group && gid != 0 => Some(format!("group {gid}")),
            () if by_group && directory.has_acl => Some("whom its access control list names".to_string()),
            () if directory.magic == Some(FUSE) => Some("the program behind it".to_string()),
            () => self.container(place_of(&directory.stat)).map(|name| format!("container '{name}'")),
        }
    }

    fn container(&self, place: Place) -> Option<&MachineName> {
        let written = self.written.get_or_init(|| written(&self.root));
        written.iter().find(|written| written.place == place).map(|written| &written.by)
    }
}

/// The treatment of a symbolic link at the end of a path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum LastLink {
    Followed,
    Refused,
}

/// A directory on the way.
struct Passed {
    path: PathBuf,
    stat: Stat,
    has_acl: bool,
    magic: Option<u64>,
}

/// A look-up component by component, of a path with links.
struct Walk<'a> {
    paths: &'a HostPaths,
    top: OwnedFd,
    at: OwnedFd,
    /// The path of `at` without symbolic links.
    path: PathBuf,
    passed: Vec<Passed>,
    links: usize,
}

impl<'a> Walk<'a> {
    fn new(paths: &'a HostPaths, top: OwnedFd) -> Result<Walk<'a>, Errno> {
        let at = top.try_clone().map_err(|_| Errno::MFILE)?;
        Ok(Walk { paths, top, at, path: PathBuf::from("/"), passed: Vec::new(), links: 0 })
    }

    fn to(mut self, path: &Path, last: LastLink) -> Result<OwnedFd, Fault> {
        let mut way = parts(path);
        while let Some(part) = way.pop_front() {
            self.pass()?;
            match self.step(&part) {
                Err(Errno::LOOP) if way.is_empty() && last == LastLink::Refused => {
                    return Err(Errno::LOOP.into());
                }
                Err(Errno::LOOP) => {
                    let target = self.link(&part)?;
                    parts(&target).into_iter().rev().for_each(|part| way.push_front(part));
                }
                taken => taken?,
            }
        }
        Ok(self.at)
    }

    /// Takes note of the directory that the next part is looked up in.
    fn pass(&mut self) -> Result<(), Errno> {
        let stat = rustix::fs::fstat(&self.at)?;
        let has_acl = stat.st_mode & 0o020 != 0 && has_acl(self.at.as_fd());
        let magic = mount::magic(&self.at).ok();
        self.passed.push(Passed { path: self.path.clone(), stat, has_acl, magic });
        Ok(())
    }

    fn step(&mut self, part: &OsStr) -> Result<(), Errno> {
        if part == ".." {
            if self.path.pop() {
                let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
                self.at = rustix::fs::openat(&self.at, "..", flags, Mode::empty())?;
            }
            return Ok(());
        }
        self.at = open_without_links(&self.at, part)?;
        self.path.push(part);
        Ok(())
    }

    /// Reads a link, if all that was passed up to it is root's; goes back to the top where it is absolute.
    fn link(&mut self, part: &OsStr) -> Result<PathBuf, Fault> {
        let whose = |passed: &Passed| self.paths.writer(passed).map(|writer| (passed.path.clone(), writer));
        if let Some((directory, writer)) = self.passed.iter().find_map(whose) {
            return Err(Fault::Link { link: self.path.join(part), directory, writer });
        }
        self.links += 1;
        if self.links > LINKS || self.is_magic(part) {
            return Err(Errno::LOOP.into());
        }
        let target = rustix::fs::readlinkat(&self.at, part, Vec::new())?;
        let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
        if target.is_absolute() {
            self.at = self.top.try_clone().map_err(|_| Errno::MFILE)?;
            self.path = PathBuf::from("/");
        }
        Ok(target)
    }

    /// Whether it is a link of procfs that leads to what some process has open (`RESOLVE_NO_MAGICLINKS`, openat2(2)).
    fn is_magic(&self, part: &OsStr) -> bool {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let opened = rustix::fs::openat2(&self.at, part, flags, Mode::empty(), ResolveFlags::NO_MAGICLINKS);
        self.passed.last().is_some_and(|passed| passed.magic == Some(PROC))
            && matches!(opened, Err(Errno::LOOP))
    }
}

/// Opens a directory, or what else is there, below `directory` and through no link. A directory is asked for first, as that has automount points mounted.
pub(super) fn open_without_links(directory: &OwnedFd, path: &OsStr) -> Result<OwnedFd, Errno> {
    let path = if path.is_empty() { OsStr::new(".") } else { path };
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS;
    let open = |flags| {
        for _ in 0..RETRIES {
            match rustix::fs::openat2(directory, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                opened => return opened,
            }
        }
        Err(Errno::AGAIN)
    };
    match open(OFlags::PATH | OFlags::DIRECTORY) {
        Err(Errno::NOTDIR) => open(OFlags::PATH),
        opened => opened,
    }
}

/// The parts of a path that say something.
fn parts(path: &Path) -> VecDeque<OsString> {
    let said = |part: Component| match part {
        Component::Normal(name) => Some(name.to_os_string()),
        Component::ParentDir => Some(OsString::from("..")),
        _ => None,
    };
    path.components().filter_map(said).collect()
}

/// Opens what a place is, by its descriptor.
fn reopen(place: &OwnedFd, flags: OFlags) -> Result<OwnedFd, Errno> {
    let flags = flags | OFlags::NOCTTY | OFlags::CLOEXEC;
    rustix::fs::open(fd_path(place.as_fd()), flags, Mode::empty())
}

/// A name of an open place for calls that take nothing but a path.
pub fn fd_path(place: BorrowedFd) -> String {
    format!("/proc/self/fd/{}", place.as_raw_fd())
}

/// Whether the directory has an access control list beyond its mode (acl(5)).
pub(super) fn has_acl(directory: BorrowedFd) -> bool {
    rustix::fs::getxattr(fd_path(directory), "system.posix_acl_access", &mut [0u8; 0])
        .is_ok_and(|length| length > 0)
}

/// Whether an open place is a directory.
pub(super) fn is_directory(place: impl AsFd) -> Result<bool, Errno> {
    Ok(kind_of(&rustix::fs::fstat(place)?) == FileType::Directory)
}

fn kind_of(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

fn place_of(stat: &Stat) -> Place {
    (stat.st_dev, stat.st_ino)
}

/// Below what the defined containers can write. Of one whose definition is broken only its place in the store is known.
fn written(root: &Root) -> Vec<Written> {
    let mut written = Vec::new();
    for name in config::names(root) {
        let paths = config::load(root, &name).map_or_else(
            |_| vec![root.rootfs(&name)],
            |definition| writable(root, &name, &definition.settings),
        );
        // Links are followed here: at worst more counts as written than is.
        let places = paths.iter().filter_map(|path| rustix::fs::stat(path).ok());
        written.extend(places.map(|stat| Written { by: name.clone(), place: place_of(&stat) }));
    }
    written
}

fn writable(root: &Root, name: &MachineName, settings: &Settings) -> Vec<PathBuf> {
    let bound = settings.files.mounts.iter().filter_map(|mount| match mount {
        CustomMount::Bind { source, read_only: false, .. } => Some(source.clone()),
        _ => None,
    });
    bound.chain([super::locate(root, name, settings)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::io::Read;
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    /// A host whose `/` is a directory of root's; none where the tests are not root's.
    fn host(test: &str) -> Option<(tempfile::TempDir, HostPaths)> {
        if !rustix::process::geteuid().is_root() {
            eprintln!("SKIPPED {test}: files of several owners need root");
            return None;
        }
        let dir = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).expect("directory");
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).expect("mode");
        for path in ["etc", "srv/vol/data", "home/ann", "etc/containerctl"] {
            fs::create_dir_all(dir.path().join(path)).expect("directory");
        }
        fs::write(dir.path().join("etc/file"), "root's").expect("file");
        let root = Root::at(dir.path());
        let paths = HostPaths { top: dir.path().to_path_buf(), ..HostPaths::new(&root) };
        Some((dir, paths))
    }

    fn read(paths: &HostPaths, path: &str) -> Result<String, String> {
        let mut text = String::new();
        paths
            .file(path.as_ref())
            .map_err(|fault| fault.cause())
            .map(|mut file| file.read_to_string(&mut text).expect("read"))?;
        Ok(text)
    }

    #[test]
    fn sec_3_links_that_are_roots_lead_on() {
        let Some((dir, paths)) = host("sec_3_links_that_are_roots_lead_on") else { return };
        symlink("/etc", dir.path().join("srv/config")).expect("link");
        symlink("../srv/./config", dir.path().join("etc/loop")).expect("link");
        symlink("itself", dir.path().join("itself")).expect("link");
        for path in ["/etc/file", "/srv/config/file", "/etc/loop/file", "/srv/../etc/file", "/../etc/file"] {
            assert_eq!(read(&paths, path).as_deref(), Ok("root's"), "{path}");
        }
        assert!(matches!(paths.open("/itself".as_ref()), Err(Fault::Errno(Errno::LOOP))));
        assert!(matches!(paths.open("/none/x".as_ref()), Err(Fault::Errno(Errno::NOENT))));
        let link = paths.tree("/srv/config".as_ref()).expect_err("a root is no link");
        assert!(link.message().contains("symbolic link") || link.message().contains("not a directory"));
    }

    #[test]
    fn sec_3_links_that_others_may_have_made_are_refused() {
        let Some((dir, paths)) = host("sec_3_links_that_others_may_have_made_are_refused") else { return };
        let at = |path: &str| dir.path().join(path);
        let told = |directory: &str, writer: &str| {
            Err(format!("'{directory}/link' is a symbolic link, and {writer} can write '{directory}'"))
        };
        symlink("/etc/file", at("srv/vol/link")).expect("link");
        assert_eq!(read(&paths, "/srv/vol/link").as_deref(), Ok("root's"));
        let mode = |mode| fs::set_permissions(at("srv/vol"), Permissions::from_mode(mode)).expect("mode");
        mode(0o1777);
        assert_eq!(read(&paths, "/srv/vol/link"), told("/srv/vol", "everybody"));
        mode(0o770);
        assert_eq!(read(&paths, "/srv/vol/link").as_deref(), Ok("root's"));
        chown(at("srv/vol"), None, Some(4)).expect("chown");
        assert_eq!(read(&paths, "/srv/vol/link"), told("/srv/vol", "group 4"));
        chown(at("srv/vol"), Some(1000), None).expect("chown");
        assert_eq!(read(&paths, "/srv/vol/link"), told("/srv/vol", "user 1000"));
        // Through a link of root's, the same; and it is not forgotten below.
        symlink("vol", at("srv/alias")).expect("link");
        assert_eq!(read(&paths, "/srv/alias/link"), told("/srv/vol", "user 1000"));
        symlink("/etc", at("srv/vol/data/link")).expect("link");
        assert_eq!(
            read(&paths, "/srv/vol/data/link/file").unwrap_err(),
            "'/srv/vol/data/link' is a symbolic link, and user 1000 can write '/srv/vol'"
        );
    }

    #[test]
    fn sec_3_what_a_defined_container_can_write_has_no_links() {
        let Some((dir, paths)) = host("sec_3_what_a_defined_container_can_write_has_no_links") else {
            return;
        };
        symlink("/etc/file", dir.path().join("srv/vol/data/link")).expect("link");
        let volume = dir.path().join("srv/vol");
        let define =
            |text: &str| fs::write(dir.path().join("etc/containerctl/a.conf"), text).expect("written");
        let read = || {
            let fresh = HostPaths { top: paths.top.clone(), ..HostPaths::new(&paths.root) };
            read(&fresh, "/srv/vol/data/link")
        };
        define(&format!("[Files]\nBindReadOnly={}:/vol\n", volume.display()));
        assert_eq!(read().as_deref(), Ok("root's"));
        let told = "'/srv/vol/data/link' is a symbolic link, and container 'a' can write '/srv/vol'";
        define(&format!("[Files]\nBind={}:/vol:idmap\n", volume.display()));
        assert_eq!(read(), Err(told.to_string()));
        define(&format!("[Files]\nRootDirectory={}\n", volume.display()));
        assert_eq!(read(), Err(told.to_string()));
    }

    #[test]
    fn what_processes_have_open_is_no_path() {
        let paths = HostPaths::new(&Root::at("/none"));
        let cwd = paths.open("/proc/self/cwd".as_ref()).expect_err("magic");
        assert_eq!(cwd.errno(), nix::errno::Errno::ELOOP);
        assert!(paths.namespace("/proc/self/ns/net".as_ref()).is_ok());
    }

    #[test]
    fn reading_never_waits_on_a_fifo() {
        let dir = tempfile::tempdir().expect("directory");
        let fifo = dir.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).expect("mkfifo");
        assert!(HostPaths::new(&Root::at("/none")).file(&fifo).is_err());
    }
}
