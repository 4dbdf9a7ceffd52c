//! Who is connected to the control socket, and what they ask for.

use std::os::fd::OwnedFd;

use super::Watch;
use super::sources::Happened;
use crate::error::Result;
use crate::supervisor::console::client::Client;
use crate::supervisor::control::{self, Request};
use crate::supervisor::lifecycle::{Event, Phase};
use crate::sys::tty;

/// More connections than this at a time are not accepted.
const CLIENT_LIMIT: usize = 32;

impl Watch<'_> {
    /// Takes in who connects.
    pub(super) fn accept(&mut self) {
        while let Some(connection) = control::accept(&self.control) {
            if self.console.clients().len() < CLIENT_LIMIT {
                self.console.clients().push(Client::new(connection));
            }
        }
    }

    /// Serves those to whom something happened, and lets go of who is gone.
    pub(super) fn serve_clients(&mut self, happened: &Happened) -> Result<()> {
        for index in happened.clients() {
            self.console.clients()[index].flush();
            while let Some((request, fd)) = self.console.clients()[index].request() {
                self.serve(index, request, fd);
            }
        }
        let let_go = self.console.clients().iter().any(Client::let_go);
        self.console.clients().retain(|client| !client.is_gone());
        if let_go && matches!(self.phase, Phase::Running { .. }) {
            self.handle(Event::StopAsked)
        } else {
            Ok(())
        }
    }

    fn serve(&mut self, index: usize, request: Request, fd: Option<OwnedFd>) {
        match request {
            Request::Attach(size) => {
                self.console.attach(index);
                self.resize(size);
            }
            Request::Hold => self.console.clients()[index].hold(),
            Request::Resize(size) => self.resize(size),
            Request::Input(bytes) => self.console.type_in(&bytes),
            Request::Listen => fd.into_iter().for_each(|listener| self.listen(listener)),
            Request::Scrollback(wanted) => self.console.scrollback(index, wanted),
        }
    }

    fn resize(&self, size: tty::WindowSize) {
        // The window of a client that has none is of no use to the payload.
        if size.rows > 0 && size.columns > 0 {
            let _ = tty::set_window_size(self.console.master(), size);
        }
    }
}
