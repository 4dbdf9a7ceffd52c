//! A conversation with the bus in a thread of its own, so that the caller hears of ^C and of the time as well.
//!
//! What was asked for goes on in systemd, whoever stops listening.

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use crate::error::{Context, Error, Result};
use crate::sys::interrupt::{Event, Interrupt};

/// The listener's end.
pub struct Conversation<T> {
    told: Receiver<T>,
    bell: UnixStream,
    interrupt: Interrupt,
}

/// The thread's end.
pub struct Teller<T> {
    tell: Sender<T>,
    bell: UnixStream,
}

/// What the listener hears.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard<T> {
    /// This.
    News(T),
    /// The conversation is over.
    End,
    /// The time came.
    Late,
    /// SIGINT, SIGTERM or SIGHUP.
    Interrupted,
}

impl<T: Send + 'static> Conversation<T> {
    /// Begins it.
    pub fn begin(talk: impl FnOnce(&Teller<T>) + Send + 'static) -> Result<Conversation<T>> {
        let (conversation, teller) = Conversation::new()?;
        teller.start(talk)?;
        Ok(conversation)
    }

    /// Begins one in which two threads talk; it is over when both are done.
    pub fn begin_both(
        one: impl FnOnce(&Teller<T>) + Send + 'static,
        other: impl FnOnce(&Teller<T>) + Send + 'static,
    ) -> Result<Conversation<T>> {
        let (conversation, teller) = Conversation::new()?;
        let bell = teller.bell.try_clone().context(|| "failed to start a thread")?;
        Teller { tell: teller.tell.clone(), bell }.start(other)?;
        teller.start(one)?;
        Ok(conversation)
    }

    fn new() -> Result<(Conversation<T>, Teller<T>)> {
        let (bell, rings) = UnixStream::pair().context(|| "failed to start a thread")?;
        let (tell, told) = mpsc::channel();
        let interrupt = Interrupt::catch()?;
        Ok((Conversation { told, bell, interrupt }, Teller { tell, bell: rings }))
    }

    /// Waits for the next thing that is told, at most until `end`.
    pub fn next(&mut self, end: Option<Instant>) -> Result<Heard<T>> {
        let limit = end.map(|end| end.saturating_duration_since(Instant::now()));
        match self.interrupt.wait(self.bell.as_fd(), limit)? {
            Event::Interrupted => return Ok(Heard::Interrupted),
            Event::Late => return Ok(Heard::Late),
            Event::Readable => {}
        }
        // One byte for one thing told; none is left once the thread is gone.
        let rung = self.bell.read(&mut [0]).context(|| "failed to hear of the bus")?;
        match (rung, self.told.recv()) {
            (1, Ok(news)) => Ok(Heard::News(news)),
            _ => Ok(Heard::End),
        }
    }
}

impl<T: Send + 'static> Teller<T> {
    fn start(self, talk: impl FnOnce(&Teller<T>) + Send + 'static) -> Result<()> {
        let started = std::thread::Builder::new().spawn(move || talk(&self));
        started.map(drop).context(|| "failed to start a thread")
    }

    /// Tells; false once nobody listens.
    pub fn tell(&self, news: T) -> bool {
        self.tell.send(news).is_ok() && (&self.bell).write_all(&[0]).is_ok()
    }
}

/// Does something that may take longer than anyone waits; `late` is the error then.
pub fn within<T: Send + 'static>(
    limit: Duration,
    talk: impl FnOnce() -> Result<T> + Send + 'static,
    late: impl FnOnce() -> Error,
) -> Result<T> {
    let mut conversation = Conversation::begin(move |teller| _ = teller.tell(talk()))?;
    match conversation.next(Some(Instant::now() + limit))? {
        Heard::News(result) => result,
        Heard::Interrupted => Err(crate::sys::interrupt::interrupted()),
        Heard::Late | Heard::End => Err(late()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_told_is_heard_and_then_the_end() {
        let mut conversation = Conversation::begin(|teller: &Teller<u32>| {
            (0..3).for_each(|number| assert!(teller.tell(number)));
        })
        .expect("begun");
        for number in 0..3 {
            assert_eq!(conversation.next(None).expect("heard"), Heard::News(number));
        }
        assert_eq!(conversation.next(None).expect("heard"), Heard::End);
    }

    #[test]
    fn the_time_is_kept() {
        let (hold, held) = mpsc::channel::<()>();
        let mut conversation = Conversation::begin(move |_: &Teller<()>| _ = held.recv()).expect("begun");
        assert_eq!(conversation.next(Some(Instant::now())).expect("heard"), Heard::Late);
        drop(hold);
        assert_eq!(conversation.next(None).expect("heard"), Heard::End);
    }
}
