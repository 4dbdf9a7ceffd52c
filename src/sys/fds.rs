//! Descriptors known by number only.

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{Mode, OFlags};
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

/// Takes every number from 3 on that is free, so that nobody else has one of the first `count`, until it is dropped. What
/// [`pass_on`] puts there, a thread of the bus's might close otherwise, taking it for what it had there before.
pub fn reserve(count: usize) -> Result<Vec<OwnedFd>, Errno> {
    let beyond = FIRST + count as RawFd;
    let mut taken = vec![rustix::fs::open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?];
    while taken.last().is_some_and(|fd| fd.as_raw_fd() < beyond) {
        taken.push(rustix::io::fcntl_dupfd_cloexec(&taken[0], FIRST)?);
    }
    Ok(taken)
}

/// Lays descriptors out from number 3 on for the program that is executed next (sd_listen_fds(3)). Whatever was
/// there before is closed, so only exec or the end may follow.
pub fn pass_on(fds: &[&OwnedFd]) -> Result<(), Errno> {
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
    fn what_is_opened_later_has_none_of_the_reserved_numbers() {
        let taken = reserve(40).expect("reserved");
        let later = rustix::io::dup(&taken[0]).expect("duplicated");
        assert!(later.as_raw_fd() >= FIRST + 40);
        drop(taken);
        assert!(rustix::io::dup(&later).expect("duplicated").as_raw_fd() < FIRST + 40);
    }
}
