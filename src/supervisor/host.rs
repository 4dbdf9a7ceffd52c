//! Carries out the operations of a plan on the host, before the container has a process.

use std::fmt::Display;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use crate::config::settings::PrivateUsers;
use crate::error::{Error, Result};
use crate::name::MachineName;
use crate::paths::Root;
use crate::preparation::{Prepared, Purpose, prepare};
use crate::runtime::directory::Runtime;
use crate::sandbox::host_operation::HostOperation;
use crate::sandbox::lsm;
use crate::storage::{ids, image_entry};
use crate::supervisor::{journal_link, links};
use crate::sys::seccomp::Filters;
use crate::systemd::journal::Journal;

/// The operations of a plan that were carried out, in the words of `containerctl plan`.
#[derive(Default)]
pub struct Trace(Vec<String>);

impl Trace {
    /// Notes an operation that has been carried out.
    pub fn note(&mut self, operation: &impl Display) {
        self.0.push(operation.to_string());
    }

    /// The operations in the order in which they were carried out.
    pub fn operations(&self) -> &[String] {
        &self.0
    }
}

/// Prepares a start and reserves its ids. Where others have been given those ids since they were looked up, the start
/// is prepared anew with the ids that were given instead.
pub fn prepare_with_ids(root: &Root, name: &MachineName, purpose: Purpose) -> Result<Prepared> {
    loop {
        let prepared = prepare(root, name, purpose)?;
        if prepared.facts.ids.is_none() || reserve_ids(root, name, &prepared)? {
            return Ok(prepared);
        }
    }
}

/// Whether the ids of the plan are this machine's now.
fn reserve_ids(root: &Root, name: &MachineName, prepared: &Prepared) -> Result<bool> {
    let Prepared { definition, facts, .. } = prepared;
    match (&definition.settings.exec.private_users, facts.ids) {
        (PrivateUsers::Pick, Some(planned)) => Ok(ids::range_of(root, name)? == planned),
        (PrivateUsers::Range { .. }, Some(planned)) => {
            let reserved = ids::claim(root, name, planned);
            let place = || definition.named("Exec", "PrivateUsers");
            reserved.map_err(|error| Error::new(error.kind(), format!("{} {error}", place()))).map(|()| true)
        }
        _ => Ok(true),
    }
}

/// A start that carries out its operations on the host.
pub struct HostSetup<'a> {
    /// Paths of the host.
    pub root: &'a Root,
    /// The machine.
    pub name: &'a MachineName,
    /// The run-time directory.
    pub runtime: &'a Runtime,
    /// The start.
    pub prepared: &'a Prepared,
    /// The system call filters.
    pub filters: &'a Filters,
    /// The journal, for warnings.
    pub journal: &'a Journal,
}

/// The outcome of the operations on the host.
pub struct HostParts {
    /// The socket on which the payload's PID 1 notifies.
    pub notifications: OwnedFd,
    /// A directory of the host that could not be made for the guest, whose mount is left out.
    pub missing: Option<PathBuf>,
}

impl HostSetup<'_> {
    /// Carries out all of them.
    pub fn carry_out(&self, trace: &mut Trace) -> Result<HostParts> {
        let (mut notifications, mut missing) = (None, None);
        for operation in &self.prepared.plan.host {
            if let HostOperation::RuntimeDirectory { .. } = operation {
                notifications = Some(self.fill_runtime_directory()?);
            } else if let Err(error) = self.one(operation) {
                if is_required(operation) {
                    return Err(error);
                }
                self.journal.warning(&format!("{error}, ignoring"));
                if let HostOperation::JournalDirectory { path, .. } = operation {
                    missing = Some(path.clone());
                }
                continue;
            }
            trace.note(operation);
        }
        let notifications =
            notifications.ok_or_else(|| Error::failed("the plan has no run-time directory"))?;
        Ok(HostParts { notifications, missing })
    }

    fn one(&self, operation: &HostOperation) -> Result<()> {
        match operation {
            // Both are done elsewhere: the first before there is a plan to rely on, the second for its socket.
            HostOperation::ReserveIds { .. } | HostOperation::RuntimeDirectory { .. } => Ok(()),
            HostOperation::ClearLinks => self.clear_links(),
            HostOperation::LinkJournal { link, target, .. } => {
                journal_link::link(link, target, &self.prepared.facts.rootfs)
            }
            HostOperation::JournalDirectory { path, owner, .. } => {
                journal_link::make_directory(self.root, path, self.name, *owner)
            }
            HostOperation::ImageEntry { target } => image_entry::make_to(self.root, self.name, target),
            HostOperation::LoadProfile { .. } => self.load_profile(),
        }
    }

    fn clear_links(&self) -> Result<()> {
        let Prepared { definition, plan, .. } = self.prepared;
        for error in links::clear(self.root, self.name) {
            self.journal.warning(&format!("{error}, ignoring"));
        }
        links::validate(self.root, self.name, definition, &plan.network)
    }

    fn fill_runtime_directory(&self) -> Result<OwnedFd> {
        let Prepared { plan, facts, .. } = self.prepared;
        let notifications = self.runtime.prepare(&plan.machine_id, facts.ids.map_or(0, |ids| ids.base))?;
        self.runtime.write_rights(&plan.rights(self.filters))?;
        Ok(notifications)
    }

    fn load_profile(&self) -> Result<()> {
        let Prepared { plan, facts, .. } = self.prepared;
        match (&plan.labels.profile, &facts.lsm.apparmor.parser) {
            (Some(text), Some(parser)) => lsm::apparmor::load(self.root, parser, self.name.as_str(), text),
            _ => Ok(()),
        }
    }
}

/// Whether a start fails where an operation does. machinectl(1) finds an image only by its entry; a container runs
/// without one, too.
fn is_required(operation: &HostOperation) -> bool {
    match operation {
        HostOperation::ImageEntry { .. } => false,
        HostOperation::LinkJournal { required, .. } | HostOperation::JournalDirectory { required, .. } => {
            *required
        }
        _ => true,
    }
}
