//! Calls that are made only to see whether they are allowed.

use std::os::fd::{AsFd, AsRawFd};

use nix::errno::Errno;

/// Calls the kernel by number, with arguments that mean nothing to any call that is probed: null pointers, and
/// descriptors that are not open.
pub fn call(number: i64) -> Result<(), Errno> {
    const NOTHING: libc::c_long = 0;
    // SAFETY: no pointer is passed that the kernel could read or write through.
    let result = unsafe { libc::syscall(number, NOTHING, NOTHING, NOTHING, NOTHING, NOTHING, NOTHING) };
    Errno::result(result).map(drop)
}

/// Makes a socket and closes it again.
pub fn socket(family: i32, kind: i32, protocol: i32) -> Result<(), Errno> {
    // SAFETY: no memory is passed.
    let fd = Errno::result(unsafe { libc::socket(family, kind | libc::SOCK_CLOEXEC, protocol) })?;
    // SAFETY: the descriptor is new and nobody else's.
    unsafe { libc::close(fd) };
    Ok(())
}

/// Makes a terminal ioctl whose argument is one character.
pub fn tty_ioctl(tty: impl AsFd, request: u64) -> Result<(), Errno> {
    let character: libc::c_char = 0;
    // SAFETY: the kernel reads at most the one byte.
    let result = unsafe { libc::ioctl(tty.as_fd().as_raw_fd(), request as _, &raw const character) };
    Errno::result(result).map(drop)
}
