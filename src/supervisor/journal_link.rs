//! The guest's journal where the host's can find it, as [`crate::sandbox::journal`] has decided.

use std::fs::{self, DirBuilder};
use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Gid, Mode, OFlags, Stat, Uid, XattrFlags};
use rustix::io::Errno;

use crate::error::{Context, Error, Kind, Result};
use crate::name::MachineName;
use crate::paths::Root;
use crate::sandbox::journal::{DIRECTORY, OWNER, Ownership};
use crate::storage::host_path::fd_path;

/// Links the directory at `target` among the host's journals. A link of an earlier version, into the guest's tree at
/// `rootfs`, is replaced.
pub fn link(link: &Path, target: &Path, rootfs: &Path) -> Result<()> {
    let failed = || format!("failed to create '{}'", link.display());
    match fs::read_link(link) {
        Ok(old) if old == target => return Ok(()),
        Ok(old) if old.starts_with(rootfs) => fs::remove_file(link).context(failed)?,
        _ => {}
    }
    match symlink(target, link) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            Err(Error::new(Kind::Busy, format!("'{}' exists and is not ours", link.display()))
                .hint("remove it, or set LinkJournal=no"))
        }
        made => made.context(failed),
    }
}

/// Makes the host's directory for the journal of `name`, and hands it over to the guest's root. One among the host's
/// journals is marked, or found to be this machine's: it may have become another's since the start was prepared.
pub fn make_directory(root: &Root, directory: &Path, name: &MachineName, owner: u32) -> Result<()> {
    let failed = || format!("failed to create '{}'", directory.display());
    match directory.parent() {
        Some(parent) if parent == root.path(DIRECTORY) => claim(directory, name)?,
        Some(parent) => {
            DirBuilder::new().recursive(true).mode(0o700).create(parent).context(failed)?;
            make(directory).context(failed).map(drop)?;
        }
        None => {}
    }
    hand_over(directory, owner).context(|| format!("failed to give '{}' to '{name}'", directory.display()))
}

fn claim(directory: &Path, name: &MachineName) -> Result<()> {
    let failed = || format!("failed to create '{}'", directory.display());
    let mark = || {
        rustix::fs::setxattr(directory, OWNER, name.as_str().as_bytes(), XattrFlags::empty()).context(failed)
    };
    if make(directory).context(failed)? {
        return mark();
    }
    let ownership = Ownership::of(directory, name.as_str());
    ownership.require(directory, name)?;
    if ownership == Ownership::Own { Ok(()) } else { mark() }
}

/// Returns whether it was not there before.
fn make(directory: &Path) -> std::io::Result<bool> {
    match fs::create_dir(directory) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        made => made.map(|()| true),
    }
}

/// Makes the directory the guest's. What an earlier version left in one that was idmapped changes owner along with it,
/// and is no set-user-ID program any more.
fn hand_over(directory: &Path, owner: u32) -> Result<(), Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = rustix::fs::open(directory, flags, Mode::empty())?;
    let before = rustix::fs::fstat(&directory)?.st_uid;
    if before == owner {
        return Ok(());
    }
    for entry in Dir::read_from(&directory)? {
        let entry = entry?;
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&directory, entry.file_name(), flags, Mode::empty())?;
        let stat = rustix::fs::fstat(&file)?;
        if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile && stat.st_nlink == 1 {
            hand_over_file(&file, &stat, before, owner)?;
        }
    }
    rustix::fs::fchmod(&directory, Mode::from_raw_mode(0o755))?;
    rustix::fs::fchown(&directory, Some(Uid::from_raw(owner)), Some(Gid::from_raw(owner)))
}

fn hand_over_file(file: &OwnedFd, stat: &Stat, before: u32, owner: u32) -> Result<(), Errno> {
    let moved = |id: u32| owner + id.checked_sub(before).filter(|inside| *inside < 65536).unwrap_or(0);
    rustix::fs::chmod(fd_path(file.as_fd()), Mode::from_raw_mode(stat.st_mode & 0o777))?;
    chown(file.as_fd(), moved(stat.st_uid), moved(stat.st_gid))
}

