//! The responder's loop: one thread, two sockets per address of the bridge, by UDP and by TCP, one per question that was
//! passed on, and those of the clients by TCP.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::message::{self, Code, Question};
use super::stream::{self, Client, Reply};
use super::{GATEWAY, Hosts};
use crate::error::{Context, Error, Result};
use crate::paths::Root;

/// How long a name server may think.
const PATIENCE: Duration = Duration::from_secs(5);
/// Questions that are passed on at a time; more push out the oldest.
const PENDING: usize = 256;
/// The largest message, as EDNS has it.
pub(super) const LARGEST: usize = 4096;

/// A question that somebody else was asked.
struct Pending {
    /// The socket that the answer comes to: a port of its own, so that nobody can guess it.
    socket: UdpSocket,
    /// Who asked, and by which of our sockets.
    asker: SocketAddr,
    by: usize,
    since: Instant,
}

/// The responder.
struct Responder {
    hosts: PathBuf,
    upstream: PathBuf,
    listeners: Vec<UdpSocket>,
    /// The same addresses by TCP.
    doors: Vec<TcpListener>,
    pending: VecDeque<Pending>,
    clients: Vec<Client>,
}

/// Answers until the end of days. The addresses are those of the bridge, which the file names.
pub fn serve(root: &Root) -> Result<()> {
    let hosts = root.network_hosts();
    let addresses = Hosts::read(&hosts).addresses(GATEWAY);
    if addresses.is_empty() {
        return Err(Error::failed(format!("'{}' names no address to listen at", hosts.display()))
            .hint("start a container: it is written for the first one"));
    }
    let listeners: Vec<UdpSocket> = addresses.iter().filter_map(|address| listen(*address).ok()).collect();
    let doors = addresses.iter().filter_map(|address| open(*address).ok()).collect();
    if listeners.is_empty() {
        return Err(Error::failed("failed to listen at port 53 of any address of 'ctl0'"));
    }
    let upstream = root.path("/etc/resolv.conf");
    Responder { hosts, upstream, listeners, doors, pending: VecDeque::new(), clients: Vec::new() }.run()
}

fn listen(address: IpAddr) -> Result<UdpSocket> {
    let failed = || format!("failed to listen at port 53 of {address}");
    let socket = UdpSocket::bind((address, 53)).context(failed)?;
    socket.set_nonblocking(true).context(failed)?;
    Ok(socket)
}

fn open(address: IpAddr) -> std::io::Result<TcpListener> {
    let door = TcpListener::bind((address, 53))?;
    door.set_nonblocking(true)?;
    Ok(door)
}

impl Responder {
    fn run(mut self) -> Result<()> {
        loop {
            let ready = self.wait()?;
            let (asked, ready) = ready.split_at(self.listeners.len());
            let (called, ready) = ready.split_at(self.doors.len());
            let (answered, stepped) = ready.split_at(self.pending.len());
            self.step(stepped);
            self.pass_back(answered);
            for (by, _) in asked.iter().enumerate().filter(|(_, ready)| **ready) {
                self.take(by);
            }
            for (door, _) in self.doors.iter().zip(called).filter(|(_, ready)| **ready) {
                stream::admit(door, &mut self.clients);
            }
        }
    }

    /// Waits for something to happen; where: sockets, doors, questions passed on, clients.
    fn wait(&self) -> Result<Vec<bool>> {
        let listeners = self.listeners.iter().map(|socket| (socket.as_fd(), PollFlags::POLLIN));
        let doors = self.doors.iter().map(|door| (door.as_fd(), PollFlags::POLLIN));
        let pending = self.pending.iter().map(|pending| (pending.socket.as_fd(), PollFlags::POLLIN));
        let all = listeners.chain(doors).chain(pending).chain(self.clients.iter().map(Client::interest));
        let mut fds: Vec<PollFd> = all.map(|(fd, flags)| PollFd::new(fd, flags)).collect();
        let idle = self.pending.is_empty() && self.clients.is_empty();
        let limit = if idle { PollTimeout::NONE } else { PollTimeout::from(1000_u16) };
        match poll(&mut fds, limit) {
            Err(nix::errno::Errno::EINTR) => {}
            result => _ = result.context(|| "failed to wait for questions")?,
        }
        Ok(fds.iter().map(|fd| fd.any().unwrap_or(false)).collect())
    }

    /// Goes on with clients by TCP, and lets go of those who are done or too slow.
    fn step(&mut self, ready: &[bool]) {
        let mut clients = std::mem::take(&mut self.clients);
        let mut ready = ready.iter();
        clients.retain_mut(|client| {
            let goes_on = ready.next() != Some(&true) || client.step(|query| self.reply(query));
            goes_on && !client.is_late()
        });
        self.clients = clients;
    }

    /// What becomes of a question by TCP.
    fn reply(&self, query: &[u8]) -> Option<Reply> {
        let question = message::parse(query)?;
        let failure = || message::answer(query, &question, Code::Failure, &[]);
        Some(match (self.known(query, &question), first_server(&self.upstream)) {
            (Some(told), _) => Reply::Told(told),
            (None, Some(server)) => Reply::Ask(server),
            (None, None) => Reply::Told(failure()),
        })
    }

    /// The answer to a question about what we know.
    fn known(&self, query: &[u8], question: &Question) -> Option<Vec<u8>> {
        let (code, records) = Hosts::read(&self.hosts).look_up(question)?;
        Some(message::answer(query, question, code, &records))
    }

    /// Takes one question.
    fn take(&mut self, by: usize) {
        let mut buffer = [0; LARGEST];
        let Ok((length, asker)) = self.listeners[by].recv_from(&mut buffer) else { return };
        let query = &buffer[..length];
        let Some(question) = message::parse(query) else { return };
        let told = match self.known(query, &question) {
            Some(told) => message::fit(query, &question, told),
            None => match self.pass_on(query) {
                Some(socket) => {
                    self.pending.push_back(Pending { socket, asker, by, since: Instant::now() });
                    if self.pending.len() > PENDING {
                        self.pending.pop_front();
                    }
                    return;
                }
                None => message::answer(query, &question, Code::Failure, &[]),
            },
        };
        // Whoever has gone meanwhile need not know.
        let _ = self.listeners[by].send_to(&told, asker);
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
        let mut kept = VecDeque::new();
        for (index, pending) in std::mem::take(&mut self.pending).into_iter().enumerate() {
            match answered.get(index) {
                Some(true) => {
                    if let Ok(length) = pending.socket.recv(&mut buffer) {
                        let _ = self.listeners[pending.by].send_to(&buffer[..length], pending.asker);
                    }
                }
                _ if pending.since.elapsed() < PATIENCE => kept.push_back(pending),
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
