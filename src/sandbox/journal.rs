//! The place of the guest's journal: `LinkJournal=` as systemd.nspawn(5) means it, so that `journalctl -M NAME` and
//! `journalctl -m` work. Looks, and makes nothing.

use std::path::{Path, PathBuf};

use rustix::io::Errno;

use crate::config::settings::LinkJournal;
use crate::error::{Error, Kind, Result};
use crate::name::MachineName;
use crate::paths::Root;
use crate::sandbox::host_operation::HostOperation;
use crate::sandbox::init::InitKind;
use crate::sandbox::operation::{Attributes, Operation};

/// Where journals are, on the host as in the guest (systemd-journald.service(8)).
pub const DIRECTORY: &str = "/var/log/journal";

/// The extended attribute that names the machine for which a directory below the host's journals was made.
pub const OWNER: &str = "trusted.containerctl";

/// A journal that host and guest share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Journal {
    /// A link on the host leads to the guest's directory.
    Linked {
        /// The link.
        link: PathBuf,
        /// The directory as the host sees it.
        target: PathBuf,
        /// The start fails without it.
        required: bool,
    },
    /// The host's directory is bound into the guest.
    Bound {
        /// The directory on the host.
        source: PathBuf,
        /// Where the guest has it.
        target: String,
        /// The start fails without it.
        required: bool,
    },
}

impl Journal {
    /// The operation on the host.
    pub fn operation(&self) -> HostOperation {
        match self.clone() {
            Journal::Linked { link, target, required } => {
                HostOperation::LinkJournal { link, target, required }
            }
            Journal::Bound { source, required, .. } => {
                HostOperation::JournalDirectory { path: source, required }
            }
        }
    }

    /// The mount in the guest; `idmap` where it has ids of its own.
    pub fn mount(&self, idmap: bool) -> Option<Operation> {
        let Journal::Bound { source, target, .. } = self else { return None };
        Some(Operation::Bind {
            source: source.clone(),
            target: target.clone(),
            recursive: false,
            idmap,
            optional: false,
            attributes: Attributes::NONE,
        })
    }
}

/// Where a guest is, and what it boots.
pub struct Guest<'a> {
    /// The machine.
    pub name: &'a MachineName,
    /// 32 hexadecimal digits.
    pub machine_id: &'a str,
    /// Its root file system on the host.
    pub rootfs: &'a Path,
    /// The family of its init, where one is booted.
    pub init: Option<InitKind>,
}

/// Decides where the journal is. The second is why it is nowhere, in a mode that only tries.
pub fn look(root: &Root, mode: LinkJournal, guest: &Guest) -> Result<(Option<Journal>, Option<String>)> {
    // Without systemd inside there is no journal, nor an id that stays the same.
    let trying = matches!(mode, LinkJournal::TryGuest | LinkJournal::TryHost);
    if trying && guest.init != Some(InitKind::Systemd) {
        return Ok((None, None));
    }
    let journals = root.path(DIRECTORY);
    let directory = journals.join(guest.machine_id);
    let inside = format!("{DIRECTORY}/{}", guest.machine_id);
    let required = matches!(mode, LinkJournal::Guest | LinkJournal::Host);
    match place(mode, journals.is_dir(), directory.is_dir()) {
        Place::Nowhere => Ok((None, None)),
        Place::Guest => {
            let target = guest.rootfs.join(inside.trim_start_matches('/'));
            Ok((Some(Journal::Linked { link: directory, target, required }), None))
        }
        Place::Host => match Ownership::of(&directory, guest.name.as_str()).require(&directory, guest.name) {
            Ok(()) => Ok((Some(Journal::Bound { source: directory, target: inside, required }), None)),
            Err(error) if required => Err(error),
            Err(error) => Ok((None, Some(format!("the guest's journal is not linked: {error}")))),
        },
    }
}

/// The side that keeps the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Each side its own, unknown to the other.
    Nowhere,
    /// The guest.
    Guest,
    /// The host.
    Host,
}

