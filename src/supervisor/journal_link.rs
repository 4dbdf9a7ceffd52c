//! The guest's journal where the host's can find it, as [`crate::sandbox::journal`] has decided.

use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::Path;

use rustix::fs::XattrFlags;

use crate::error::{Context, Error, Kind, Result};
use crate::name::MachineName;
use crate::sandbox::journal::{DIRECTORY, OWNER, Ownership};
use crate::sandbox::survey::Facts;
use crate::storage::tree::Tree;

/// Makes the guest's directory, and the link on the host that leads to it.
pub fn link(facts: &Facts, link: &Path, target: &Path) -> Result<()> {
    let inside = format!("{DIRECTORY}/{}", facts.machine_id);
    if let Err(error) = make_inside(&facts.tree, &inside, &facts.name) {
        // A link of an earlier start would lead wherever the guest has it lead now.
        if std::fs::read_link(link).is_ok_and(|old| old == target) {
            let _ = std::fs::remove_file(link);
        }
        return Err(error);
    }
    match symlink(target, link) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => match std::fs::read_link(link) {
            Ok(old) if old == target => Ok(()),
            _ => Err(Error::new(Kind::Busy, format!("'{}' exists and is not ours", link.display()))
                .hint("remove it, or set LinkJournal=no")),
        },
        other => other.context(|| format!("failed to create '{}'", link.display())),
    }
}

/// Makes the guest's directory. The host's journalctl will follow the link, so no part of its path may be one itself.
fn make_inside(tree: &Tree, inside: &str, name: &MachineName) -> Result<()> {
    tree.make_dir(inside, 0o755).context(|| format!("failed to create '{inside}' in '{name}'"))?;
    tree.resolve_strict(inside).context(|| format!("failed to link '{inside}' of '{name}'")).map(drop)
}

/// Makes the host's directory for the journal of `name` and marks it, or finds that it is this machine's. It may have
/// become another's since the start was prepared.
pub fn make_directory(directory: &Path, name: &MachineName) -> Result<()> {
    let failed = || format!("failed to create '{}'", directory.display());
    let mark = || {
        rustix::fs::setxattr(directory, OWNER, name.as_str().as_bytes(), XattrFlags::empty()).context(failed)
    };
    match std::fs::create_dir(directory) {
        Ok(()) => return mark(),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error).context(failed),
    }
    let ownership = Ownership::of(directory, name.as_str());
    ownership.require(directory, name)?;
    if ownership == Ownership::Own { Ok(()) } else { mark() }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let [p1, p2] = ["p1", "p2"].map(|name| MachineName::new(name).expect("valid"));
        std::fs::create_dir(&hosts).expect("directory");
        std::fs::write(hosts.join("system.journal"), "secret").expect("written");
        assert_eq!(make_directory(&hosts, &p1).expect_err("the host's").kind(), Kind::Busy);
        make_directory(&mine, &p1).expect("made");
        make_directory(&mine, &p1).expect("found again");
        assert_eq!(make_directory(&mine, &p2).expect_err("another's").kind(), Kind::Busy);
    }
}
