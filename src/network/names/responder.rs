//! Questions by UDP and TCP on the addresses of the bridge, answered from what is known, or passed on and back. All of it
//! in turns of [`Responder::step`], none of which waits.

use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::poll::PollFlags;

use super::Hosts;
use super::message::{self, Code, Record, STREAM};
use super::shares::{Limits, Owner};
use super::stream::{self, Client, Reply};

/// Time limit for the answer of a name server.
const PATIENCE: Duration = Duration::from_secs(5);
/// Questions that are passed on at a time.
const PENDING: Limits = Limits { each: 32, all: 256 };
/// The largest message, as EDNS has it.
pub(super) const LARGEST: usize = 4096;
/// Questions of one socket that are answered before somebody else has a turn.
const AT_A_TIME: usize = 32;

/// A question that somebody else was asked.
struct Pending {
    /// The socket that the answer comes to: a port of its own, so that nobody can guess it.
    socket: UdpSocket,
    /// The client, and the socket that received its question.
    asker: SocketAddr,
    owner: Owner,
    by: usize,
    since: Instant,
}

/// The responder.
pub struct Responder {
    /// The host's resolv.conf.
    upstream: PathBuf,
    /// Sockets of the bridge.
    datagrams: Vec<UdpSocket>,
    streams: Vec<TcpListener>,
    pending: Vec<Pending>,
    clients: Vec<Client>,
}

impl Responder {
    /// A responder without any socket yet, which asks the first name server in the file `upstream`.
    pub fn new(upstream: PathBuf) -> Responder {
        let (datagrams, streams) = (Vec::new(), Vec::new());
        Responder { upstream, datagrams, streams, pending: Vec::new(), clients: Vec::new() }
    }

    /// Answers on another socket by UDP.
    pub fn listen_udp(&mut self, socket: UdpSocket) {
        self.datagrams.push(socket);
    }

    /// Answers on another socket by TCP.
    pub fn listen_tcp(&mut self, listener: TcpListener) {
        self.streams.push(listener);
    }

    /// Descriptors and events to poll for, in the order that [`Responder::step`] expects.
    pub fn interest(&self) -> Vec<(BorrowedFd<'_>, PollFlags)> {
        let datagrams = self.datagrams.iter().map(|socket| (socket.as_fd(), PollFlags::POLLIN));
        let streams = self.streams.iter().map(|listener| (listener.as_fd(), PollFlags::POLLIN));
        let pending = self.pending.iter().map(|pending| (pending.socket.as_fd(), PollFlags::POLLIN));
        let clients = self.clients.iter().map(Client::interest);
        datagrams.chain(streams).chain(pending).chain(clients).collect()
    }

    /// Whether somebody may be given up on before anything happens.
    pub fn is_busy(&self) -> bool {
        !self.pending.is_empty() || !self.clients.is_empty()
    }

    /// Goes on with all that is `ready`.
    pub fn step(&mut self, ready: &[bool], hosts: &Hosts) {
        let (asked, ready) = ready.split_at(self.datagrams.len());
        let (called, ready) = ready.split_at(self.streams.len());
        let (answered, stepped) = ready.split_at(self.pending.len());
        self.step_clients(stepped, hosts);
        self.pass_back(answered);
        for (by, _) in asked.iter().enumerate().filter(|(_, ready)| **ready) {
            for _ in 0..AT_A_TIME {
                if self.take(by, hosts).is_none() {
                    break;
                }
            }
        }
        for (listener, _) in self.streams.iter().zip(called).filter(|(_, ready)| **ready) {
            stream::admit(listener, &mut self.clients, |address| hosts.owner(address));
        }
    }

    /// Goes on with clients by TCP, and lets go of those who are done or too slow.
    fn step_clients(&mut self, ready: &[bool], hosts: &Hosts) {
        let mut clients = std::mem::take(&mut self.clients);
        let mut ready = ready.iter();
        clients.retain_mut(|client| {
            let goes_on = ready.next() != Some(&true) || client.step(|query| self.reply(query, hosts));
            goes_on && !client.is_late()
        });
        self.clients = clients;
    }

    /// Reply to a question received by TCP.
    fn reply(&self, query: &[u8], hosts: &Hosts) -> Option<Reply> {
        let question = message::parse(query)?;
        let tell = |(code, records): (Code, Vec<Record>)| {
            message::answer(query, &question, code, &records, STREAM).map(Reply::Told)
        };
        match (hosts.look_up(&question), first_server(&self.upstream)) {
            (Some(known), _) => tell(known),
            (None, Some(server)) => Some(Reply::Ask(server)),
            (None, None) => tell((Code::Failure, Vec::new())),
        }
    }

    /// Takes one question; `None`: there is none.
    fn take(&mut self, by: usize, hosts: &Hosts) -> Option<()> {
        let mut buffer = [0; LARGEST];
        let (length, asker) = self.datagrams[by].recv_from(&mut buffer).ok()?;
        let query = &buffer[..length];
        let Some(question) = message::parse(query) else { return Some(()) };
        let (code, records) = match hosts.look_up(&question) {
            Some(known) => known,
            None => match self.pass_on(query) {
                Some(socket) => {
                    let owner = hosts.owner(asker.ip());
                    PENDING.make_room(&mut self.pending, &owner, |pending| &pending.owner);
                    self.pending.push(Pending { socket, asker, owner, by, since: Instant::now() });
                    return Some(());
                }
                None => (Code::Failure, Vec::new()),
            },
        };
        if let Some(told) = message::answer(query, &question, code, &records, message::room(query)) {
            // Whoever has gone meanwhile need not know.
            let _ = self.datagrams[by].send_to(&told, asker);
        }
        Some(())
    }

    /// Asks the host's first name server.
    fn pass_on(&self, query: &[u8]) -> Option<UdpSocket> {
        let server = first_server(&self.upstream)?;
        let any: SocketAddr =
            if server.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
        let socket = UdpSocket::bind(any).ok()?;
        // Only that one is heard.
        socket.connect((server, 53)).ok()?;
        socket.set_nonblocking(true).ok()?;
        socket.send(query).ok()?;
        Some(socket)
    }

    /// Passes back what came, and lets go of what waits for too long.
    fn pass_back(&mut self, answered: &[bool]) {
        let mut buffer = [0; LARGEST];
        let mut kept = Vec::new();
        for (index, pending) in std::mem::take(&mut self.pending).into_iter().enumerate() {
            match answered.get(index) {
                Some(true) => {
                    if let Ok(length) = pending.socket.recv(&mut buffer) {
                        let _ = self.datagrams[pending.by].send_to(&buffer[..length], pending.asker);
                    }
                }
                _ if pending.since.elapsed() < PATIENCE => kept.push(pending),
                _ => {}
            }
        }
        self.pending = kept;
    }
}

/// The first name server of a resolv.conf(5).
fn first_server(path: &Path) -> Option<IpAddr> {
    let text = std::fs::read_to_string(path).ok()?;
    let server = |line: &str| line.strip_prefix("nameserver")?.split_whitespace().next()?.parse().ok();
    text.lines().find_map(server)
}
