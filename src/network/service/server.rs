//! The loop of the service: one thread, which waits for its sockets and its own times, and for nothing else.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags};
use rustix::net::netdevice::name_to_index;
use rustix::net::sockopt::set_socket_broadcast;
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};

use super::dhcp::{self, Pool};
use super::health::Health;
use super::known::Known;
use super::router::Router;
use super::sockets;
use crate::error::{Context, Error, Result};
use crate::network::managed::BRIDGE;
use crate::network::names::Responder;
use crate::paths::Root;
use crate::sys::poll::{happened, poll};

/// Between two attempts at what did not work.
const RETRY: Duration = Duration::from_secs(2);
/// Between two looks for the bridge, and the longest wait of all.
const LOOK: Duration = Duration::from_secs(30);
/// Between two looks for questions that nobody answers.
const TICK: Duration = Duration::from_secs(1);
/// Messages of DHCP that are answered before somebody else has a turn.
const AT_A_TIME: usize = 16;

/// Answers guests until the bridge is gone.
pub fn serve(root: &Root) -> Result<()> {
    let bridge = index().ok_or_else(|| {
        Error::failed(format!("there is no bridge '{BRIDGE}'"))
            .hint("start a container: it is made for the first one")
    })?;
    let router = router(bridge);
    keep_right_to_ports()?;
    let server = Server {
        bridge,
        router,
        known: Known::new(root.network_leases()),
        health: Health::new(root.network_status()),
        responder: Responder::new(root.path("/etc/resolv.conf")),
        names: Vec::new(),
        dhcp: None,
        pool: Pool::default(),
        tried: None,
    };
    server.run()
}

/// The bridge's number, if it is there.
fn index() -> Option<u32> {
    name_to_index(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).ok()?, BRIDGE).ok()
}

/// The router's side; none on a host without IPv6.
fn router(bridge: u32) -> Option<Router> {
    match Router::open(bridge) {
        Ok(router) => Some(router),
        Err(error) => {
            log::warn!("no router advertisements: {error}, ignoring");
            None
        }
    }
}

/// Gives up all rights but that to ports below 1024: what is sent by containers is read from here on.
fn keep_right_to_ports() -> Result<()> {
    let failed = || "failed to give up capabilities";
    let kept = capabilities(None).context(failed)?.permitted & CapabilitySet::NET_BIND_SERVICE;
    let sets = CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
    set_capabilities(None, sets).context(failed)
}

/// The sockets, and what is behind them.
struct Server {
    bridge: u32,
    router: Option<Router>,
    known: Known,
    health: Health,
    responder: Responder,
    /// Addresses and protocols by which the responder listens.
    names: Vec<(IpAddr, Protocol)>,
    dhcp: Option<UdpSocket>,
    pool: Pool,
    tried: Option<Instant>,
}

/// A protocol by which names are asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Udp,
    Tcp,
}

/// In this order.
const BOTH: [Protocol; 2] = [Protocol::Udp, Protocol::Tcp];

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(if *self == Protocol::Udp { "UDP" } else { "TCP" })
    }
}

impl Server {
    fn run(mut self) -> Result<()> {
        let mut looked = Instant::now();
        loop {
            if !self.health.is_good() && self.tried.is_none_or(|tried| tried.elapsed() >= RETRY) {
                self.tried = Some(Instant::now());
                let problems = self.open_missing();
                self.health.say(problems);
            }
            if looked.elapsed() >= LOOK {
                if index() != Some(self.bridge) {
                    return Ok(());
                }
                looked = Instant::now();
            }
            let ready = self.wait()?;
            self.step(&ready);
        }
    }

    /// Opens the sockets that there are not yet. Returns what does not work.
    fn open_missing(&mut self) -> Vec<String> {
        if let Err(error) = self.known.refresh() {
            return vec![error.to_string()];
        }
        let Some(table) = &self.known.table else {
            return vec!["nobody has an address yet".to_string()];
        };
        let addresses = table.addresses().map(|prefix| prefix.address);
        let mut refused = Vec::new();
        for (address, protocol) in addresses.into_iter().flat_map(|address| BOTH.map(|by| (address, by))) {
            if !self.names.contains(&(address, protocol)) {
                match listen(&mut self.responder, address, protocol) {
                    Ok(()) => self.names.push((address, protocol)),
                    Err(error) => refused.push((format!("{address} {protocol}"), error)),
                }
            }
        }
        let mut problems = Vec::from_iter(problem("names", 53, &refused));
        if self.dhcp.is_none() {
            match listen_dhcp() {
                Ok(socket) => self.dhcp = Some(socket),
                Err(error) => problems.extend(problem("DHCP", 67, &[("all addresses".to_string(), error)])),
            }
        }
        problems
    }

