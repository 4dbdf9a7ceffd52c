//! Descriptors known by number only.

use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};

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

/// Hands a descriptor on to the program that is executed next, at its present number.
pub fn keep_on_exec(fd: BorrowedFd) -> Result<(), Errno> {
    rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::empty())
}

/// Closes, in a freshly cloned child, descriptors whose owner is the parent's stack frame, which the child never
/// returns to. A socket pair's other end kept open would hide the parent's death.
pub fn close_parents(fds: &[RawFd]) {
    for fd in fds {
        // SAFETY: in the child nobody uses or drops these any more.
        unsafe { libc::close(*fd) };
    }
}
