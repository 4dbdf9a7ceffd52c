//! Whether users of the host can run what a container writes.
//!
//! In an idmapped tree root of the container makes files of uid 0, with a set-user-ID bit or file capabilities if it
//! likes. A user of the host who runs one is root. So such a tree lies on a mount that is `nosuid` for the host, or below
//! a directory that only root can search. The top of the tree does not count: root of the container can open it up.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags, Stat, StatVfsMountFlags};
use rustix::io::Errno;

use super::host_path::{self, fd_path};
use crate::error::{Context, Error, Result};

/// Fails where users of the host can run programs of the tree or file at `place`, which messages call `path`.
pub fn require_closed(place: BorrowedFd, path: &Path) -> Result<()> {
    let shown = path.display();
    match is_closed(place).context(|| format!("failed to look at the directories above '{shown}'"))? {
        true => Ok(()),
        false => Err(Error::config(format!(
            "users of the host can reach '{shown}', where root of the container can leave set-user-ID programs of root"
        ))
        .hint(format!(
            "move it below a directory of mode 0700, or mount it nosuid: 'mount --bind -o nosuid {shown} {shown}', \
             for every boot by fstab(5)"
        ))),
    }
}

fn is_closed(place: BorrowedFd) -> Result<bool, Errno> {
    Ok(is_below_closed(place)? || is_nosuid(place)?)
}

/// Whether a directory above the place can be searched by root alone.
fn is_below_closed(place: BorrowedFd) -> Result<bool, Errno> {
    let mut at = match parent_of_file(place)? {
        Some(parent) => {
            if only_root_searches(&parent)? {
                return Ok(true);
            }
            parent
        }
        None => place.try_clone_to_owned().map_err(|_| Errno::MFILE)?,
    };
    loop {
        let above = directory(at.as_fd(), "..")?;
        if identity(&rustix::fs::fstat(&above)?) == identity(&rustix::fs::fstat(&at)?) {
            return Ok(false);
        }
        if only_root_searches(&above)? {
            return Ok(true);
        }
        at = above;
    }
}

/// The directory of a file, by the name that the kernel knows it by; none of a directory.
fn parent_of_file(place: BorrowedFd) -> Result<Option<OwnedFd>, Errno> {
    if host_path::is_directory(place)? {
        return Ok(None);
    }
    let name = kernel_name(place)?;
    let parent = Path::new(&name).parent().ok_or(Errno::NOENT)?;
    let top = rustix::fs::open("/", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    host_path::open_without_links(&top, parent.strip_prefix("/").unwrap_or(parent).as_os_str()).map(Some)
}

fn only_root_searches(directory: &OwnedFd) -> Result<bool, Errno> {
    let stat = rustix::fs::fstat(directory)?;
    let by_group = stat.st_mode & 0o010 != 0 && (stat.st_gid != 0 || host_path::has_acl(directory.as_fd()));
    Ok(stat.st_uid == 0 && stat.st_mode & 0o001 == 0 && !by_group)
}

/// Whether the mount of the place, and each mount below the place, is `nosuid`.
fn is_nosuid(place: BorrowedFd) -> Result<bool, Errno> {
    let flags = rustix::fs::fstatvfs(place)?.f_flag;
    if !flags.contains(StatVfsMountFlags::NOSUID) {
        return Ok(false);
    }
    let below = format!("{}/", kernel_name(place)?.trim_end_matches('/'));
    let mounts = std::fs::File::open("/proc/self/mountinfo").and_then(std::io::read_to_string);
    let mounts = mounts.map_err(|_| Errno::IO)?;
    Ok(mounts.lines().all(|line| suits(line, &below)))
}

/// Whether a line of proc_pid_mountinfo(5) is of a mount elsewhere, or of one that is `nosuid`.
fn suits(line: &str, below: &str) -> bool {
    let mut fields = line.split(' ').skip(4);
    let (Some(point), Some(options)) = (fields.next(), fields.next()) else { return false };
    !unescaped(point).starts_with(below) || options.split(',').any(|option| option == "nosuid")
}

/// Blanks and backslashes stand as three octal digits there.
fn unescaped(point: &str) -> String {
    let escapes = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    escapes.iter().fold(point.to_string(), |text, (escape, plain)| text.replace(escape, plain))
}

fn kernel_name(place: BorrowedFd) -> Result<String, Errno> {
    let name = rustix::fs::readlink(fd_path(place), Vec::new())?;
    name.into_string().map_err(|_| Errno::ILSEQ)
}

fn directory(at: BorrowedFd, path: &str) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(at, path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

fn identity(stat: &Stat) -> (u64, u64) {
    (stat.st_dev, stat.st_ino)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File, Permissions};
    use std::os::unix::fs::{PermissionsExt, chown};

    #[test]
    fn a_tree_is_closed_by_a_directory_above_it_and_not_by_its_own_mode() {
        if !rustix::process::geteuid().is_root() {
            eprintln!("SKIPPED a_tree_is_closed_by_a_directory_above_it_and_not_by_its_own_mode: needs root");
            return;
        }
        let dir = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).expect("directory");
        let at = |path: &str| dir.path().join(path);
        fs::create_dir_all(at("closed/open/tree")).expect("directory");
        fs::write(at("closed/open/file"), "").expect("file");
        let mode =
            |path: &str, mode| fs::set_permissions(at(path), Permissions::from_mode(mode)).expect("mode");
        let closed = |path: &str| is_closed(File::open(at(path)).expect("open").as_fd()).expect("looked");
        for (path, bits) in [("", 0o755), ("closed/open/tree", 0o700), ("closed/open", 0o755)] {
            mode(path, bits);
        }
        for (bits, group, expected) in
            [(0o755, 0, false), (0o700, 0, true), (0o750, 4, false), (0o750, 0, true), (0o701, 0, false)]
        {
            chown(at("closed"), Some(0), Some(group)).expect("chown");
            mode("closed", bits);
            for place in ["closed/open/tree", "closed/open/file"] {
                assert_eq!(closed(place), expected, "{place} below {bits:o} of group {group}");
            }
        }
        mode("closed", 0o700);
        chown(at("closed"), Some(1000), Some(0)).expect("chown");
        assert!(!closed("closed/open/tree"), "its owner reaches it");
    }

    #[test]
    fn mounts_below_count_and_mounts_beside_do_not() {
        let line =
            |point: &str, options: &str| format!("36 35 98:0 / {point} {options} master:1 - ext4 /dev/x rw");
        assert!(suits(&line("/srv/vol2", "rw,relatime"), "/srv/vol/"));
        assert!(suits(&line("/srv/vol/a", "rw,nosuid"), "/srv/vol/"));
        assert!(!suits(&line("/srv/vol/a", "rw,relatime"), "/srv/vol/"));
        assert!(!suits(&line("/srv/a\\040b/c", "rw"), "/srv/a b/"));
    }
}