    /// Waits for something to do; which of the sockets are ready: the responder's, DHCP's, the router's.
    fn wait(&self) -> Result<Vec<bool>> {
        let mut all = self.responder.interest();
        all.extend(self.dhcp.as_ref().map(|socket| (socket.as_fd(), PollFlags::POLLIN)));
        all.extend(self.router.as_ref().map(|router| (router.fd(), PollFlags::POLLIN)));
        let mut fds: Vec<PollFd> = all.into_iter().map(|(fd, flags)| PollFd::new(fd, flags)).collect();
        poll(&mut fds, Some(self.limit())).context(|| "failed to wait for questions")?;
        Ok(fds.iter().map(happened).collect())
    }

    /// The longest that may be waited.
    fn limit(&self) -> Duration {
        let mut limit = self.router.as_ref().map_or(LOOK, |router| router.due().min(LOOK));
        if self.responder.is_busy() {
            limit = limit.min(TICK);
        }
        if !self.health.is_good() {
            limit = limit.min(RETRY);
        }
        limit
    }

    /// Goes on with all that is ready.
    fn step(&mut self, ready: &[bool]) {
        // Half of a table is none; the one before it stands until it is whole.
        if let Err(error) = self.known.refresh() {
            log::warn!("{error}, ignoring");
        }
        let own = usize::from(self.dhcp.is_some()) + usize::from(self.router.is_some());
        let (names, own) = ready.split_at(ready.len() - own);
        self.responder.step(names, &self.known.hosts);
        if own.first() == Some(&true) {
            self.answer_dhcp();
        }
        if let (Some(router), Some(table)) = (&mut self.router, &self.known.table) {
            router.step(table.prefix6());
        }
    }

    fn answer_dhcp(&mut self) {
        let (Some(socket), Some(table)) = (&self.dhcp, &self.known.table) else { return };
        let mut buffer = [0; 1500];
        for _ in 0..AT_A_TIME {
            let Ok((length, _)) = socket.recv_from(&mut buffer) else { return };
            let answer = dhcp::parse(&buffer[..length]).and_then(|request| self.pool.answer(&request, table));
            if let Some(answer) = answer {
                // Whoever is not reached asks again.
                let _ = socket.send_to(&answer.message, (answer.to, 68));
            }
        }
    }
}

/// Has the responder listen at an address of the bridge.
fn listen(responder: &mut Responder, address: IpAddr, protocol: Protocol) -> io::Result<()> {
    match protocol {
        Protocol::Udp => sockets::udp((address, 53).into()).map(|socket| responder.listen_udp(socket)),
        Protocol::Tcp => sockets::tcp((address, 53).into()).map(|socket| responder.listen_tcp(socket)),
    }
}

/// The socket on which clients of DHCP are heard, and answered before they have an address.
fn listen_dhcp() -> io::Result<UdpSocket> {
    let socket = sockets::shared_udp((Ipv4Addr::UNSPECIFIED, 67).into())?;
    set_socket_broadcast(&socket, true)?;
    Ok(socket)
}

/// The sentence for places at which a port is `refused`.
fn problem(what: &str, port: u16, refused: &[(String, io::Error)]) -> Option<String> {
    let (_, first) = refused.first()?;
    let places = refused.iter().map(|(place, _)| place.as_str()).collect::<Vec<_>>().join(", ");
    let why = match first.kind() {
        ErrorKind::AddrInUse => {
            "is taken by another program of the host's: have it leave out the addresses of 'ctl0'".to_string()
        }
        _ => format!("cannot be used: {first}"),
    };
    Some(format!("{what} of '{BRIDGE}' do not work: port {port} ({places}) {why}"))
}

#[cfg(test)]
mod tests {
    use nix::errno::Errno;

    use super::*;

    #[test]
    fn what_does_not_work_is_said_in_one_sentence() {
        let refused = |place: &str, errno: Errno| (place.to_string(), io::Error::from(errno));
        let taken = [refused("10.0.0.1 UDP", Errno::EADDRINUSE), refused("10.0.0.1 TCP", Errno::EADDRINUSE)];
        let said = problem("names", 53, &taken).expect("a problem");
        assert!(said.contains("port 53 (10.0.0.1 UDP, 10.0.0.1 TCP) is taken"), "{said}");
        assert!(
            problem("DHCP", 67, &[refused("x", Errno::EACCES)]).expect("one").contains("cannot be used: ")
        );
        assert_eq!(problem("names", 53, &[]), None);
    }
}
