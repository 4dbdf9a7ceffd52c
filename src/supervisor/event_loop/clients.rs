//! Clients of the control socket and their requests.

use std::os::fd::OwnedFd;

use super::EventLoop;
use super::sources::Happened;
use crate::error::Result;
use crate::runtime::control::{self, Request};
use crate::supervisor::console::client::Client;
use crate::supervisor::lifecycle::{Event, Phase};

/// More connections than this at a time are not accepted.
const CLIENT_LIMIT: usize = 32;

impl EventLoop<'_> {
    /// Takes in who connects.
    pub(super) fn accept(&mut self) {
        while let Some(connection) = control::accept(&self.control) {
            if self.clients.len() < CLIENT_LIMIT {
                self.clients.push(Client::new(connection));
            }
        }
    }

    /// Serves those to whom something happened, and lets go of who is gone.
    pub(super) fn serve_clients(&mut self, happened: &Happened) -> Result<()> {
        for index in happened.clients() {
            self.clients[index].flush();
            while let Some((request, fd)) = self.clients[index].request() {
                self.serve(index, request, fd);
            }
        }
        let let_go = self.clients.iter().any(Client::let_go);
        self.clients.retain(|client| !client.is_gone());
        if let_go && matches!(self.phase, Phase::Running { .. }) {
            self.handle(Event::StopAsked)
        } else {
            Ok(())
        }
    }

    fn serve(&mut self, index: usize, request: Request, fd: Option<OwnedFd>) {
        let EventLoop { terminals, console, clients, .. } = self;
        let client = &mut clients[index];
        let terminal = terminals.get_mut(client.tty());
        match (request, terminal) {
            (Request::Hold, _) => client.hold(),
            (Request::Select(tty), _) => client.select(tty),
            (Request::Scrollback(wanted), _) => console.scrollback(client, wanted),
            (Request::Listen, _) => fd.into_iter().for_each(|listener| self.listen(listener)),
            (Request::Attach(size), Some(terminal)) => {
                // What was printed on another terminal is not kept.
                let tty = client.tty();
                client.attach(|| if tty.is_none() { console.content() } else { Vec::new() });
                terminal.resize(size);
            }
            (Request::Resize(size), Some(terminal)) => terminal.resize(size),
            (Request::Input(bytes), Some(terminal)) => terminal.type_in(&bytes),
            // There is no such terminal.
            (_, None) => client.refuse(),
        }
    }
}
