//! The connection to the program that answers. Nothing here waits for it.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};

use crate::paths::Root;
use crate::runtime::state::State;
use crate::storage::host_path::{Fault, HostPaths, fd_path};
use crate::sys::{scm, to_errno};

/// Longer than any answer.
const LONGEST: usize = 512;

/// The socket of the program and the cookie that is sent with every call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Address {
    /// `SeccompNotifyProxy=`.
    pub socket: String,
    /// `SeccompNotifyCookie=`.
    pub cookie: String,
}

impl Address {
    /// As a state tells it.
    pub fn of(state: &State) -> Address {
        Address { socket: state.notify_proxy.clone(), cookie: state.notify_cookie.clone() }
    }
}

/// The program, as far as we know it.
pub struct Proxy {
    address: Address,
    connection: Option<OwnedFd>,
}

/// Input from the program.
pub enum News {
    /// A packet.
    Packet(Vec<u8>),
    /// Nothing now.
    Nothing,
    /// It is gone.
    Gone,
}

/// Connects to a program that listens at `address`, without waiting. EAGAIN: too many wait for it already.
pub fn connect_to(address: &str) -> Result<OwnedFd, Fault> {
    match address.strip_prefix('@') {
        Some(name) => Ok(connected(UnixAddr::new_abstract(name.as_bytes()))?),
        None => {
            let place = HostPaths::new(&Root::system()).open(address.as_ref())?;
            Ok(connected(UnixAddr::new(fd_path(place.as_fd()).as_str()))?)
        }
    }
}

fn connected(address: Result<UnixAddr, Errno>) -> Result<OwnedFd, rustix::io::Errno> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let connected = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None)
        .and_then(|fd| connect(fd.as_raw_fd(), &address?).map(|()| fd));
    connected.map_err(to_errno)
}

impl Proxy {
    /// A proxy that connects with the first call.
    pub fn new(address: Address) -> Proxy {
        Proxy { address, connection: None }
    }

    /// The socket of the program.
    pub fn socket(&self) -> &str {
        &self.address.socket
    }

    /// The cookie that is sent with every call.
    pub fn cookie(&self) -> &[u8] {
        self.address.cookie.as_bytes()
    }

    /// The connection, while there is one.
    pub fn connection(&self) -> Option<BorrowedFd<'_>> {
        self.connection.as_ref().map(AsFd::as_fd)
    }

    /// Sends a packet; over a new connection where there is none.
    pub fn send(&mut self, message: &[u8], fds: &[RawFd]) -> Result<(), Errno> {
        if self.connection.is_none() {
            self.connection = Some(connect_to(&self.address.socket).map_err(|fault| fault.errno())?);
        }
        self.connection.as_ref().map_or(Err(Errno::ENOTCONN), |it| scm::send_fds(it, message, fds))
    }

    /// Reads the program's input.
    pub fn receive(&mut self) -> News {
        let Some(connection) = &self.connection else { return News::Nothing };
        let mut message = vec![0; LONGEST];
        match scm::receive_from(connection, &mut message) {
            Err(Errno::EAGAIN | Errno::EINTR) => News::Nothing,
            Err(_) | Ok((0, _)) => News::Gone,
            Ok((length, _)) => {
                message.truncate(length);
                News::Packet(message)
            }
        }
    }

    /// Hangs up.
    pub fn hang_up(&mut self) {
        self.connection = None;
    }
}
