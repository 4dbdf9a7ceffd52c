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
use crate::sys::idmap::IdRange;

/// The directory of journals, on the host as in the guest (systemd-journald.service(8)).
pub const DIRECTORY: &str = "/var/log/journal";

/// The extended attribute that names the machine for which a directory below the host's journals was made.
pub const OWNER: &str = "trusted.containerctl";

/// A directory of the host that is mounted in the guest for its journal. It belongs to the guest's ids, which mean
/// nothing on the host, and nothing of the guest's tree is on the path by which the host reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Journal {
    /// The directory on the host.
    pub directory: PathBuf,
    /// The path inside the guest.
    pub target: String,
    /// The link by which journalctl(1) finds it, where it is not among the host's journals.
    pub link: Option<PathBuf>,
    /// The host id of the guest's root.
    pub owner: u32,
    /// The start fails without it.
    pub required: bool,
}

impl Journal {
    /// The operations on the host.
    pub fn operations(&self) -> Vec<HostOperation> {
        let (path, required) = (self.directory.clone(), self.required);
        let link = self.link.clone().map(|link| {
            let target = path.clone();
            HostOperation::LinkJournal { link, target, required }
        });
        let make = HostOperation::JournalDirectory { path, owner: self.owner, required };
        [make].into_iter().chain(link).collect()
    }

    /// The mount in the guest.
    pub fn mount(&self) -> Operation {
        Operation::Bind {
            source: self.directory.clone(),
            target: self.target.clone(),
            recursive: false,
            idmap: false,
            optional: false,
            attributes: Attributes::API,
        }
    }
}

/// A guest: its root file system and what it boots.
pub struct Guest<'a> {
    /// The machine.
    pub name: &'a MachineName,
    /// 32 hexadecimal digits.
    pub machine_id: &'a str,
    /// The range of ids; `None` shares the host's.
    pub ids: Option<IdRange>,
    /// The family of its init, where one is booted.
    pub init: Option<InitKind>,
}

/// The place of the journal. The second value is the reason for none, in a mode that only tries.
pub fn look(root: &Root, mode: LinkJournal, guest: &Guest) -> Result<(Option<Journal>, Option<String>)> {
    // Without systemd inside there is no journal, nor an id that stays the same.
    let trying = matches!(mode, LinkJournal::TryGuest | LinkJournal::TryHost);
    if trying && guest.init != Some(InitKind::Systemd) {
        return Ok((None, None));
    }
    let journals = root.path(DIRECTORY);
    let among = journals.join(guest.machine_id);
    let required = matches!(mode, LinkJournal::Guest | LinkJournal::Host);
    let journal = |directory, link| Journal {
        directory,
        target: format!("{DIRECTORY}/{}", guest.machine_id),
        link,
        owner: guest.ids.map_or(0, |ids| ids.base),
        required,
    };
    match place(mode, journals.is_dir(), among.is_dir()) {
        Place::Nowhere => Ok((None, None)),
        Place::Guest => Ok((Some(journal(root.journal_of(guest.name), Some(among))), None)),
        Place::Host => match require_own(&among, guest) {
            Ok(()) => Ok((Some(journal(among, None)), None)),
            Err(error) if required => Err(error),
            Err(error) => Ok((None, Some(format!("the guest's journal is not linked: {}", error.message())))),
        },
    }
}

/// Refuses a directory among the host's journals that is another's, and one of root's own in which users of the host
/// could run what the guest writes.
fn require_own(directory: &Path, guest: &Guest) -> Result<()> {
    if guest.ids.is_some_and(|ids| ids.base == 0) {
        let told =
            format!("'{}' would belong to root of the host and of '{}'", directory.display(), guest.name);
        return Err(Error::config(told).hint("give the container ids of its own, or set LinkJournal=guest"));
    }
    Ownership::of(directory, guest.name.as_str()).require(directory, guest.name)
}

/// The place of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In the guest's tree, unknown to the host.
    Nowhere,
    /// Beside the guest's tree in the store, so that they go where the guest goes.
    Guest,
    /// Among the host's journals.
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
        let ids = Some(IdRange { base: 65536, size: 65536 });
        let guest = Guest { name: &name, machine_id: id, ids, init: Some(InitKind::Systemd) };
        assert_eq!(look(&root, LinkJournal::Host, &guest).expect_err("the host's").kind(), Kind::Busy);
        for mode in [LinkJournal::TryHost, LinkJournal::Auto] {
            let (journal, warning) = look(&root, mode, &guest).expect("looked");
            assert_eq!(journal, None);
            assert!(warning.is_some_and(|warning| warning.contains("is not the journal of 'p1'")));
        }
    }

    #[test]
    fn a_journal_of_the_host_is_made_there_and_mounted_in_the_guest() {
        let dir = tempfile::tempdir().expect("directory");
        let (root, name) = (Root::at(dir.path()), MachineName::new("p1").expect("valid"));
        let ids = Some(IdRange { base: 65536, size: 65536 });
        let guest = Guest { name: &name, machine_id: "0a", ids, init: None };
        let (journal, _) = look(&root, LinkJournal::Host, &guest).expect("looked");
        let journal = journal.expect("shared");
        let path = root.path("/var/log/journal/0a");
        let make = HostOperation::JournalDirectory { path, owner: 65536, required: true };
        assert_eq!(journal.operations(), [make]);
        let mount = journal.mount().to_string();
        assert!(mount.ends_with("to '/var/log/journal/0a' (nosuid,nodev,noexec)"), "{mount}");
        assert!(!root.path("/var").exists(), "something was made");
    }

    #[test]
    fn no_path_of_the_host_leads_through_the_guests_tree() {
        let root = Root::at("/none");
        let name = MachineName::new("p1").expect("valid");
        let guest = |base| {
            let ids = Some(IdRange { base, size: 65536 });
            Guest { name: &name, machine_id: "0a", ids, init: None }
        };
        let (journal, _) = look(&root, LinkJournal::Guest, &guest(65536)).expect("looked");
        let journal = journal.expect("shared");
        assert_eq!(journal.directory, Path::new("/none/var/lib/containerctl/p1/journal"));
        assert_eq!(journal.link.as_deref(), Some(Path::new("/none/var/log/journal/0a")));
        // SEC-28: root's own directory would be within reach of users.
        assert!(look(&root, LinkJournal::Host, &guest(0)).is_err());
    }
}
