//! The payload's part of its scope's cgroup (cgroup delegation: systemd.io/CGROUP_DELEGATION).
//!
//! The scope's own cgroup is systemd's; the payload gets a child of it to be the root of its view.

/// The cgroups of processes that enter.
mod leaf;
/// The cgroups below one.
mod tree;

use std::ffi::CStr;
use std::io::{ErrorKind, Read, Seek};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use nix::poll::{PollFd, PollFlags};
use nix::unistd::{Gid, Uid, chown};
use rustix::fs::{CWD, Mode, OFlags};

use crate::error::{Context, Error, Kind, Result};
use crate::name::MachineName;
use crate::runtime::run_state::Scope;
use crate::runtime::state::State;
use crate::sys::exec::c_string;
use crate::sys::poll::poll;

pub use tree::pids;

/// The mount point of cgroup2 on every supported host.
const MOUNT: &str = "/sys/fs/cgroup";
/// The payload's child of the scope.
const PAYLOAD: &CStr = c"payload";
/// Cgroups that the payload may have in one another, and in all: a systemd in a container in a container is 12 deep, and
/// each of them takes memory of the kernel's.
const LIMITS: [(&str, &str); 2] = [("cgroup.max.depth", "32"), ("cgroup.max.descendants", "4096")];
/// Files that the payload's root owns beside the directory (`/sys/kernel/cgroup/delegate`, systemd's own list).
const DELEGATED: [&str; 5] =
    ["cgroup.procs", "cgroup.threads", "cgroup.subtree_control", "memory.oom.group", "memory.reclaim"];

/// The scope's cgroup.
pub struct Cgroup {
    path: PathBuf,
}

impl Cgroup {
    /// The cgroup of a process that was just placed in a scope, as the kernel tells it; `None` for one that is ending,
    /// which the kernel has left where it was, and which may be our own.
    pub fn of_placed(pid: i32, scope: &str) -> Result<Option<(Cgroup, String)>> {
        let path = format!("/proc/{pid}/cgroup");
        let text = std::fs::read_to_string(&path).context(|| format!("failed to read '{path}'"))?;
        let unified = text.lines().find_map(|line| line.strip_prefix("0::")).ok_or_else(|| {
            Error::new(Kind::Unsupported, "this host has no cgroup2").hint("boot with the unified hierarchy")
        })?;
        let cgroup = Cgroup { path: Path::new(MOUNT).join(unified.trim_start_matches('/')) };
        Ok((cgroup.path.file_name() == Some(scope.as_ref())).then(|| (cgroup, unified.to_string())))
    }

    /// The cgroup that a state names; none before the payload was placed. It is a scope: killing the root would end
    /// everybody, and killing a service ourselves.
    pub fn of(state: &State) -> Option<Cgroup> {
        let below = state.cgroup.trim_matches('/');
        below.ends_with(".scope").then(|| Cgroup { path: Path::new(MOUNT).join(below) })
    }

    /// The cgroup of a machine that runs.
    pub fn require(state: &State, name: &MachineName) -> Result<Cgroup> {
        Cgroup::of(state).ok_or_else(|| Error::failed(format!("container '{name}' has no cgroup")))
    }

    /// Makes the payload's cgroup, moves its leader there and hands it over to the host id `owner`.
    pub fn delegate(&self, leader: i32, owner: u32) -> Result<()> {
        // A predecessor's may be left that systemd could not remove.
        self.remove_payload()?;
        let payload = self.path.join(PAYLOAD.to_str().unwrap_or_default());
        std::fs::create_dir(&payload).context(|| format!("failed to create '{}'", payload.display()))?;
        for (file, limit) in LIMITS {
            write(&payload.join(file), limit)?;
        }
        write(&payload.join("cgroup.procs"), &leader.to_string())?;
        // With the leader out of it the scope's cgroup may hand its controllers on.
        let controllers = std::fs::read_to_string(self.path.join("cgroup.controllers")).unwrap_or_default();
        for controller in controllers.split_whitespace() {
            // One that this kernel ties to something else is not worth a failed start.
            let _ = std::fs::write(self.path.join("cgroup.subtree_control"), format!("+{controller}"));
        }
        let (uid, gid) = (Some(Uid::from_raw(owner)), Some(Gid::from_raw(owner)));
        chown(&payload, uid, gid).context(|| format!("failed to hand over '{}'", payload.display()))?;
        for file in DELEGATED {
            // Not every kernel has each of them.
            let _ = chown(&payload.join(file), uid, gid);
        }
        Ok(())
    }

