//! A client that is attached to the console or another terminal, behind the control socket. A slow one loses output,
//! and is told so.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::config::tty::Tty;
use crate::runtime::control::{self, Answer, Request};

/// Output that waits for a slow client, in bytes.
const QUEUE_LIMIT: usize = 256 * 1024;

/// One connection.
pub struct Client {
    socket: OwnedFd,
    /// The terminal that it is attached to; `None` is the console.
    tty: Option<Tty>,
    attached: bool,
    queue: VecDeque<Vec<u8>>,
    queued: usize,
    skipped: u64,
    gone: bool,
    holds: bool,
}

impl Client {
    /// A connection that was just accepted; it gets no output before it attaches.
    pub fn new(socket: OwnedFd) -> Client {
        Client {
            socket,
            tty: None,
            attached: false,
            queue: VecDeque::new(),
            queued: 0,
            skipped: 0,
            gone: false,
            holds: false,
        }
    }

    /// The connection.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// It hung up, or broke the protocol.
    pub fn is_gone(&self) -> bool {
        self.gone
    }

    /// From now on the container is its.
    pub fn hold(&mut self) {
        self.holds = true;
    }

    /// It held the container, and is gone.
    pub fn let_go(&self) -> bool {
        self.holds && self.gone
    }

    /// The terminal that it is about; `None` is the console.
    pub fn tty(&self) -> Option<Tty> {
        self.tty
    }

    /// From now on it is about this terminal. One that is attached already is cut off: what it has got and what it gets
    /// would be of two.
    pub fn select(&mut self, tty: Tty) {
        self.gone |= self.attached;
        self.tty = Some(tty);
    }

    /// Cuts it off.
    pub fn refuse(&mut self) {
        self.gone = true;
    }

    /// Output waits for it.
    pub fn wants_to_write(&self) -> bool {
        !self.queue.is_empty()
    }

    /// The next request, and the descriptor that came along; `None` when there is none now.
    pub fn request(&mut self) -> Option<(Request, Option<OwnedFd>)> {
        match control::receive(&self.socket) {
            Ok(next) => next,
            Err(_) => {
                self.gone = true;
                None
            }
        }
    }

    /// From now on it gets output, the scrollback first; asked again, it has it already.
    pub fn attach(&mut self, scrollback: impl FnOnce() -> Vec<u8>) {
        if std::mem::replace(&mut self.attached, true) {
            return;
        }
        self.send_scrollback(&scrollback());
        self.flush();
    }

    /// Gets the scrollback, or nothing, and hears that this was all. One that asks again before it has taken what it
    /// asked for is cut off: its queue would have no bound.
    pub fn answer(&mut self, scrollback: impl FnOnce() -> Vec<u8>) {
        if self.gone || self.wants_to_write() {
            self.gone = true;
            return;
        }
        self.send_scrollback(&scrollback());
        self.queue.push_back(control::encode(Answer::Done));
        self.flush();
    }

    /// The scrollback is bounded, and it is what people come for: it is not subject to the queue's limit.
    fn send_scrollback(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(control::CHUNK) {
            self.queue.push_back(control::encode(Answer::Output(chunk)));
        }
    }

    /// Passes on what the payload has printed on a terminal, if it listens to that.
    pub fn output(&mut self, from: Option<Tty>, bytes: &[u8]) {
        if !self.attached || self.gone || from != self.tty {
            return;
        }
        if self.queued + bytes.len() > QUEUE_LIMIT {
            self.skipped += bytes.len() as u64;
            return;
        }
        if self.skipped > 0 {
            let marker = format!("\r\n[{} bytes skipped]\r\n", std::mem::take(&mut self.skipped));
            self.enqueue(Answer::Output(marker.as_bytes()));
        }
        for chunk in bytes.chunks(control::CHUNK) {
            self.enqueue(Answer::Output(chunk));
        }
        self.flush();
    }

    /// The container is gone.
    pub fn end(&mut self) {
        self.enqueue(Answer::Ended);
        self.flush();
    }

    fn enqueue(&mut self, answer: Answer) {
        let message = control::encode(answer);
        self.queued += message.len();
        self.queue.push_back(message);
    }

    /// Sends as much as the client takes now.
    pub fn flush(&mut self) {
        while let Some(message) = self.queue.front() {
            match control::send_now(&self.socket, message) {
                Ok(true) => {
                    self.queued = self.queued.saturating_sub(message.len());
                    self.queue.pop_front();
                }
                Ok(false) => return,
                Err(_) => {
                    self.gone = true;
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_attaches_again_and_again_takes_no_memory() {
        let (ours, _theirs) = crate::sys::scm::pair().expect("pair");
        let mut client = Client::new(ours);
        (0..100).for_each(|_| client.attach(|| vec![b'x'; 1 << 20]));
        assert!(client.queue.len() <= (1 << 20) / control::CHUNK);
    }

    #[test]
    fn who_asks_again_before_having_read_is_cut_off() {
        let (ours, _theirs) = crate::sys::scm::pair().expect("pair");
        let mut client = Client::new(ours);
        client.answer(|| vec![b'x'; 1 << 20]);
        assert!(!client.is_gone() && client.wants_to_write());
        let queued = client.queue.len();
        (0..100).for_each(|_| client.answer(|| vec![b'x'; 1 << 20]));
        assert!(client.is_gone() && client.queue.len() == queued);
    }

    #[test]
    fn what_is_printed_elsewhere_is_not_heard() {
        let (ours, theirs) = crate::sys::scm::pair().expect("pair");
        let (mut client, tty) = (Client::new(ours), Tty::new(1).expect("valid"));
        client.select(tty);
        client.attach(Vec::new);
        for (from, text) in [(None, "console"), (Tty::new(2), "two"), (Some(tty), "one")] {
            client.output(from, text.as_bytes());
        }
        let mut message = [0; 16];
        let (len, _) = crate::sys::scm::receive(&theirs, &mut message).expect("received");
        assert_eq!(control::decode(&message[..len]), Some(Answer::Output(b"one")));
        client.select(tty);
        assert!(client.is_gone(), "it is attached already");
    }

    #[test]
    fn an_answer_ends_with_done() {
        let (ours, theirs) = crate::sys::scm::pair().expect("pair");
        Client::new(ours).answer(|| b"up".to_vec());
        let mut message = [0; 16];
        for expected in [Answer::Output(b"up"), Answer::Done] {
            let (len, _) = crate::sys::scm::receive(&theirs, &mut message).expect("received");
            assert_eq!(control::decode(&message[..len]), Some(expected));
        }
    }
}
