//! Descriptors known by number only.

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sched::CloneFlags;
use rustix::io::Errno;

/// The first number that is passed (sd_listen_fds(3)).
const FIRST: RawFd = 3;

/// Takes what was passed to this process (sd_listen_fds(3)): names and descriptors, close-on-exec. Whoever asks
/// again gets none, as they have an owner by then.
pub fn passed() -> Vec<(String, OwnedFd)> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    if TAKEN.swap(true, Ordering::SeqCst) {
        return Vec::new();
    }
    let Ok(fds) = sd_notify::listen_fds_with_names() else { return Vec::new() };
    // SAFETY: they were open when we were executed, are meant for this process, and are taken but once.
    fds.map(|(fd, name)| (name, unsafe { OwnedFd::from_raw_fd(fd) })).collect()
}

/// Makes reads and writes of whatever is behind `fd` fail rather than wait.
pub fn never_block(fd: RawFd) -> Result<(), Errno> {
    // SAFETY: only a flag of the open file is changed; were the number not open, the kernel says EBADF.
    let file = unsafe { BorrowedFd::borrow_raw(fd) };
    let flags = rustix::fs::fcntl_getfl(file)?;
    rustix::fs::fcntl_setfl(file, flags | rustix::fs::OFlags::NONBLOCK)
}

/// Lays descriptors out from number 3 on for the program that is executed next (sd_listen_fds(3)). Whatever was
/// there before is closed, so only exec or the end may follow.
///
/// A thread of the bus's that is still ending closes numbers that were its own: from here on this thread has a table of
/// its own (unshare(2), `CLONE_FILES`), in which nobody else closes anything.
pub fn pass_on(fds: &[&OwnedFd]) -> Result<(), Errno> {
    nix::sched::unshare(CloneFlags::CLONE_FILES).map_err(|errno| Errno::from_raw_os_error(errno as i32))?;
    let beyond = FIRST + fds.len() as RawFd;
    // First out of the way, so that none is overwritten before its turn.
    let copies =
        fds.iter().map(|fd| rustix::io::fcntl_dupfd_cloexec(fd, beyond)).collect::<Result<Vec<_>, _>>()?;
    for (number, copy) in (FIRST..).zip(copies) {
        // SAFETY: the owner of what had this number does not use it any more.
        if unsafe { libc::dup2(copy.as_raw_fd(), number) } < 0 {
            return Err(Errno::BADF);
        }
    }
    Ok(())
}

/// Closes, in a freshly cloned child, descriptors whose owner is the parent's stack frame, which the child never
/// returns to. A socket pair's other end kept open would hide the parent's death.
pub fn close_parents(fds: &[RawFd]) {
    for fd in fds {
        // SAFETY: in the child nobody uses or drops these any more.
        unsafe { libc::close(*fd) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_passed_on_is_nobody_elses_to_close() {
        let identity = |fd: RawFd| {
            // SAFETY: only looked at; were the number not open, the kernel says EBADF.
            let found = rustix::fs::fstat(unsafe { BorrowedFd::borrow_raw(fd) });
            found.map(|found| (found.st_dev, found.st_ino))
        };
        let [held, also_held, file] = [(); 3].map(|()| OwnedFd::from(tempfile::tempfile().expect("a file")));
        let all = || [&held, &also_held, &file].map(|fd| identity(fd.as_raw_fd()));
        let before = all();
        let passed = std::thread::scope(|scope| {
            let pass = || {
                pass_on(&[&file, &file]).expect("passed on");
                [identity(FIRST), identity(FIRST + 1)]
            };
            scope.spawn(pass).join().expect("joined")
        });
        assert_eq!(passed, [identity(file.as_raw_fd()); 2]);
        assert_eq!(all(), before);
    }
}
