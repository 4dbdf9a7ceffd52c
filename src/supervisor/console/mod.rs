//! The container's console: what it prints goes to a ring buffer, to the journal line by line, and to whoever is
//! attached. None of the three can hold the container up: the ring overwrites, the journal and slow clients lose
//! lines and are told how many.
//!
//! Output of the other terminals ([`terminals`]) goes to attached clients, and while there is none it is
//! read and forgotten.

/// A client that is attached.
pub mod client;
/// The rate limit of lines in the journal.
pub mod rate;
/// The scrollback.
pub mod ring;
/// A pseudo terminal.
pub mod terminal;
/// All of them.
pub mod terminals;

use std::os::fd::OwnedFd;
use std::time::Duration;

use crate::error::Result as Fallible;
use crate::runtime::control::Scrollback;
use crate::runtime::lines::Lines;
use crate::supervisor::console::client::Client;
use crate::supervisor::console::rate::{RateLimit, Verdict};
use crate::supervisor::console::ring::Ring;
use crate::systemd::journal::Journal;

/// The destinations of a container's console output.
pub struct Console {
    ring: Ring,
    lines: Lines,
    rate: RateLimit,
    unjournaled: u64,
}

impl Console {
    /// One with this scrollback.
    pub fn new(ring: Ring, rate: RateLimit) -> Console {
        Console { ring, lines: Lines::default(), rate, unjournaled: 0 }
    }

    /// The scrollback, for a successor.
    pub fn into_ring(self) -> OwnedFd {
        self.ring.into_fd()
    }

    /// Keeps more or less scrollback from now on.
    pub fn resize_ring(&mut self, bytes: u64) -> Fallible<()> {
        self.ring.resize(bytes)
    }

    /// Shows a client the scrollback, empties it, or both.
    pub fn scrollback(&mut self, client: &mut Client, wanted: Scrollback) {
        client.answer(|| match wanted {
            Scrollback::Clear => Vec::new(),
            Scrollback::Show | Scrollback::Take => self.ring.content(),
        });
        if !client.is_gone() && wanted != Scrollback::Show {
            self.ring.clear();
        }
    }

    /// Everything that is still in the scrollback.
    pub fn content(&self) -> Vec<u8> {
        self.ring.content()
    }

    /// Takes what the payload has printed.
    pub fn take(&mut self, bytes: &[u8], journal: &Journal, now: Duration) {
        self.ring.write(bytes);
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

    /// The payload is gone.
    pub fn finish(&mut self, journal: &Journal, now: Duration) {
        self.end_line(journal, now);
        let dropped = self.rate.dropped() + self.unjournaled;
        if dropped > 0 {
            journal.console(&format!("[{dropped} lines of the console were dropped here]"));
        }
    }
}
