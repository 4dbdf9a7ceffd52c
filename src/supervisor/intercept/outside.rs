//! The program that answers, at a start: whether it is there, and its answers up to the exec of the payload.

use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags};

use super::proxy::{Address, connect_to};
use super::{Interceptor, StoredCalls, Taking};
use crate::config::Definition;
use crate::error::{Cause, Context, Error, Kind, Result};
use crate::runtime::state::State;
use crate::sandbox::seccomp::ProfileFile;
use crate::storage::host_path::Fault;
use crate::supervisor::event_loop::monotonic;
use crate::sys::listener::{Calls, Sizes};
use crate::sys::poll::{happened, poll};
use crate::systemd::journal::Journal;

/// A start's half of an [`Interceptor`].
pub struct Outside<'a> {
    interceptor: Interceptor,
    journal: &'a Journal,
}

/// Refuses a profile that asks outside where the kernel cannot, or where nobody answers.
pub fn check(definition: &Definition, profile: Option<&ProfileFile>) -> Result<()> {
    let exec = &definition.settings.exec;
    let (Some(asking), Some(socket)) = (profile.and_then(ProfileFile::asking), &exec.seccomp_notify_proxy)
    else {
        return Ok(());
    };
    Sizes::of_the_kernel().map_err(|errno| {
        let why = format!("{asking} this kernel does not ask a program about calls: {}", errno.desc());
        Error::new(Kind::Unsupported, why)
    })?;
    connect_to(socket).map(drop).map_err(|fault| absent(definition, socket, &fault))
}

fn absent(definition: &Definition, socket: &str, fault: &Fault) -> Error {
    let named = definition.named("Exec", "SeccompNotifyProxy");
    let kind = if fault.errno() == Errno::ENOENT { Kind::NotFound } else { Kind::Failed };
    Error::new(kind, format!("{named} nobody listens at '{socket}': {}", fault.cause()))
        .hint("start the program first; After= and Requires= in [Unit] do so every time")
}

impl<'a> Outside<'a> {
    /// For the payload of a state.
    pub fn new(state: &State, journal: &'a Journal) -> Result<Outside<'a>> {
        let calls = Calls::new().context(|| "failed to make room for calls that are answered outside")?;
        let stored = StoredCalls { listeners: Vec::new(), calls: calls.into_fd() };
        Ok(Outside { interceptor: Interceptor::new(stored, Address::of(state), state.leader)?, journal })
    }

    /// The payload's listener.
    pub fn add(&mut self, listener: OwnedFd) {
        self.interceptor.add(listener);
    }

    /// Has calls answered until something can be read from `socket`.
    pub fn serve_until_readable(&mut self, socket: impl AsFd) -> Result<()> {
        loop {
            let limit = self.interceptor.limit(monotonic());
            let mut fds = vec![PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
            fds.extend(self.interceptor.watched(Taking::Yes).map(|(fd, wanted)| PollFd::new(fd, wanted)));
            poll(&mut fds, limit).context(|| "failed to wait for the container's first process")?;
            if happened(&fds[0]) {
                return Ok(());
            }
            let complaints = self.interceptor.serve(Taking::Yes, monotonic());
            complaints.iter().for_each(|why| self.journal.warning(why));
        }
    }

    /// The descriptors to store for the supervisor. Calls that the program has not answered by now fail.
    pub fn into_stored(self) -> StoredCalls {
        self.interceptor.into_stored()
    }
}
