//! The container's console: what it prints goes to a ring buffer, to the journal line by line, and to whoever is
//! attached. None of the three can hold the container up: the ring overwrites, the journal and slow clients lose
//! lines and are told how many.

/// A client that is attached.
pub mod client;
/// Lines as the journal gets them.
pub mod lines;
/// How many lines the journal gets.
pub mod rate;
/// The scrollback.
pub mod ring;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::io::Errno;

use crate::error::Result as Fallible;
use crate::supervisor::console::client::Client;
use crate::supervisor::console::lines::Lines;
use crate::supervisor::console::rate::{RateLimit, Verdict};
use crate::supervisor::console::ring::Ring;
use crate::supervisor::control::Scrollback;
use crate::systemd::journal::Journal;

/// The console of a running container.
pub struct Console {
    master: OwnedFd,
    /// Kept open, so that the master does not hang up between two users of the terminal.
    peer: OwnedFd,
    ring: Ring,
    lines: Lines,
    rate: RateLimit,
    unjournaled: u64,
    clients: Vec<Client>,
    input: Vec<u8>,
}

/// Input that the payload has not read yet; more is refused, as a full terminal does.
const INPUT_LIMIT: usize = 64 * 1024;

impl Console {
    /// A console on the master of a terminal and its other end.
    pub fn new(master: OwnedFd, peer: OwnedFd, ring: Ring, rate: RateLimit) -> Result<Console, Errno> {
        let flags = rustix::fs::fcntl_getfl(&master)?;
        rustix::fs::fcntl_setfl(&master, flags | rustix::fs::OFlags::NONBLOCK)?;
        Ok(Console {
            master,
            peer,
            ring,
            lines: Lines::default(),
            rate,
            unjournaled: 0,
            clients: Vec::new(),
            input: Vec::new(),
        })
    }

    /// Master, other end and scrollback, for a successor.
    pub fn into_parts(self) -> (OwnedFd, OwnedFd, OwnedFd) {
        (self.master, self.peer, self.ring.into_fd())
    }

    /// Keeps more or less scrollback from now on.
    pub fn resize_ring(&mut self, bytes: u64) -> Fallible<()> {
        self.ring.resize(bytes)
    }

    /// The terminal's master.
    pub fn master(&self) -> BorrowedFd<'_> {
        self.master.as_fd()
    }

    /// Input waits for the payload to read.
    pub fn wants_to_write(&self) -> bool {
        !self.input.is_empty()
    }

    /// Who is attached, to look at.
    pub fn attached(&self) -> &[Client] {
        &self.clients
    }

    /// Who is attached.
    pub fn clients(&mut self) -> &mut Vec<Client> {
        &mut self.clients
    }

    /// Attaches a client, by its index.
    pub fn attach(&mut self, client: usize) {
        if let Some(client) = self.clients.get_mut(client) {
            client.attach(|| self.ring.content());
        }
    }

    /// Shows a client the scrollback, empties it, or both.
    pub fn scrollback(&mut self, client: usize, wanted: Scrollback) {
        let Some(client) = self.clients.get_mut(client) else { return };
        client.answer(|| match wanted {
            Scrollback::Clear => Vec::new(),
            Scrollback::Show | Scrollback::Take => self.ring.content(),
        });
        if !client.is_gone() && wanted != Scrollback::Show {
            self.ring.clear();
        }
    }

    /// Takes what the payload has printed, a bounded amount per call so that nobody else starves.
    pub fn read(&mut self, journal: &Journal, now: Duration) {
        let mut buffer = [0; 16384];
        for _ in 0..8 {
            match rustix::io::read(&self.master, &mut buffer) {
                Ok(0) | Err(_) => return,
                Ok(count) => self.take(&buffer[..count], journal, now),
            }
        }
    }

    fn take(&mut self, bytes: &[u8], journal: &Journal, now: Duration) {
        self.ring.write(bytes);
        for client in &mut self.clients {
            client.output(bytes);
        }
        for line in self.lines.push(bytes) {
            self.journal(&line, journal, now);
        }
    }

    fn journal(&mut self, line: &str, journal: &Journal, now: Duration) {
        let dropped = match self.rate.judge(now) {
            Verdict::Drop => return,
            Verdict::Pass { dropped } => dropped + std::mem::take(&mut self.unjournaled),
        };
        if dropped > 0 && !journal.console(&format!("[{dropped} lines of the console were dropped here]")) {
            self.unjournaled += dropped;
        }
        if !journal.console(line) {
            self.unjournaled += 1;
        }
    }

    /// A line waits for its end: a prompt, most likely.
    pub fn has_partial_line(&self) -> bool {
        self.lines.is_partial()
    }

    /// Journals a line whose end has not come.
    pub fn end_line(&mut self, journal: &Journal, now: Duration) {
        if let Some(line) = self.lines.rest() {
            self.journal(&line, journal, now);
        }
    }

    /// The last words of a payload that is gone.
    pub fn finish(&mut self, journal: &Journal, now: Duration) {
        self.read(journal, now);
        self.end_line(journal, now);
        let dropped = self.rate.dropped() + self.unjournaled;
        if dropped > 0 {
            journal.console(&format!("[{dropped} lines of the console were dropped here]"));
        }
        for client in &mut self.clients {
            client.end();
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
}
