//! flock(2): a lock goes with its owner, however that ends. On a directory it needs no file of its own.

use std::fs::File;
use std::io::{Error, ErrorKind, Result};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::fcntl::{Flock, FlockArg};

/// Locks the directory at `path`. [`ErrorKind::WouldBlock`]: somebody else has it. [`ErrorKind::NotFound`]: it is
/// not there, or is not there any more.
pub fn lock_directory(path: &Path) -> Result<Flock<File>> {
    let flags = libc::O_DIRECTORY | libc::O_NOFOLLOW;
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    let held = Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| Error::from(errno))?;
    // Whoever had it may have taken the directory away before we got the lock.
    let (at, ours) = (rustix::fs::lstat(path)?, rustix::fs::fstat(&*held)?);
    match (at.st_dev, at.st_ino) == (ours.st_dev, ours.st_ino) {
        true => Ok(held),
        false => Err(ErrorKind::NotFound.into()),
    }
}

/// Locks the file at `path`, made where it is missing, and waits as long as somebody else has it.
pub fn lock_file(path: &Path) -> Result<Flock<File>> {
    let file = File::options().create(true).append(true).open(path)?;
    Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| Error::from(errno))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_one_persons_and_of_what_is_there() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("p1");
        std::fs::create_dir(&path).expect("mkdir");
        let held = lock_directory(&path).expect("lock");
        assert_eq!(lock_directory(&path).expect_err("held").kind(), ErrorKind::WouldBlock);
        drop(held);
        lock_directory(&path).expect("free again");
        std::fs::remove_dir(&path).expect("rmdir");
        assert_eq!(lock_directory(&path).expect_err("gone").kind(), ErrorKind::NotFound);
    }
}
