//! Questions by TCP (RFC 7766): what does not fit a datagram, for resolvers that were told so. One question of a client's
//! at a time, a share of the clients for each container, and none that dawdles.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::poll::PollFlags;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with};

use super::shares::{Limits, Owner};

/// Time limit of each step of a client or name server, and of a client between two questions.
const PATIENCE: Duration = Duration::from_secs(5);
/// Clients at a time.
const CLIENTS: Limits = Limits { each: 8, all: 64 };
/// The longest question.
const QUESTION: usize = 4096;

/// Reply to a question.
pub enum Reply {
    /// This is the answer.
    Told(Vec<u8>),
    /// This name server is asked.
    Ask(IpAddr),
}

/// Stage of a client's connection.
enum Stage {
    /// Receives a question, preceded by its length.
    Asking(Vec<u8>),
    /// A name server has the question, but for what is left of it here; its answer comes.
    Passed { server: TcpStream, left: Vec<u8>, answer: Vec<u8> },
    /// The answer goes.
    Telling(Vec<u8>),
}

/// One client.
pub struct Client {
    socket: TcpStream,
    owner: Owner,
    since: Instant,
    stage: Stage,
}

/// Takes those who wait to be connected; `owner_of` says whose an address is.
pub fn admit(listener: &TcpListener, clients: &mut Vec<Client>, owner_of: impl Fn(IpAddr) -> Owner) {
    while let Ok((socket, address)) = listener.accept() {
        if socket.set_nonblocking(true).is_ok() {
            let owner = owner_of(address.ip());
            CLIENTS.make_room(clients, &owner, |client| &client.owner);
            clients.push(Client { socket, owner, since: Instant::now(), stage: Stage::Asking(Vec::new()) });
        }
    }
}

impl Client {
    /// Descriptor and events to poll for.
    pub fn interest(&self) -> (BorrowedFd<'_>, PollFlags) {
        match &self.stage {
            Stage::Asking(_) => (self.socket.as_fd(), PollFlags::POLLIN),
            Stage::Passed { server, left, .. } if left.is_empty() => (server.as_fd(), PollFlags::POLLIN),
            Stage::Passed { server, .. } => (server.as_fd(), PollFlags::POLLOUT),
            Stage::Telling(_) => (self.socket.as_fd(), PollFlags::POLLOUT),
        }
    }

    /// Whether it has taken too long.
    pub fn is_late(&self) -> bool {
        self.since.elapsed() > PATIENCE
    }

    /// Goes on as far as it can; `false`: it is over. `reply` says what becomes of a question, `None` of what is none.
    pub fn step(&mut self, reply: impl FnOnce(&[u8]) -> Option<Reply>) -> bool {
        let stage = std::mem::replace(&mut self.stage, Stage::Asking(Vec::new()));
        let Some(next) = self.next(stage, reply) else { return false };
        self.stage = next;
        true
    }

    fn next(&mut self, stage: Stage, reply: impl FnOnce(&[u8]) -> Option<Reply>) -> Option<Stage> {
        match stage {
            Stage::Asking(mut question) => {
                if !receive(&mut self.socket, &mut question, QUESTION)? {
                    return Some(Stage::Asking(question));
                }
                self.since = Instant::now();
                match reply(&question[2..])? {
                    Reply::Told(answer) => framed(&answer).map(Stage::Telling),
                    Reply::Ask(server) => {
                        Some(Stage::Passed { server: call(server)?, left: question, answer: Vec::new() })
                    }
                }
            }
            Stage::Passed { mut server, mut left, mut answer } => {
                if !left.is_empty() {
                    send(&mut server, &mut left)?;
                } else if receive(&mut server, &mut answer, usize::from(u16::MAX))? {
                    return Some(Stage::Telling(answer));
                }
                Some(Stage::Passed { server, left, answer })
            }
            Stage::Telling(mut answer) => {
                send(&mut self.socket, &mut answer)?;
                if !answer.is_empty() {
                    return Some(Stage::Telling(answer));
                }
                self.since = Instant::now();
                Some(Stage::Asking(answer))
            }
        }
    }
}

