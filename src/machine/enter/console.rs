//! A running container's console and its other terminals, by a connection to its supervisor.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::config::tty::{self, Tty};
use crate::error::{Context, Error, Kind, Result};
use crate::machine::Machine;
use crate::name::MachineName;
use crate::runtime::control::{self, Answer, Request};
use crate::runtime::state;
use crate::sys::scm;
use crate::sys::tty::WindowSize;

/// The largest piece of input or output in one message.
pub const CHUNK: usize = control::CHUNK;

/// A connection about one terminal of a container.
pub struct Console {
    connection: OwnedFd,
    name: MachineName,
}

/// A message of the supervisor.
#[derive(Debug, PartialEq, Eq)]
pub enum Output {
    /// Bytes that were printed on the terminal.
    Bytes(Vec<u8>),
    /// The recorded output was sent, or emptied.
    Done,
    /// The container has ended.
    Ended,
    /// The connection is lost; the container may go on.
    Lost,
}

impl Machine {
    /// Connects to the console, or to terminal `tty`.
    pub fn console(&self, tty: Option<Tty>) -> Result<Console> {
        let name = &self.name;
        let connection = control::connect(self.root(), name).map_err(|errno| {
            let error = format!("container '{name}' has no console to attach to: {}", errno.desc());
            Error::new(Kind::NotFound, error).hint(format!("start it with 'containerctl start {name}'"))
        })?;
        if let Some(tty) = tty {
            let (state, _) = state::require_running(self.root(), name)?;
            if tty.number() > state.ttys {
                return Err(missing(name, tty, state.ttys));
            }
            scm::send(&connection, &control::encode_request(&Request::Select(tty)), None)
                .context(|| format!("failed to ask the supervisor of '{name}' for {tty}"))?;
        }
        Ok(Console { connection, name: name.clone() })
    }
}

impl Console {
    /// Attaches: output is sent from now on, that of the console with its recorded output first.
    pub fn attach(&self, size: WindowSize) -> Result<()> {
        self.send(&Request::Attach(size))
    }

    /// Passes on the size of the window.
    pub fn resize(&self, size: WindowSize) -> Result<()> {
        self.send(&Request::Resize(size))
    }

    /// Types `input`, of at most [`CHUNK`] bytes.
    pub fn input(&self, input: Vec<u8>) -> Result<()> {
        self.send(&Request::Input(input))
    }

    pub(in crate::machine) fn send(&self, request: &Request) -> Result<()> {
        scm::send(&self.connection, &control::encode_request(request), None)
            .context(|| format!("failed to write to the console of '{}'", self.name))
    }

    /// Waits for the next message.
    pub fn receive(&self) -> Result<Output> {
        let mut message = [0; CHUNK + 1];
        let length = match scm::receive(&self.connection, &mut message) {
            Ok((length, _)) => length,
            Err(nix::errno::Errno::ECONNRESET) => 0,
            Err(errno) => return Err(errno).context(|| "failed to read from the console"),
        };
        Ok(match control::decode(&message[..length]) {
            Some(Answer::Output(bytes)) => Output::Bytes(bytes.to_vec()),
            Some(Answer::Done) => Output::Done,
            Some(Answer::Ended) => Output::Ended,
            None => Output::Lost,
        })
    }
}

impl AsFd for Console {
    /// Readable when there is a message.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.connection.as_fd()
    }
}

impl From<Console> for OwnedFd {
    /// The connection itself, for a client that speaks the protocol of [`control`].
    fn from(console: Console) -> OwnedFd {
        console.connection
    }
}

fn missing(name: &MachineName, tty: Tty, there: u8) -> Error {
    let (has, number) = (tty::names(there), tty.number());
    Error::new(Kind::NotFound, format!("container '{name}' has no {tty} beside its console; it has {has}"))
        .hint(format!("'containerctl config set {name} Ttys={number}' gives it some, from its next start on"))
}
