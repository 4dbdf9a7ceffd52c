//! The terminal ioctls (ioctl_tty(2)).

use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use nix::errno::Errno;

/// Rows and columns of a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowSize {
    /// Lines.
    pub rows: u16,
    /// Columns.
    pub columns: u16,
}

/// Unlocks the terminal behind a master opened from `ptmx` (`TIOCSPTLCK`).
pub fn unlock(master: impl AsFd) -> Result<(), Errno> {
    let locked: libc::c_int = 0;
    // SAFETY: the kernel reads one int.
    Errno::result(unsafe { libc::ioctl(master.as_fd().as_raw_fd(), libc::TIOCSPTLCK, &raw const locked) })
        .map(drop)
}

/// Opens the terminal behind `master` without any path (`TIOCGPTPEER`), close-on-exec, not as controlling tty.
pub fn peer(master: impl AsFd) -> Result<OwnedFd, Errno> {
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: the argument is a flag word; a new descriptor is returned.
    let fd = unsafe { libc::ioctl(master.as_fd().as_raw_fd(), libc::TIOCGPTPEER, flags) };
    // SAFETY: the descriptor is new and nobody else's.
    Errno::result(fd).map(|fd| unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The number of the terminal behind `master` in its devpts (`TIOCGPTN`).
pub fn number(master: impl AsFd) -> Result<u32, Errno> {
    let mut number: libc::c_uint = 0;
    // SAFETY: the kernel writes one unsigned int.
    Errno::result(unsafe { libc::ioctl(master.as_fd().as_raw_fd(), libc::TIOCGPTN, &raw mut number) })
        .map(|_| number)
}

/// Makes `tty` the controlling terminal of the calling session leader (`TIOCSCTTY`).
pub fn set_controlling(tty: impl AsFd) -> Result<(), Errno> {
    // SAFETY: the argument is a plain number.
    Errno::result(unsafe { libc::ioctl(tty.as_fd().as_raw_fd(), libc::TIOCSCTTY, 0) }).map(drop)
}

/// The size of a terminal, where it is one (`TIOCGWINSZ`).
pub fn window_size(tty: impl AsFd) -> Result<WindowSize, Errno> {
    // SAFETY: an all-zero winsize is valid.
    let mut size: libc::winsize = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes one winsize.
    Errno::result(unsafe { libc::ioctl(tty.as_fd().as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) })
        .map(|_| WindowSize { rows: size.ws_row, columns: size.ws_col })
}

/// Sets the size of a terminal; what runs in it gets SIGWINCH (`TIOCSWINSZ`).
pub fn set_window_size(tty: impl AsFd, size: WindowSize) -> Result<(), Errno> {
    let raw = libc::winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the kernel reads one winsize.
    Errno::result(unsafe { libc::ioctl(tty.as_fd().as_raw_fd(), libc::TIOCSWINSZ, &raw const raw) }).map(drop)
}