fn place(mode: LinkJournal, host_is_persistent: bool, host_directory_exists: bool) -> Place {
    match mode {
        LinkJournal::No => Place::Nowhere,
        LinkJournal::Auto if host_directory_exists => Place::Host,
        LinkJournal::Auto => Place::Nowhere,
        LinkJournal::TryGuest | LinkJournal::TryHost if !host_is_persistent => Place::Nowhere,
        LinkJournal::Guest | LinkJournal::TryGuest => Place::Guest,
        LinkJournal::Host | LinkJournal::TryHost => Place::Host,
    }
}

/// The machine for which a directory below the host's journals is. The guest chooses its id: were any directory taken
/// that is there, it could ask for the host's journal, or another guest's, by their ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// There is no directory.
    Missing,
    /// It was made for this machine.
    Own,
    /// It is empty and nobody's, as an administrator makes it for `LinkJournal=auto`.
    Unclaimed,
    /// It is somebody else's.
    Foreign,
}

impl Ownership {
    /// Looks at a directory.
    pub fn of(directory: &Path, name: &str) -> Ownership {
        let mut owner = [0; MachineName::MAX];
        match rustix::fs::lgetxattr(directory, OWNER, &mut owner) {
            Ok(len) if owner[..len] == *name.as_bytes() => Ownership::Own,
            Err(Errno::NOENT) => Ownership::Missing,
            Err(Errno::NODATA) if std::fs::read_dir(directory).is_ok_and(|mut all| all.next().is_none()) => {
                Ownership::Unclaimed
            }
            _ => Ownership::Foreign,
        }
    }

    /// Refuses a directory of somebody else.
    pub fn require(self, directory: &Path, name: &MachineName) -> Result<()> {
        match self {
            Ownership::Foreign => Err(Error::new(
                Kind::Busy,
                format!("'{}' is not the journal of '{name}'", directory.display()),
            )
            .hint("give the container a machine id of its own, or set LinkJournal=no")),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trying_needs_a_host_that_keeps_its_journal() {
        assert_eq!(place(LinkJournal::TryGuest, false, false), Place::Nowhere);
        assert_eq!(place(LinkJournal::TryGuest, true, false), Place::Guest);
        assert_eq!(place(LinkJournal::Guest, false, false), Place::Guest);
        assert_eq!(place(LinkJournal::Auto, true, false), Place::Nowhere);
        assert_eq!(place(LinkJournal::Auto, true, true), Place::Host);
        assert_eq!(place(LinkJournal::No, true, true), Place::Nowhere);
    }

    #[test]
    fn a_guest_that_asks_for_the_hosts_journal_is_refused_and_one_that_tries_is_told() {
        let dir = tempfile::tempdir().expect("directory");
        let (root, name) = (Root::at(dir.path()), MachineName::new("p1").expect("valid"));
        let id = "0123456789abcdef0123456789abcdef";
        let hosts = root.path(DIRECTORY).join(id);
        std::fs::create_dir_all(&hosts).expect("directory");
        std::fs::write(hosts.join("system.journal"), "secret").expect("written");
        let rootfs = Path::new("/srv/p1");
        let guest = Guest { name: &name, machine_id: id, rootfs, init: Some(InitKind::Systemd) };
        assert_eq!(look(&root, LinkJournal::Host, &guest).expect_err("the host's").kind(), Kind::Busy);
        for mode in [LinkJournal::TryHost, LinkJournal::Auto] {
            let (journal, warning) = look(&root, mode, &guest).expect("looked");
            assert_eq!(journal, None);
            assert!(warning.is_some_and(|told| told.ends_with("is not the journal of 'p1'")));
        }
    }

    #[test]
    fn a_journal_of_the_host_is_made_there_and_mounted_in_the_guest() {
        let dir = tempfile::tempdir().expect("directory");
        let (root, name) = (Root::at(dir.path()), MachineName::new("p1").expect("valid"));
        let guest = Guest { name: &name, machine_id: "0a", rootfs: Path::new("/srv/p1"), init: None };
        let (journal, _) = look(&root, LinkJournal::Host, &guest).expect("looked");
        let journal = journal.expect("bound");
        let path = root.path("/var/log/journal/0a");
        assert_eq!(journal.operation(), HostOperation::JournalDirectory { path, required: true });
        let mount = journal.mount(true).expect("a mount").to_string();
        assert!(mount.ends_with("to '/var/log/journal/0a' (rw,idmap)"), "{mount}");
        assert!(!root.path("/var").exists(), "something was made");
    }
}
