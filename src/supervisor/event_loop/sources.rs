//! The descriptors of the loop, by name. The loop decides the order of handling, not the order of descriptors.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags};

use crate::config::tty::Tty;
use crate::error::{Context, Result};
use crate::sys::poll::{happened, poll};

/// A source of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The leader ended.
    Leader,
    /// The payload printed on a terminal, or reads what was typed; none is the console.
    Terminal(Option<Tty>),
    /// The payload's PID 1 notifies.
    Notifications,
    /// Somebody connects to the control socket.
    Control,
    /// A signal to us.
    Signals,
    /// An address was added or taken away in the container's network.
    Network,
    /// A call that is answered outside, an answer, or the end of who makes or answers them.
    Calls,
    /// A client, by its index: it asks for something, takes output, or hung up.
    Client(usize),
}

/// The events wanted of a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Nothing but its end.
    End,
    /// Something to read.
    Read,
    /// That, and room for what waits to be written.
    ReadWrite,
}

impl Interest {
    /// Reading, and writing where something waits for it.
    pub fn with_output(waits: bool) -> Interest {
        if waits { Interest::ReadWrite } else { Interest::Read }
    }

    fn flags(self) -> PollFlags {
        match self {
            Interest::End => PollFlags::empty(),
            Interest::Read => PollFlags::POLLIN,
            Interest::ReadWrite => PollFlags::POLLIN | PollFlags::POLLOUT,
        }
    }
}

/// Everything that is waited for.
#[derive(Default)]
pub struct Sources<'a> {
    names: Vec<Source>,
    fds: Vec<PollFd<'a>>,
}

impl<'a> Sources<'a> {
    /// One more.
    pub fn add(&mut self, source: Source, fd: BorrowedFd<'a>, interest: Interest) {
        self.names.push(source);
        self.fds.push(PollFd::new(fd, interest.flags()));
    }

    /// Waits until something happens or `limit` is over.
    pub fn wait(mut self, limit: Option<Duration>) -> Result<Happened> {
        poll(&mut self.fds, limit).context(|| "failed to wait for events")?;
        let named = self.names.into_iter().zip(&self.fds);
        Ok(Happened(named.filter(|(_, fd)| happened(fd)).map(|(name, _)| name).collect()))
    }
}

/// The sources with events.
pub struct Happened(Vec<Source>);

impl Happened {
    /// Whether something happened there.
    pub fn at(&self, source: Source) -> bool {
        self.0.contains(&source)
    }

    /// The terminals at which something happened.
    pub fn terminals(&self) -> impl Iterator<Item = Option<Tty>> {
        self.0.iter().filter_map(|source| match source {
            Source::Terminal(tty) => Some(*tty),
            _ => None,
        })
    }

    /// The clients to which something happened, by index.
    pub fn clients(&self) -> impl Iterator<Item = usize> {
        self.0.iter().filter_map(|source| match source {
            Source::Client(index) => Some(*index),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn what_happened_is_told_by_name_wherever_it_was_added() {
        let (quiet, _quiet) = crate::sys::scm::pair().expect("pair");
        let (loud, other) = crate::sys::scm::pair().expect("pair");
        crate::sys::scm::send(&other, b"x", None).expect("send");
        let mut sources = Sources::default();
        sources.add(Source::Terminal(None), quiet.as_fd(), Interest::Read);
        sources.add(Source::Client(1), loud.as_fd(), Interest::Read);
        sources.add(Source::Client(0), quiet.as_fd(), Interest::Read);
        sources.add(Source::Terminal(Tty::new(2)), loud.as_fd(), Interest::Read);
        sources.add(Source::Leader, loud.as_fd(), Interest::Read);
        let happened = sources.wait(None).expect("waited");
        assert!(happened.at(Source::Leader) && !happened.at(Source::Terminal(None)));
        assert_eq!(happened.clients().collect::<Vec<_>>(), [1]);
        assert_eq!(happened.terminals().collect::<Vec<_>>(), [Tty::new(2)]);
    }

    #[test]
    fn room_counts_for_those_only_who_have_something_to_write() {
        let (ours, _theirs) = crate::sys::scm::pair().expect("pair");
        for (waits, expected) in [(false, false), (true, true)] {
            let mut sources = Sources::default();
            sources.add(Source::Leader, ours.as_fd(), Interest::with_output(waits));
            let happened = sources.wait(Some(Duration::ZERO)).expect("waited");
            assert_eq!(happened.at(Source::Leader), expected);
        }
    }
}
