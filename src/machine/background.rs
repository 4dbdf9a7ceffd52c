//! A call of the bus in a thread of its own, so that its caller can stop waiting by a deadline or a cancellation.
//!
//! The thread and the operation in systemd go on after the caller has stopped waiting.

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use nix::sys::signal::SigSet;

use crate::cancellation::{Cancellation, Wake, cancelled};
use crate::error::{Context, Error, Result};

/// The receiving end of a thread's reports.
pub struct Background<T> {
    reports: Receiver<T>,
    wake: UnixStream,
    cancellation: Cancellation,
}

/// The thread's end.
pub struct Reporter<T> {
    reports: Sender<T>,
    wake: UnixStream,
}

/// The reason for which [`Background::next`] returned.
#[derive(Debug, PartialEq, Eq)]
pub enum Received<T> {
    /// The thread reported this.
    Report(T),
    /// The thread has ended.
    End,
    /// The deadline passed.
    Late,
    /// The operation was cancelled.
    Cancelled,
}

impl<T: Send + 'static> Background<T> {
    /// Starts the thread.
    pub fn start(
        cancellation: &Cancellation,
        work: impl FnOnce(&Reporter<T>) + Send + 'static,
    ) -> Result<Background<T>> {
        let (background, reporter) = Background::new(cancellation)?;
        reporter.start(work)?;
        Ok(background)
    }

    /// Starts two threads; the end comes once both have ended.
    pub fn start_two(
        cancellation: &Cancellation,
        one: impl FnOnce(&Reporter<T>) + Send + 'static,
        other: impl FnOnce(&Reporter<T>) + Send + 'static,
    ) -> Result<Background<T>> {
        let (background, reporter) = Background::new(cancellation)?;
        let wake = reporter.wake.try_clone().context(|| "failed to start a thread")?;
        Reporter { reports: reporter.reports.clone(), wake }.start(other)?;
        reporter.start(one)?;
        Ok(background)
    }

    fn new(cancellation: &Cancellation) -> Result<(Background<T>, Reporter<T>)> {
        // From here on signals of a program that catches them are caught.
        cancellation.fd()?;
        let (wake, theirs) = UnixStream::pair().context(|| "failed to start a thread")?;
        let (sender, reports) = mpsc::channel();
        let background = Background { reports, wake, cancellation: cancellation.clone() };
        Ok((background, Reporter { reports: sender, wake: theirs }))
    }

    /// Waits for the next report, at most until `deadline`.
    pub fn next(&mut self, deadline: Option<Instant>) -> Result<Received<T>> {
        let limit = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        match self.cancellation.wait(self.wake.as_fd(), limit)? {
            Wake::Cancelled => return Ok(Received::Cancelled),
            Wake::Late => return Ok(Received::Late),
            Wake::Readable => {}
        }
        // One byte for each report; end of file once the thread is gone.
        let count = self.wake.read(&mut [0]).context(|| "failed to wait for a call of the bus")?;
        match (count, self.reports.recv()) {
            (1, Ok(report)) => Ok(Received::Report(report)),
            _ => Ok(Received::End),
        }
    }
}

impl<T: Send + 'static> Reporter<T> {
    fn start(self, work: impl FnOnce(&Reporter<T>) + Send + 'static) -> Result<()> {
        let work = move || {
            // Signals are the program's.
            let _ = SigSet::all().thread_block();
            work(&self);
        };
        let started = std::thread::Builder::new().spawn(work);
        started.map(drop).context(|| "failed to start a thread")
    }

    /// Sends a report; false once nobody receives.
    pub fn report(&self, report: T) -> bool {
        self.reports.send(report).is_ok() && (&self.wake).write_all(&[0]).is_ok()
    }
}

/// Makes a call that may take longer than anyone waits; `late` makes the error then.
pub fn within<T: Send + 'static>(
    cancellation: &Cancellation,
    limit: Duration,
    call: impl FnOnce() -> Result<T> + Send + 'static,
    late: impl FnOnce() -> Error,
) -> Result<T> {
    let mut background = Background::start(cancellation, move |reporter| _ = reporter.report(call()))?;
    match background.next(Some(Instant::now() + limit))? {
        Received::Report(result) => result,
        Received::Cancelled => Err(cancelled()),
        Received::Late | Received::End => Err(late()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_report_is_received_and_then_the_end() {
        let never = Cancellation::never();
        let mut background = Background::start(&never, |reporter: &Reporter<u32>| {
            (0..3).for_each(|number| assert!(reporter.report(number)));
        })
        .expect("started");
        for number in 0..3 {
            assert_eq!(background.next(None).expect("received"), Received::Report(number));
        }
        assert_eq!(background.next(None).expect("received"), Received::End);
    }

    #[test]
    fn a_deadline_and_a_cancellation_end_the_wait() {
        let (hold, held) = mpsc::channel::<()>();
        let cancellation = Cancellation::new().expect("made");
        let work = move |_: &Reporter<()>| _ = held.recv();
        let mut background = Background::start(&cancellation, work).expect("started");
        assert_eq!(background.next(Some(Instant::now())).expect("received"), Received::Late);
        cancellation.cancel();
        assert_eq!(background.next(None).expect("received"), Received::Cancelled);
        drop(hold);
    }
}