fn chown(file: BorrowedFd, uid: u32, gid: u32) -> Result<(), Errno> {
    rustix::fs::chownat(file, "", Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)), AtFlags::EMPTY_PATH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    /// A host with a place for journals; not on a tmpfs of an older kernel, which has no trusted attributes.
    fn host(test: &str) -> Option<(tempfile::TempDir, Root, [MachineName; 2])> {
        if !rustix::process::geteuid().is_root() {
            eprintln!("SKIPPED {test}: trusted attributes and owners need root");
            return None;
        }
        let dir = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).expect("directory");
        let root = Root::at(dir.path());
        fs::create_dir_all(root.path(DIRECTORY)).expect("directory");
        Some((dir, root, ["p1", "p2"].map(|name| MachineName::new(name).expect("valid"))))
    }

    #[test]
    fn a_guest_gets_no_journal_that_was_not_made_for_it() {
        let Some((_dir, root, [p1, p2])) = host("a_guest_gets_no_journal_that_was_not_made_for_it") else {
            return;
        };
        let [hosts, mine] = ["hosts", "mine"].map(|name| root.path(DIRECTORY).join(name));
        fs::create_dir(&hosts).expect("directory");
        fs::write(hosts.join("system.journal"), "secret").expect("written");
        let make = |directory: &Path, name| make_directory(&root, directory, name, 65536);
        assert_eq!(make(&hosts, &p1).expect_err("the host's").kind(), Kind::Busy);
        make(&mine, &p1).expect("made");
        make(&mine, &p1).expect("found again");
        assert_eq!(make(&mine, &p2).expect_err("another's").kind(), Kind::Busy);
    }

    #[test]
    fn sec_28_what_an_idmapped_journal_left_is_nobodys_program() {
        let Some((_dir, root, [p1, _])) = host("sec_28_what_an_idmapped_journal_left_is_nobodys_program")
        else {
            return;
        };
        let old = root.path(DIRECTORY).join("old");
        claim(&old, &p1).expect("made");
        for (name, uid, mode) in [("who", 0, 0o4755), ("system.journal", 1000, 0o640)] {
            fs::write(old.join(name), "").expect("written");
            std::os::unix::fs::chown(old.join(name), Some(uid), Some(uid)).expect("chown");
            fs::set_permissions(old.join(name), PermissionsExt::from_mode(mode)).expect("mode");
        }
        symlink("/etc/shadow", old.join("link")).expect("link");
        make_directory(&root, &old, &p1, 65536).expect("handed over");
        let seen = |name: &str| {
            let found = old.join(name).symlink_metadata().expect("there");
            (found.uid(), found.gid(), found.mode() & 0o7777)
        };
        assert_eq!(seen("who"), (65536, 65536, 0o755));
        assert_eq!(seen("system.journal"), (66536, 66536, 0o640));
        assert_eq!(seen("link").0, 0);
        assert_eq!(seen(".").0, 65536);
    }

    #[test]
    fn a_link_into_the_guests_tree_is_replaced_and_another_is_not() {
        let Some((_dir, root, [p1, _])) = host("a_link_into_the_guests_tree_is_replaced_and_another_is_not")
        else {
            return;
        };
        let [at, rootfs, target] = [root.path(DIRECTORY).join("0a"), root.rootfs(&p1), root.journal_of(&p1)];
        make_directory(&root, &target, &p1, 65536).expect("made");
        for old in [rootfs.join("var/log/journal/0a"), target.clone()] {
            let _ = fs::remove_file(&at);
            symlink(old, &at).expect("link");
            link(&at, &target, &rootfs).expect("linked");
            assert_eq!(fs::read_link(&at).expect("a link"), target);
        }
        fs::remove_file(&at).expect("removed");
        symlink("/etc", &at).expect("link");
        assert_eq!(link(&at, &target, &rootfs).expect_err("another's").kind(), Kind::Busy);
    }
}
