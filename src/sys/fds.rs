//! Descriptors known by number only.

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::io::Errno;

/// Takes ownership of a descriptor that was passed to this process, and marks it close-on-exec.
///
/// # Safety
/// `fd` must be open and owned by nobody else.
pub unsafe fn take(fd: RawFd) -> Result<OwnedFd, Errno> {
    // SAFETY: the caller hands the descriptor over.
    let owned = unsafe { OwnedFd::from_raw_fd(fd) };
    rustix::io::fcntl_setfd(&owned, rustix::io::FdFlags::CLOEXEC)?;
    Ok(owned)
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
pub fn pass_on(fds: &[&OwnedFd]) -> Result<(), Errno> {
    let first = 3;
    let beyond = first + fds.len() as RawFd;
    // First out of the way, so that none is overwritten before its turn.
    let copies =
        fds.iter().map(|fd| rustix::io::fcntl_dupfd_cloexec(fd, beyond)).collect::<Result<Vec<_>, _>>()?;
    for (number, copy) in (first..).zip(copies) {
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
