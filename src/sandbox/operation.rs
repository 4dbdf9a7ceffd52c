//! One mount operation of a plan, and how it is told.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use crate::sandbox::survey::DeviceKind;

/// One mount operation. Targets are absolute inside, sources absolute on the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "operation", rename_all = "kebab-case")]
pub enum Operation {
    /// The root file system: a detached, idmapped copy of the tree becomes `/`.
    Root {
        /// The tree on the host.
        source: PathBuf,
        /// Mounted read-only.
        read_only: bool,
        /// Writes go to a tmpfs over it, which ends with the container.
        ephemeral: bool,
        /// Ids mapped by the container's user namespace.
        idmap: bool,
    },
    /// A new file system on a directory.
    Mount {
        /// The kernel's name of the type.
        filesystem: &'static str,
        /// The path inside.
        target: String,
        /// Options of the file system itself.
        options: Vec<(String, String)>,
        /// `ro`, `nosuid`, `nodev`, `noexec`.
        attributes: Attributes,
    },
    /// Wait until the leader sits in its cgroup; what follows shows it.
    AwaitPlacement,
    /// A directory.
    Directory {
        /// The path inside.
        target: String,
        /// Permission bits.
        mode: u32,
    },
    /// A symbolic link.
    Symlink {
        /// The path inside.
        target: String,
        /// The target of the link.
        to: String,
    },
    /// A device node.
    Node {
        /// The path inside.
        target: String,
        /// Block or character.
        kind: DeviceKind,
        /// Permission bits.
        mode: u32,
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A pseudo terminal of the container's own devpts; its master stays with the supervisor.
    Terminal {
        /// The number that it has there.
        number: u32,
        /// A further path inside.
        target: Option<String>,
    },
    /// Part of the host's tree.
    Bind {
        /// The file or directory on the host.
        source: PathBuf,
        /// The path inside.
        target: String,
        /// With the mounts below it.
        recursive: bool,
        /// Ids mapped by the container's user namespace.
        idmap: bool,
        /// A missing source is passed over.
        optional: bool,
        /// `ro`, `nosuid`, `nodev`, `noexec`.
        attributes: Attributes,
    },
    /// Something unreadable in place of what is there, if anything is.
    Mask {
        /// The path inside.
        target: String,
    },
    /// Makes a path read-only where it exists.
    ReadOnly {
        /// The path inside.
        target: String,
    },
    /// The writable original of a part below something that was made read-only.
    Writable {
        /// The path inside.
        target: String,
    },
}

/// Attributes of a mount, as `MOUNT_ATTR_*` bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes(pub u64);

impl Attributes {
    const NAMES: [(u64, &'static str); 4] = [
        (libc::MOUNT_ATTR_RDONLY, "ro"),
        (libc::MOUNT_ATTR_NOSUID, "nosuid"),
        (libc::MOUNT_ATTR_NODEV, "nodev"),
        (libc::MOUNT_ATTR_NOEXEC, "noexec"),
    ];
    /// Nothing special.
    pub const NONE: Attributes = Attributes(0);
    /// Read-only.
    pub const RO: Attributes = Attributes(libc::MOUNT_ATTR_RDONLY);
    /// For kernel interfaces: no set-user-id, no devices, no programs.
    pub const API: Attributes =
        Attributes(libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV | libc::MOUNT_ATTR_NOEXEC);
    /// For data: no set-user-id, no devices.
    pub const DATA: Attributes = Attributes(libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV);

    /// Both.
    pub const fn and(self, other: Attributes) -> Attributes {
        Attributes(self.0 | other.0)
    }
}

impl fmt::Display for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set: Vec<&str> =
            Self::NAMES.iter().filter(|(bit, _)| self.0 & bit != 0).map(|(_, name)| *name).collect();
        f.write_str(if set.is_empty() { "rw".to_string() } else { set.join(",") }.as_str())
    }
}

impl Serialize for Attributes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Operation::Root { source, read_only, ephemeral, idmap } => {
                let (mode, ids) = (if *read_only { "ro" } else { "rw" }, if *idmap { ",idmap" } else { "" });
                let over = if *ephemeral { ",ephemeral" } else { "" };
                write!(f, "mount '{}' as the root ({mode}{ids}{over})", source.display())
            }
            Operation::Mount { filesystem, target, options, attributes } => {
                write!(f, "mount {filesystem} on '{target}' ({attributes}")?;
                options.iter().try_for_each(|(key, value)| match value.as_str() {
                    "" => write!(f, ",{key}"),
                    value => write!(f, ",{key}={value}"),
                })?;
                f.write_str(")")
            }
            Operation::AwaitPlacement => f.write_str("wait until the leader is in its cgroup"),
            Operation::Directory { target, mode } => write!(f, "make directory '{target}' ({mode:o})"),
            Operation::Symlink { target, to } => write!(f, "link '{target}' to '{to}'"),
            Operation::Node { target, kind, mode, major, minor } => {
                let kind = if *kind == DeviceKind::Block { "block" } else { "character" };
                write!(f, "make {kind} device '{target}' ({major}:{minor}, {mode:o})")
            }
            Operation::Terminal { number, target: None } => write!(f, "make terminal pts/{number}"),
            Operation::Terminal { number, target: Some(target) } => {
                write!(f, "put terminal pts/{number} on '{target}'")
            }
            Operation::Bind { source, target, attributes, idmap, .. } => {
                let ids = if *idmap { ",idmap" } else { "" };
                write!(f, "bind '{}' to '{target}' ({attributes}{ids})", source.display())
            }
            Operation::Mask { target } => write!(f, "mask '{target}'"),
            Operation::ReadOnly { target } => write!(f, "make '{target}' read-only"),
            Operation::Writable { target } => write!(f, "keep '{target}' writable"),
        }
    }
}
