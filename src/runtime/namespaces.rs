//! The namespaces of a machine that runs, to be entered.

use std::fmt;
use std::os::fd::OwnedFd;
use std::str::FromStr;

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::error::{Context, Error, Result};
use crate::sys::pidfd;

/// A kind of namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Namespace {
    /// Mounts, and with them the root file system.
    #[serde(rename = "mnt")]
    Mount,
    /// Host name.
    Uts,
    /// System V and POSIX interprocess communication.
    Ipc,
    /// Network.
    Net,
    /// Processes.
    Pid,
    /// Users.
    User,
    /// The view of the cgroup tree.
    Cgroup,
}

impl Namespace {
    /// All of them.
    pub const ALL: [Namespace; 7] = [
        Namespace::Mount,
        Namespace::Uts,
        Namespace::Ipc,
        Namespace::Net,
        Namespace::Pid,
        Namespace::User,
        Namespace::Cgroup,
    ];

    /// The name in `/proc/PID/ns`.
    pub fn name(self) -> &'static str {
        match self {
            Namespace::Mount => "mnt",
            Namespace::Uts => "uts",
            Namespace::Ipc => "ipc",
            Namespace::Net => "net",
            Namespace::Pid => "pid",
            Namespace::User => "user",
            Namespace::Cgroup => "cgroup",
        }
    }

    /// Whether `theirs`, a namespace of this kind, is the one that the caller is in.
    pub fn is_ours(self, theirs: &OwnedFd) -> Result<bool, Errno> {
        let theirs = rustix::fs::fstat(theirs)?;
        let ours = rustix::fs::stat(format!("/proc/self/ns/{}", self.name()))?;
        Ok((theirs.st_dev, theirs.st_ino) == (ours.st_dev, ours.st_ino))
    }

    /// `CLONE_NEW*`.
    pub fn flag(self) -> i32 {
        match self {
            Namespace::Mount => libc::CLONE_NEWNS,
            Namespace::Uts => libc::CLONE_NEWUTS,
            Namespace::Ipc => libc::CLONE_NEWIPC,
            Namespace::Net => libc::CLONE_NEWNET,
            Namespace::Pid => libc::CLONE_NEWPID,
            Namespace::User => libc::CLONE_NEWUSER,
            Namespace::Cgroup => libc::CLONE_NEWCGROUP,
        }
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Namespace {
    type Err = Error;

    /// As in `/proc/PID/ns`, or as lxc-attach(1) has them, in any case.
    fn from_str(text: &str) -> Result<Namespace> {
        let lower = text.to_ascii_lowercase();
        let lower = match lower.as_str() {
            "mount" => "mnt",
            "network" => "net",
            "utsname" => "uts",
            other => other,
        };
        Namespace::ALL.into_iter().find(|namespace| namespace.name() == lower).ok_or_else(|| {
            let names = Namespace::ALL.map(Namespace::name).join(", ");
            Error::config(format!("'{}' is no namespace", text.escape_debug()))
                .hint(format!("there are {names}"))
        })
    }
}

/// `CLONE_NEW*` of `namespaces`, but not of the user namespace where `leader` has the host's: joining the one that it
/// is in is an error to the kernel.
pub fn flags(namespaces: &[Namespace], leader: &OwnedFd) -> Result<i32> {
    let failed = || "failed to look at the container's user namespace";
    let theirs = pidfd::user_namespace(leader).context(failed)?;
    let shared = Namespace::User.is_ours(&theirs).context(failed)?;
    let joined = namespaces.iter().filter(|namespace| !(shared && **namespace == Namespace::User));
    Ok(joined.fold(0, |flags, namespace| flags | namespace.flag()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_are_known_by_the_kernels_names_and_by_lxcs() {
        for (text, namespace) in [
            ("mnt", Namespace::Mount),
            ("MOUNT", Namespace::Mount),
            ("NETWORK", Namespace::Net),
            ("pid", Namespace::Pid),
        ] {
            assert_eq!(text.parse::<Namespace>().expect(text), namespace);
        }
        assert!("time".parse::<Namespace>().is_err() && "".parse::<Namespace>().is_err());
    }
}
