//! The guest's journal where the host's can find it: `LinkJournal=` as systemd.nspawn(5) means it, so that
//! `journalctl -M NAME` and `journalctl -m` work.

use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::config::settings::{CustomMount, LinkJournal, Settings};
use crate::error::{Context, Error, Kind, Result};
use crate::sandbox::init::InitKind;
use crate::sandbox::survey::Facts;
use crate::sandbox::tree::Tree;

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
    match std::fs::create_dir(directory) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            return Err(error).context(|| format!("failed to create '{}'", directory.display()));
        }
        _ => {}
    }
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
}
