//! Input and output between the container's terminals and attached clients.

use super::{EventLoop, monotonic};
use crate::config::tty::Tty;

impl EventLoop<'_> {
    /// Takes what was printed on a terminal, whoever looks, and passes on what waits to be typed.
    pub(super) fn relay(&mut self, tty: Option<Tty>) {
        let EventLoop { terminals, console, clients, journal, .. } = self;
        let Some(terminal) = terminals.get_mut(tty) else { return };
        terminal.read(|bytes| {
            if tty.is_none() {
                console.take(bytes, journal, monotonic());
            }
            clients.iter_mut().for_each(|client| client.output(tty, bytes));
        });
        terminal.flush_input();
    }

    /// The last words of a payload that is gone.
    pub(super) fn end_terminals(&mut self) {
        let all: Vec<Option<Tty>> = self.terminals.iter().map(|(tty, _)| tty).collect();
        all.into_iter().for_each(|tty| self.relay(tty));
        self.console.finish(self.journal, monotonic());
        self.clients.iter_mut().for_each(|client| client.end());
    }
}
