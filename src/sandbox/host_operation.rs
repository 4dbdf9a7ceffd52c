//! The operations of a plan on the host, carried out by the supervisor before the container has a process.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use crate::config::settings::{PrivateUsers, Settings};
use crate::sandbox::journal::Journal;
use crate::sandbox::survey::Facts;
use crate::sys::idmap::IdRange;

/// One operation on the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "operation", rename_all = "kebab-case")]
pub enum HostOperation {
    /// Enters the ids in the table, so that no other container gets them.
    ReserveIds {
        /// The host's ids.
        ids: IdRange,
    },
    /// Removes network links of an earlier start, and checks that those of this one can be made.
    ClearLinks,
    /// Links the directory of the guest's journal where the host's journalctl(1) finds it.
    LinkJournal {
        /// The symbolic link on the host.
        link: PathBuf,
        /// The directory on the host.
        target: PathBuf,
        /// The start fails without it.
        required: bool,
    },
    /// Makes the host's directory that is bound into the guest for its journal.
    JournalDirectory {
        /// The directory.
        path: PathBuf,
        /// The host id of the guest's root.
        owner: u32,
        /// The start fails without it.
        required: bool,
    },
    /// Makes the image entry by which machinectl(1) finds the root file system.
    ImageEntry {
        /// The root file system.
        target: PathBuf,
    },
    /// Fills the run-time directory: what the container sees as `/run/host`, covers, the rights of its processes.
    RuntimeDirectory {
        /// The directory.
        path: PathBuf,
    },
    /// Loads the generated AppArmor profile into the kernel.
    LoadProfile {
        /// The name of the profile.
        name: String,
    },
}

/// The operations of a start, in their order: ids and network first, as they can be refused.
pub fn host_operations(settings: &Settings, facts: &Facts, profile: Option<String>) -> Vec<HostOperation> {
    let own_ids = matches!(settings.exec.private_users, PrivateUsers::Pick | PrivateUsers::Range { .. });
    let mut list = Vec::new();
    list.extend(facts.ids.filter(|_| own_ids).map(|ids| HostOperation::ReserveIds { ids }));
    list.push(HostOperation::ClearLinks);
    list.extend(facts.journal.iter().flat_map(Journal::operations));
    list.push(HostOperation::ImageEntry { target: facts.rootfs.clone() });
    list.push(HostOperation::RuntimeDirectory { path: facts.runtime.clone() });
    list.extend(profile.map(|name| HostOperation::LoadProfile { name }));
    list
}

impl fmt::Display for HostOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HostOperation::ReserveIds { ids: IdRange { base, size } } => {
                write!(f, "reserve {size} user and group ids from {base}")
            }
            HostOperation::ClearLinks => f.write_str("remove network links of an earlier start"),
            HostOperation::LinkJournal { link, target, .. } => {
                write!(f, "link journal '{}' to '{}'", link.display(), target.display())
            }
            HostOperation::JournalDirectory { path, .. } => {
                write!(f, "make journal directory '{}'", path.display())
            }
            HostOperation::ImageEntry { target } => write!(f, "make image entry for '{}'", target.display()),
            HostOperation::RuntimeDirectory { path } => write!(f, "fill '{}'", path.display()),
            HostOperation::LoadProfile { name } => write!(f, "load AppArmor profile '{name}'"),
        }
    }
}