/// With its length in front.
fn framed(message: &[u8]) -> Option<Vec<u8>> {
    Some([&u16::try_from(message.len()).ok()?.to_be_bytes(), message].concat())
}

/// Reads on at a message with its length in front, and not beyond; whether it is whole. `None`: that is no message, or
/// the other end is gone.
fn receive(from: &mut impl Read, message: &mut Vec<u8>, longest: usize) -> Option<bool> {
    loop {
        let wanted = match message.first_chunk::<2>() {
            None => 2,
            Some(length) => 2 + usize::from(u16::from_be_bytes(*length)),
        };
        if wanted > longest + 2 {
            return None;
        }
        let have = message.len();
        if have == wanted && have > 2 {
            return Some(true);
        }
        message.resize(wanted, 0);
        let read = from.read(&mut message[have..]);
        message.truncate(have + read.as_ref().copied().unwrap_or(0));
        match read {
            Ok(0) => return None,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Some(false),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
}

/// Writes as much as goes; `None`: the other end is gone.
fn send(to: &mut impl Write, left: &mut Vec<u8>) -> Option<()> {
    match to.write(left) {
        Ok(written) => left.drain(..written),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
            return Some(());
        }
        Err(_) => return None,
    };
    Some(())
}

/// Calls a name server, and does not wait for it to answer the call.
fn call(server: IpAddr) -> Option<TcpStream> {
    let family = if server.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let stream = TcpStream::from(socket_with(family, SocketType::STREAM, flags, None).ok()?);
    match connect(&stream, &SocketAddr::new(server, 53)) {
        Ok(()) | Err(Errno::INPROGRESS) => Some(stream),
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_client_asks_twice_and_is_told() {
        let door = TcpListener::bind("127.0.0.1:0").expect("bind");
        door.set_nonblocking(true).expect("flags");
        let mut other = TcpStream::connect(door.local_addr().expect("address")).expect("connect");
        other.set_nodelay(true).expect("option");
        let mut clients = Vec::new();
        admit(&door, &mut clients, |_| Owner::Other);
        for word in [&b"first"[..], b"second"] {
            // In two pieces, as it may come.
            let question = framed(word).expect("short");
            other.write_all(&question[..3]).expect("written");
            assert!(clients[0].step(|_| None));
            other.write_all(&question[3..]).expect("written");
            assert!(clients[0].step(|asked| Some(Reply::Told([asked, b"!"].concat()))));
            assert_eq!(clients[0].interest().1, PollFlags::POLLOUT);
            assert!(clients[0].step(|_| None));
            let mut told = vec![0; word.len() + 3];
            other.read_exact(&mut told).expect("read");
            assert_eq!(told, framed(&[word, b"!"].concat()).expect("short"));
        }
        drop(other);
        assert!(!clients[0].step(|_| None));
    }

    #[test]
    fn nobody_has_more_than_a_handful() {
        let door = TcpListener::bind("127.0.0.1:0").expect("bind");
        door.set_nonblocking(true).expect("flags");
        let address = door.local_addr().expect("address");
        let _others: Vec<_> =
            (0..CLIENTS.each + 3).map(|_| TcpStream::connect(address).expect("connect")).collect();
        let mut clients = Vec::new();
        admit(&door, &mut clients, |_| Owner::Other);
        assert_eq!(clients.len(), CLIENTS.each);
    }

    proptest! {
        #[test]
        fn what_comes_is_read_whole_or_not_at_all(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut message = Vec::new();
            if receive(&mut &bytes[..], &mut message, 200) == Some(true) {
                let length = usize::from(u16::from_be_bytes([bytes[0], bytes[1]]));
                prop_assert_eq!(&message[..], &bytes[..2 + length]);
                prop_assert!((1..=200).contains(&length));
            }
        }
    }
}
