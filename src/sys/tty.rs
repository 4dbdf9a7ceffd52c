//! The terminal ioctls (ioctl_tty(2)).

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::errno::Errno;
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, unlockpt};
use rustix::termios::{Winsize, tcgetwinsize, tcsetwinsize};

use crate::sys::to_nix;

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
    unlockpt(master).map_err(to_nix)
}

/// Opens the terminal behind `master` without any path (`TIOCGPTPEER`), close-on-exec, not as controlling tty.
pub fn peer(master: impl AsFd) -> Result<OwnedFd, Errno> {
    ioctl_tiocgptpeer(master, OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).map_err(to_nix)
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
    rustix::process::ioctl_tiocsctty(tty).map_err(to_nix)
}

/// The size of a terminal, where it is one (`TIOCGWINSZ`).
pub fn window_size(tty: impl AsFd) -> Result<WindowSize, Errno> {
    let size = tcgetwinsize(tty).map_err(to_nix)?;
    Ok(WindowSize { rows: size.ws_row, columns: size.ws_col })
}

/// Sets the size of a terminal; what runs in it gets SIGWINCH (`TIOCSWINSZ`).
pub fn set_window_size(tty: impl AsFd, size: WindowSize) -> Result<(), Errno> {
    let size = Winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(tty, size).map_err(to_nix)
}
