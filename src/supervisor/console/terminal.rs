//! A pseudo terminal of the container's, seen from its master's side. It never blocks us.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::sys::tty::{self, WindowSize};

/// Input that the payload has not read yet; more is refused, as a full terminal does.
const INPUT_LIMIT: usize = 64 * 1024;
/// The largest piece that is read at once, and how many of them before somebody else has a turn.
const PIECE: usize = 16384;
const PIECES: usize = 8;

/// One terminal.
pub struct Terminal {
    master: OwnedFd,
    /// StoredFds open, so that the master does not hang up between two users of the terminal.
    peer: OwnedFd,
    input: Vec<u8>,
}

impl Terminal {
    /// A terminal by its master and its other end.
    pub fn new(master: OwnedFd, peer: OwnedFd) -> Result<Terminal, Errno> {
        let flags = rustix::fs::fcntl_getfl(&master)?;
        rustix::fs::fcntl_setfl(&master, flags | OFlags::NONBLOCK)?;
        Ok(Terminal { master, peer, input: Vec::new() })
    }

    /// Master and other end, for a successor.
    pub fn into_parts(self) -> (OwnedFd, OwnedFd) {
        (self.master, self.peer)
    }

    /// The master.
    pub fn master(&self) -> BorrowedFd<'_> {
        self.master.as_fd()
    }

    /// Input waits for the payload to read.
    pub fn wants_to_write(&self) -> bool {
        !self.input.is_empty()
    }

    /// Takes what the payload has printed, a bounded amount per call so that nobody else starves.
    pub fn read(&self, mut take: impl FnMut(&[u8])) {
        let mut buffer = [0; PIECE];
        for _ in 0..PIECES {
            match rustix::io::read(&self.master, &mut buffer) {
                Ok(0) | Err(_) => return,
                Ok(count) => take(&buffer[..count]),
            }
        }
    }

    /// Somebody typed.
    pub fn type_in(&mut self, bytes: &[u8]) {
        let room = INPUT_LIMIT.saturating_sub(self.input.len());
        self.input.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.flush_input();
    }

    /// Passes on as much input as the terminal takes.
    pub fn flush_input(&mut self) {
        while !self.input.is_empty() {
            match rustix::io::write(&self.master, &self.input) {
                Ok(written) => drop(self.input.drain(..written)),
                Err(Errno::AGAIN) => return,
                Err(_) => return self.input.clear(),
            }
        }
    }

    /// The window in which it is looked at has this size; one of a client that has none is of no use to the payload.
    pub fn resize(&self, size: WindowSize) {
        if size.rows > 0 && size.columns > 0 {
            let _ = tty::set_window_size(&self.master, size);
        }
    }
}