    /// Removes the payload's cgroup and all below it, also where that is nested deeper than systemd can follow. One that is
    /// not there is fine.
    pub fn remove_payload(&self) -> Result<()> {
        let removed = match self.open() {
            Err(rustix::io::Errno::NOENT) => return Ok(()),
            opened => opened.and_then(|scope| tree::remove(&scope, PAYLOAD)),
        };
        removed.context(|| format!("failed to remove what is left in '{}'", self.path.display()))
    }

    /// Removes it, as [`Cgroup::remove_payload`].
    pub fn remove(&self) -> Result<()> {
        let failed = || format!("failed to remove '{}'", self.path.display());
        let (above, name) =
            self.path.parent().zip(self.path.file_name()).ok_or(rustix::io::Errno::NOENT).context(failed)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let above = rustix::fs::openat(CWD, above, flags, Mode::empty()).context(failed)?;
        tree::remove(&above, &c_string(name.to_os_string())?).context(failed)
    }

    /// Takes an empty leaf away; one that others are in stays.
    pub fn remove_leaf(&self, name: &CStr) {
        let _ = self.open().and_then(|scope| tree::remove(&scope, name));
    }

    /// Kills every process in it, at once and for good (`cgroup.kill`, Linux 5.14). One that is gone is fine.
    pub fn kill(&self) -> Result<()> {
        match std::fs::write(self.path.join("cgroup.kill"), "1") {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            other => other.context(|| format!("failed to kill '{}'", self.path.display())),
        }
    }

    /// The path of the cgroup.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn events(&self) -> String {
        std::fs::read_to_string(self.path.join("cgroup.events")).unwrap_or_default()
    }

    /// Whether there is no process in it.
    pub fn is_empty(&self) -> bool {
        Scope::of_events(&self.events()) == Scope::Gone
    }

    /// Waits, however long it takes, until there is no process in it (cgroups(7), `cgroup.events`).
    pub fn wait_until_empty(&self) -> Result<()> {
        let path = self.path.join("cgroup.events");
        let failed = || format!("failed to watch '{}'", path.display());
        let mut file = match std::fs::File::open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            file => file.context(failed)?,
        };
        loop {
            let mut events = String::new();
            // A cgroup that is removed meanwhile answers ENODEV.
            let read = file.rewind().and_then(|()| file.read_to_string(&mut events));
            if read.is_err() || Scope::of_events(&events) == Scope::Gone {
                return Ok(());
            }
            let mut fds = [PollFd::new(file.as_fd(), PollFlags::POLLPRI)];
            poll(&mut fds, None).context(failed)?;
        }
    }

    /// Whether systemd has taken it away.
    pub fn is_gone(&self) -> bool {
        !self.path.exists()
    }

    /// Whether its processes are frozen.
    pub fn is_frozen(&self) -> bool {
        Scope::of_events(&self.events()) == Scope::Frozen
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).context(|| format!("failed to write '{text}' to '{}'", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_the_root_nor_a_service_is_ever_a_payloads() {
        let of = |cgroup: &str| Cgroup::of(&State { cgroup: cgroup.to_string(), ..State::default() });
        assert!(of("").is_none() && of("/").is_none() && of("/machine.slice/container@p1.service").is_none());
        assert_eq!(
            of("/a.slice/b.scope").expect("a cgroup").path,
            Path::new("/sys/fs/cgroup/a.slice/b.scope")
        );
    }
}
