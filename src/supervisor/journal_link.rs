//! The guest's journal where the host's can find it: `LinkJournal=` as systemd.nspawn(5) means it, so that
//! `journalctl -M NAME` and `journalctl -m` work.

use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rustix::fs::XattrFlags;
use rustix::io::Errno;

use crate::config::settings::{CustomMount, LinkJournal, Settings};
use crate::error::{Context, Error, Kind, Result};
use crate::name::MachineName;
use crate::sandbox::init::InitKind;
use crate::sandbox::survey::Facts;
use crate::storage::tree::Tree;

/// Where journals are, on the host as in the guest (systemd-journald.service(8)).
const JOURNAL: &str = "/var/log/journal";

/// What is to be done, once it is known what there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Nothing.
    None,
    /// A link on the host to the guest's directory.
    Guest,
    /// The host's directory bound into the guest.
    Host,
}

/// Links the journal, or adds the bind that does it to `settings`. A `try-` that fails is told in the result.
pub fn link(settings: &mut Settings, facts: &Facts) -> Result<Option<String>> {
    let mode = settings.exec.link_journal;
    let directory = PathBuf::from(JOURNAL).join(&facts.machine_id);
    // Without systemd inside there is no journal, nor an id that stays the same.
    let trying = matches!(mode, LinkJournal::TryGuest | LinkJournal::TryHost);
    if trying && facts.init.as_ref().is_none_or(|init| init.kind != InitKind::Systemd) {
        return Ok(None);
    }
    let result = match way(mode, Path::new(JOURNAL).is_dir(), directory.is_dir()) {
        Way::None => Ok(()),
        Way::Guest => link_guest(facts, &directory),
        Way::Host => bind_host(settings, facts, &directory),
    };
    match (mode, result) {
        (LinkJournal::TryGuest | LinkJournal::TryHost | LinkJournal::Auto, Err(error)) => {
            Ok(Some(error.to_string()))
        }
        (_, result) => result.map(|()| None),
    }
}

fn way(mode: LinkJournal, host_is_persistent: bool, host_directory_exists: bool) -> Way {
    match mode {
        LinkJournal::No => Way::None,
        LinkJournal::Auto if host_directory_exists => Way::Host,
        LinkJournal::Auto => Way::None,
        LinkJournal::TryGuest | LinkJournal::TryHost if !host_is_persistent => Way::None,
        LinkJournal::Guest | LinkJournal::TryGuest => Way::Guest,
        LinkJournal::Host | LinkJournal::TryHost => Way::Host,
    }
}

fn link_guest(facts: &Facts, link: &Path) -> Result<()> {
    let inside = format!("{JOURNAL}/{}", facts.machine_id);
    let tree = Tree::open(&facts.rootfs)?;
    let target = facts.rootfs.join(inside.trim_start_matches('/'));
    if let Err(error) = prepare(&tree, &inside, facts) {
        // One of an earlier start would lead wherever the guest has it lead now.
        if std::fs::read_link(link).is_ok_and(|old| old == target) {
            let _ = std::fs::remove_file(link);
        }
        return Err(error);
    }
    match symlink(&target, link) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => match std::fs::read_link(link) {
            Ok(old) if old == target => Ok(()),
            _ => Err(Error::new(Kind::Busy, format!("'{}' exists and is not ours", link.display()))
                .hint("remove it, or set LinkJournal=no")),
        },
        other => other.context(|| format!("failed to create '{}'", link.display())),
    }
}

/// Makes the guest's directory. The host's journalctl will follow the link, so nothing of its path may be one itself.
fn prepare(tree: &Tree, inside: &str, facts: &Facts) -> Result<()> {
    tree.make_dir(inside, 0o755).context(|| format!("failed to create '{inside}' in '{}'", facts.name))?;
    tree.resolve_strict(inside).context(|| format!("failed to link '{inside}' of '{}'", facts.name)).map(drop)
}

fn bind_host(settings: &mut Settings, facts: &Facts, directory: &Path) -> Result<()> {
    own(directory, facts.name.as_str())?;
    settings.files.mounts.push(CustomMount::Bind {
        source: directory.to_path_buf(),
        target: directory.to_path_buf(),
        read_only: false,
        recursive: false,
        idmap: facts.ids.is_some(),
        optional: false,
    });
    Ok(())
}

/// Whose a directory is that we made below the host's journals.
const OWNER: &str = "trusted.containerctl";

/// Makes the directory, or finds that it is this machine's. The guest chooses its id: were any directory taken that
/// is there, it could ask for the host's journal, or another guest's, by their ids.
fn own(directory: &Path, name: &str) -> Result<()> {
    let failed = || format!("failed to create '{}'", directory.display());
    let mark =
        || rustix::fs::setxattr(directory, OWNER, name.as_bytes(), XattrFlags::empty()).context(failed);
    match std::fs::create_dir(directory) {
        Ok(()) => return mark(),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error).context(failed),
    }
    let mut owner = [0; MachineName::MAX];
    let owner = rustix::fs::lgetxattr(directory, OWNER, &mut owner).map(|len| owner[..len].to_vec());
    match owner {
        Ok(owner) if owner == name.as_bytes() => Ok(()),
        // One that the administrator has made for LinkJournal=auto to find tells nobody anything.
        Err(Errno::NODATA) if std::fs::read_dir(directory).is_ok_and(|mut all| all.next().is_none()) => {
            mark()
        }
        _ => Err(Error::new(Kind::Busy, format!("'{}' is not the journal of '{name}'", directory.display()))
            .hint("give the container a machine id of its own, or set LinkJournal=no")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trying_needs_a_host_that_keeps_its_journal() {
        assert_eq!(way(LinkJournal::TryGuest, false, false), Way::None);
        assert_eq!(way(LinkJournal::TryGuest, true, false), Way::Guest);
        assert_eq!(way(LinkJournal::Guest, false, false), Way::Guest);
        assert_eq!(way(LinkJournal::Auto, true, false), Way::None);
        assert_eq!(way(LinkJournal::Auto, true, true), Way::Host);
        assert_eq!(way(LinkJournal::No, true, true), Way::None);
    }

    #[test]
    fn a_guest_gets_no_journal_that_was_not_made_for_it() {
        if !rustix::process::geteuid().is_root() {
            eprintln!(
                "SKIPPED a_guest_gets_no_journal_that_was_not_made_for_it: trusted attributes need root"
            );
            return;
        }
        // Not on a tmpfs of an older kernel, which has no such attributes.
        let dir = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).expect("directory");
        let (hosts, mine) = (dir.path().join("hosts"), dir.path().join("mine"));
        std::fs::create_dir(&hosts).expect("directory");
        std::fs::write(hosts.join("system.journal"), "secret").expect("written");
        assert_eq!(own(&hosts, "p1").expect_err("the host's").kind(), Kind::Busy);
        own(&mine, "p1").expect("made");
        own(&mine, "p1").expect("found again");
        assert_eq!(own(&mine, "p2").expect_err("another's").kind(), Kind::Busy);
    }
}
