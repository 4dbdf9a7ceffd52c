//! The cgroups below one, which a container may have nested deeper than a path is long: they are walked by descriptor.

use std::ffi::{CStr, CString};
use std::io::Read;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RawDir, ResolveFlags, openat2, unlinkat};
use rustix::io::Errno;

/// A container may have many cgroups in one another; more than this are not looked into.
const LOOKED_INTO: usize = 10_000;
/// Cgroups in one another that are looked into: each takes a descriptor meanwhile.
const DEEPEST: usize = 256;

/// The processes of the cgroup at `top` and of all below it; those of threaded ones are listed in the cgroup above.
pub fn pids(top: &Path) -> Vec<i32> {
    let mut found = Found { pids: Vec::new(), left: LOOKED_INTO };
    if let Ok(top) = rustix::fs::openat(CWD, top, DIRECTORY, Mode::empty()) {
        found.collect(&top, DEEPEST);
    }
    found.pids
}

/// Removes the cgroup `name` of `above` and all below it, the deepest first. One that is not there is fine; one that a
/// process is in is `EBUSY`.
pub(super) fn remove(above: &OwnedFd, name: &CStr) -> Result<(), Errno> {
    let mut names = vec![name.to_owned()];
    let mut current = match descend(above, name) {
        Err(Errno::NOENT) => return Ok(()),
        opened => opened?,
    };
    while let Some(last) = names.last() {
        match directories(&current, 1)?.pop() {
            Some(below) => {
                current = descend(&current, &below)?;
                names.push(below);
            }
            None => {
                // No cgroup changes its place, so that the one above is the one that we came from.
                current = rustix::fs::openat(&current, c"..", DIRECTORY, Mode::empty())?;
                match unlinkat(&current, last, AtFlags::REMOVEDIR) {
                    Err(errno) if errno != Errno::NOENT => return Err(errno),
                    _ => names.pop(),
                };
            }
        }
    }
    Ok(())
}

/// Flags for opening a cgroup's directory.
const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Opens a cgroup of another one, and nothing that is mounted there.
pub(super) fn descend(above: &OwnedFd, name: &CStr) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    openat2(above, name, DIRECTORY, Mode::empty(), resolve)
}

/// The content of a small file of a cgroup; empty where there is none.
pub(super) fn read(cgroup: &OwnedFd, file: &CStr) -> String {
    let mut text = String::new();
    if let Ok(file) = rustix::fs::openat(cgroup, file, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) {
        let _ = std::fs::File::from(file).read_to_string(&mut text);
    }
    text
}

/// The names of the cgroups in another one, `limit` of them at the most.
fn directories(cgroup: &OwnedFd, limit: usize) -> Result<Vec<CString>, Errno> {
    // Opened anew, it is read from its beginning.
    let again = rustix::fs::openat(cgroup, c".", DIRECTORY, Mode::empty())?;
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let (mut entries, mut found) = (RawDir::new(again, &mut buffer), Vec::new());
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let is_own = matches!(entry.file_name().to_bytes(), b"." | b"..");
        if entry.file_type() == FileType::Directory && !is_own {
            found.push(entry.file_name().to_owned());
        }
        if found.len() == limit {
            break;
        }
    }
    Ok(found)
}

/// Processes found so far.
struct Found {
    pids: Vec<i32>,
    /// Cgroups that may still be looked into.
    left: usize,
}

impl Found {
    fn collect(&mut self, cgroup: &OwnedFd, deeper: usize) {
        if self.left == 0 || deeper == 0 {
            return;
        }
        self.left -= 1;
        let procs = read(cgroup, c"cgroup.procs");
        self.pids.extend(procs.lines().filter_map(|line| line.parse::<i32>().ok()).filter(|pid| *pid > 0));
        for name in directories(cgroup, self.left).unwrap_or_default() {
            if let Ok(below) = descend(cgroup, &name) {
                self.collect(&below, deeper - 1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_nested_deeper_than_a_path_is_long_is_found_and_removed() {
        let dir = tempfile::tempdir().expect("directory");
        let top = rustix::fs::openat(CWD, dir.path(), DIRECTORY, Mode::empty()).expect("opened");
        let name = CString::new(vec![b'd'; 200]).expect("a name");
        rustix::fs::mkdirat(&top, c"payload", Mode::RWXU).expect("made");
        let mut current = descend(&top, c"payload").expect("opened");
        for _ in 0..30 {
            rustix::fs::mkdirat(&current, &name, Mode::RWXU).expect("made");
            current = descend(&current, &name).expect("opened");
        }
        let file = rustix::fs::openat(&current, c"cgroup.procs", OFlags::CREATE | OFlags::WRONLY, Mode::RWXU);
        rustix::io::write(file.expect("made"), b"0\n17\n").expect("written");
        assert_eq!(pids(dir.path()), [17]);
        rustix::fs::unlinkat(&current, c"cgroup.procs", AtFlags::empty()).expect("removed");
        remove(&top, c"payload").expect("removed");
        assert!(!dir.path().join("payload").exists());
        remove(&top, c"payload").expect("nothing is fine");
    }
}
