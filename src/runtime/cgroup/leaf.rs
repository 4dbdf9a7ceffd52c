//! The cgroups that processes are cloned into which enter a container (clone3(2), `CLONE_INTO_CGROUP`).
//!
//! ```text
//! machine-p1.scope
//!  ├─ payload/                the container's root
//!  │    └─ .containerctl/       from here its own service manager may move a process into a session or a scope
//!  └─ attached/               where that one cannot be had
//! ```
//! The first lies in the part that was handed over, so that the kernel lets the container's root move a process from there
//! to another place in that part; no unit of systemd's can have its name. The container may also have removed it, or made
//! it useless: then the second is taken, which no container reaches. The limits hold for both.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use rustix::fs::{AtFlags, CWD, Gid, Mode, OFlags, Uid};

use super::tree::{descend, read};
use super::{Cgroup, MOUNT, PAYLOAD};
use crate::error::{Context, Error, Kind, Result};
use crate::name::MachineName;
use crate::sys::{mount, to_errno};

/// `CGROUP2_SUPER_MAGIC` (linux/magic.h).
const CGROUP2: u64 = 0x6367_7270;
/// Below the payload's cgroup.
const INSIDE: &CStr = c".containerctl";
/// Beside the payload's cgroup.
const BESIDE: &CStr = c"attached";

impl Cgroup {
    /// Has a process cloned into a cgroup for what enters; `owner` is the host id of the container's root. Errors are
    /// `Busy` where the container has no room for a process.
    pub fn enter<T>(
        &self,
        name: &MachineName,
        owner: u32,
        clone: impl Fn(BorrowedFd) -> std::result::Result<T, Errno>,
    ) -> Result<T> {
        // Where it is removed, frozen or no longer a place for processes, the container has brought it about.
        match self.inside(owner).ok().map(|leaf| clone(leaf.as_fd())) {
            Some(Ok(done)) => return Ok(done),
            Some(Err(Errno::EAGAIN)) => return Err(self.no_room(name)),
            Some(Err(_)) | None => {}
        }
        let leaf = self.leaf(BESIDE)?;
        match clone(leaf.as_fd()) {
            Err(Errno::EAGAIN) => Err(self.no_room(name)),
            done => done.context(|| format!("failed to clone a process into the cgroup of '{name}'")),
        }
    }

    /// A cgroup of this name beside the payload's, made where it is missing.
    pub fn leaf(&self, name: &CStr) -> Result<OwnedFd> {
        let failed = || format!("failed to make a cgroup in '{}'", self.path.display());
        let scope = self.open().context(failed)?;
        make(&scope, name).context(failed)
    }

    /// The error of a container whose tasks are used up, or those of a slice above it.
    pub fn no_room(&self, name: &MachineName) -> Error {
        let what = format!("container '{name}' has no room for another process");
        match self.used_up() {
            Some((unit, limit)) if unit == name.slice() => {
                Error::new(Kind::Busy, format!("{what}: TasksMax= of {limit} is used up"))
                    .hint(format!("raise it with 'containerctl limit {name} TasksMax=…'"))
            }
            Some((unit, limit)) => {
                Error::new(Kind::Busy, format!("{what}: TasksMax= of {limit} of '{unit}' is used up"))
                    .hint(format!("raise it with 'systemctl set-property {unit} TasksMax=…'"))
            }
            None => Error::new(Kind::Busy, what)
                .hint("the host may have used up its own: see 'sysctl kernel.pid_max kernel.threads-max'"),
        }
    }

    /// The unit whose number of tasks is used up, and that number.
    fn used_up(&self) -> Option<(String, u64)> {
        let below = |path: &&Path| path.starts_with(MOUNT) && *path != Path::new(MOUNT);
        self.path.ancestors().take_while(below).find_map(|path| {
            let number = |file| std::fs::read_to_string(path.join(file)).ok()?.trim().parse::<u64>().ok();
            let (limit, used) = (number("pids.max")?, number("pids.current")?);
            (used >= limit)
                .then(|| (path.file_name().unwrap_or_default().to_string_lossy().into_owned(), limit))
        })
    }

    /// The cgroup below the payload's. It belongs to the container's root, but not what is in it: one whose files the container
    /// owns was made by the container.
    fn inside(&self, owner: u32) -> rustix::io::Result<OwnedFd> {
        let payload = descend(&self.open()?, PAYLOAD)?;
        let leaf = make(&payload, INSIDE)?;
        let freezer = rustix::fs::statat(&leaf, c"cgroup.freeze", AtFlags::SYMLINK_NOFOLLOW)?;
        let is_ours = mount::magic(&leaf).map_err(to_errno)? == CGROUP2 && freezer.st_uid == 0;
        let is_frozen = read(&leaf, c"cgroup.events").lines().any(|line| line == "frozen 1");
        if !is_ours || is_frozen {
            return Err(rustix::io::Errno::BUSY);
        }
        rustix::fs::fchown(&leaf, Some(Uid::from_raw(owner)), Some(Gid::from_raw(owner)))?;
        Ok(leaf)
    }

    /// Opens the directory of the leaf.
    pub(super) fn open(&self) -> rustix::io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(CWD, &self.path, flags, Mode::empty())
    }
}

/// Opens a cgroup in another one, made where it is missing.
fn make(above: &OwnedFd, name: &CStr) -> rustix::io::Result<OwnedFd> {
    match rustix::fs::mkdirat(above, name, Mode::from_raw_mode(0o755)) {
        Ok(()) | Err(rustix::io::Errno::EXIST) => descend(above, name),
        Err(errno) => Err(errno),
    }
}
