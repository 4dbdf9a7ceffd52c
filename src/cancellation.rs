//! Cancellation of an operation from outside: passed in by whoever asks for the operation, who may be a program that
//! catches signals, a server whose client has left, or a thread.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout};
use rustix::event::EventfdFlags;

use crate::error::{Context, Error, Kind, Result};

/// The reason for which [`Cancellation::wait`] returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// The descriptor can be read, or has hung up.
    Readable,
    /// The operation is cancelled.
    Cancelled,
    /// The time ran out.
    Late,
}

/// Whether an operation is cancelled. Clones are about the same operation.
#[derive(Clone, Default)]
pub struct Cancellation(Option<Arc<Source>>);

enum Source {
    /// An eventfd, readable once [`Cancellation::cancel`] was called.
    Event(OwnedFd),
    /// A descriptor of the program's, readable once it wants to end.
    Program(fn() -> Result<BorrowedFd<'static>>),
}

impl Cancellation {
    /// An operation that nobody cancels.
    pub fn never() -> Cancellation {
        Cancellation(None)
    }

    /// An operation that [`Cancellation::cancel`] cancels.
    pub fn new() -> Result<Cancellation> {
        let event = rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK);
        let event = event.context(|| "failed to make an eventfd")?;
        Ok(Cancellation(Some(Arc::new(Source::Event(event)))))
    }

    /// An operation that is cancelled once the descriptor returned by `source` can be read. `source` is called when an
    /// operation waits for the first time, so that a program need not catch signals for operations that never wait.
    pub fn by(source: fn() -> Result<BorrowedFd<'static>>) -> Cancellation {
        Cancellation(Some(Arc::new(Source::Program(source))))
    }

    /// Cancels the operation, from any thread. Does nothing to one that the program cancels by a descriptor of its own.
    pub fn cancel(&self) {
        if let Some(Source::Event(event)) = self.0.as_deref() {
            let _ = rustix::io::write(event, &1u64.to_ne_bytes());
        }
    }

    /// The descriptor that is readable from the cancellation on, for good; `None` where nobody cancels.
    pub fn fd(&self) -> Result<Option<BorrowedFd<'_>>> {
        match self.0.as_deref() {
            None => Ok(None),
            Some(Source::Event(event)) => Ok(Some(event.as_fd())),
            Some(Source::Program(source)) => source().map(Some),
        }
    }

    /// Fails with kind `Interrupted` once the operation is cancelled.
    pub fn check(&self) -> Result<()> {
        let Some(fd) = self.fd()? else { return Ok(()) };
        match nix::poll::poll(&mut [PollFd::new(fd, PollFlags::POLLIN)], PollTimeout::ZERO) {
            Ok(0) | Err(_) => Ok(()),
            Ok(_) => Err(cancelled()),
        }
    }

    /// Waits until `fd` can be read, without a time limit; fails once the operation is cancelled.
    pub fn wait_readable(&self, fd: BorrowedFd<'_>) -> Result<()> {
        self.wait(fd, None)?;
        self.check()
    }

    /// Waits until `fd` can be read or the operation is cancelled, at most for `limit`.
    pub fn wait(&self, fd: BorrowedFd<'_>, limit: Option<Duration>) -> Result<Wake> {
        let end = limit.map(|limit| Instant::now() + limit);
        let mut fds = vec![PollFd::new(fd, PollFlags::POLLIN)];
        fds.extend(self.fd()?.map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
        loop {
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            match nix::poll::poll(&mut fds, timeout(left)) {
                Ok(0) if left.is_none_or(|left| !left.is_zero()) => {}
                Ok(0) => return Ok(Wake::Late),
                Ok(_) if fds.get(1).and_then(PollFd::any) == Some(true) => return Ok(Wake::Cancelled),
                Ok(_) => return Ok(Wake::Readable),
                Err(nix::errno::Errno::EINTR) => {}
                Err(errno) => return Err(errno).context(|| "failed to wait for input"),
            }
        }
    }
}

impl fmt::Debug for Cancellation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cancellation")
    }
}

/// Rounded up to milliseconds: a wait that ends too early would make its caller a busy loop.
fn timeout(left: Option<Duration>) -> PollTimeout {
    let millis = left.map(|left| left.as_micros().div_ceil(1000));
    millis.map_or(PollTimeout::NONE, |millis| PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX))
}

/// The error of an operation that was cancelled and has changed nothing.
pub fn cancelled() -> Error {
    Error::new(Kind::Interrupted, "interrupted, nothing was changed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_ends_by_input_by_time_and_by_cancellation() {
        let (reader, writer) = rustix::pipe::pipe().expect("pipe");
        let cancellation = Cancellation::new().expect("made");
        let soon = Some(Duration::ZERO);
        assert_eq!(cancellation.wait(reader.as_fd(), soon).expect("waited"), Wake::Late);
        rustix::io::write(&writer, b"x").expect("written");
        assert_eq!(cancellation.wait(reader.as_fd(), None).expect("waited"), Wake::Readable);
        assert_eq!(Cancellation::never().wait(reader.as_fd(), None).expect("waited"), Wake::Readable);
        cancellation.check().expect("not cancelled");
        cancellation.clone().cancel();
        assert_eq!(cancellation.wait(reader.as_fd(), None).expect("waited"), Wake::Cancelled);
        assert_eq!(cancellation.check().expect_err("cancelled").kind(), Kind::Interrupted);
    }
}
