//! The control socket `/run/containerctl/NAME/control` and what is said on it.
//!
//! A sequenced-packet socket in a directory that only root can enter. One packet is one message: a letter and
//! what belongs to it. Both sides bound what they take, and a client that says anything else is cut off.
//!
//! | from | letter | then | meaning |
//! |---|---|---|---|
//! | client | `Y` | a number | what follows is about this terminal, not the console; before attaching |
//! | client | `A` | rows, columns (two bytes each, little end first) | attach |
//! | client | `H` | | the container is to be stopped when this connection ends |
//! | client | `I` | bytes | input |
//! | client | `W` | rows, columns | the window has a new size |
//! | client | `L` | | the scrollback, please |
//! | client | `C` | | the scrollback is to be emptied |
//! | client | `T` | | both: nothing that is printed meanwhile is lost |
//! | client | `N` | the listener of a system call filter comes along | answer on this one, too |
//! | supervisor | `O` | bytes | output; of the console, the scrollback comes first |
//! | supervisor | `D` | | `L`, `C` or `T` is done |
//! | supervisor | `E` | | the container has ended |

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    self, AddressFamily, Backlog, MsgFlags, SockFlag, SockType, UnixAddr, bind, send, socket,
};

use crate::config::tty::Tty;
use crate::error::{Context, Result};
use crate::name::MachineName;
use crate::paths::Root;
use crate::runtime::directory::Runtime;
use crate::sys::scm;
use crate::sys::tty::WindowSize;

/// The socket, below a machine's run-time directory.
const SOCKET: &str = "control";
/// The largest piece of input or output in one message.
pub const CHUNK: usize = 4096;

/// A request of a client.
#[derive(Debug, PartialEq, Eq)]
pub enum Request {
    /// Selects a terminal in place of the console for the requests that follow.
    Select(Tty),
    /// Attach to it.
    Attach(WindowSize),
    /// The container is to be stopped when this connection ends.
    Hold,
    /// Type this.
    Input(Vec<u8>),
    /// The window has a new size.
    Resize(WindowSize),
    /// Show or empty the scrollback, without attaching.
    Scrollback(Scrollback),
    /// Answer on the listener that comes along.
    Listen,
}

/// An operation on the scrollback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scrollback {
    /// Send it.
    Show,
    /// Empty it.
    Clear,
    /// Send it, then empty it.
    Take,
}

/// A reply of the supervisor.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer<'a> {
    /// The payload printed this.
    Output(&'a [u8]),
    /// The operation on the scrollback is complete.
    Done,
    /// The container has ended.
    Ended,
}

/// The message of a request.
pub fn encode_request(request: &Request) -> Vec<u8> {
    let size = |letter, size: &WindowSize| {
        let (rows, columns) = (size.rows.to_le_bytes(), size.columns.to_le_bytes());
        vec![letter, rows[0], rows[1], columns[0], columns[1]]
    };
    match request {
        Request::Select(tty) => vec![b'Y', tty.number()],
        Request::Attach(window) => size(b'A', window),
        Request::Hold => b"H".to_vec(),
        Request::Resize(window) => size(b'W', window),
        Request::Input(bytes) => [b"I", bytes.as_slice()].concat(),
        Request::Listen => b"N".to_vec(),
        Request::Scrollback(Scrollback::Show) => b"L".to_vec(),
        Request::Scrollback(Scrollback::Clear) => b"C".to_vec(),
        Request::Scrollback(Scrollback::Take) => b"T".to_vec(),
    }
}

/// The request in a message; `None` if it is none.
pub fn decode_request(message: &[u8]) -> Option<Request> {
    let size = |bytes: &[u8]| {
        let [r0, r1, c0, c1] = *bytes else { return None };
        Some(WindowSize { rows: u16::from_le_bytes([r0, r1]), columns: u16::from_le_bytes([c0, c1]) })
    };
    match message.split_first()? {
        (b'Y', [number]) => Tty::new(*number).map(Request::Select),
        (b'A', rest) => size(rest).map(Request::Attach),
        (b'H', []) => Some(Request::Hold),
        (b'W', rest) => size(rest).map(Request::Resize),
        (b'I', rest) if rest.len() <= CHUNK => Some(Request::Input(rest.to_vec())),
        (b'N', []) => Some(Request::Listen),
        (b'L', []) => Some(Request::Scrollback(Scrollback::Show)),
        (b'C', []) => Some(Request::Scrollback(Scrollback::Clear)),
        (b'T', []) => Some(Request::Scrollback(Scrollback::Take)),
        _ => None,
    }
}

/// The message of an answer.
pub fn encode(answer: Answer) -> Vec<u8> {
    match answer {
        Answer::Output(bytes) => [b"O", bytes].concat(),
        Answer::Done => b"D".to_vec(),
        Answer::Ended => b"E".to_vec(),
    }
}

/// The answer in a message; `None` if it is none.
pub fn decode(message: &[u8]) -> Option<Answer<'_>> {
    match message.split_first()? {
        (b'O', rest) => Some(Answer::Output(rest)),
        (b'D', []) => Some(Answer::Done),
        (b'E', []) => Some(Answer::Ended),
        _ => None,
    }
}

/// Listens for clients of a machine, in place of whatever a killed predecessor left there.
pub fn listen(runtime: &Runtime) -> Result<OwnedFd> {
    let path = &runtime.path(SOCKET);
    let failed = || format!("failed to listen at '{}'", path.display());
    let _ = std::fs::remove_file(path);
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None).context(failed)?;
    bind(fd.as_raw_fd(), &UnixAddr::new(path).context(failed)?).context(failed)?;
    socket::listen(&fd, Backlog::new(16).context(failed)?).context(failed)?;
    Ok(fd)
}

/// Takes the next connection; `None` when there is none.
pub fn accept(listener: impl AsFd) -> Option<OwnedFd> {
    scm::accept(listener).ok()
}

/// Connects to the supervisor of a machine.
pub fn connect(root: &Root, name: &MachineName) -> Result<OwnedFd, Errno> {
    let fd = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None)?;
    socket::connect(fd.as_raw_fd(), &UnixAddr::new(&root.runtime_of(name).join(SOCKET))?)?;
    Ok(fd)
}

/// The next request on a non-blocking connection, and the descriptor that came along; `None` when there is none now.
/// Hang-up and nonsense are errors.
pub fn receive(connection: impl AsFd) -> Result<Option<(Request, Option<OwnedFd>)>, Errno> {
    let mut message = [0; CHUNK + 2];
    match scm::receive(connection, &mut message) {
        Err(Errno::EAGAIN) => Ok(None),
        Err(errno) => Err(errno),
        Ok((0, _)) => Err(Errno::EPIPE),
        Ok((len, fd)) => {
            decode_request(&message[..len]).map(|request| Some((request, fd))).ok_or(Errno::EBADMSG)
        }
    }
}

/// Sends one message if the other side takes it now.
pub fn send_now(connection: impl AsFd, message: &[u8]) -> Result<bool, Errno> {
    match send(connection.as_fd().as_raw_fd(), message, MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT) {
        Ok(_) => Ok(true),
        Err(Errno::EAGAIN | Errno::ENOBUFS | Errno::EINTR) => Ok(false),
        Err(errno) => Err(errno),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn requests_arrive_as_they_were_meant() {
        let size = WindowSize { rows: 24, columns: 300 };
        for request in [
            Request::Select(Tty::new(63).expect("valid")),
            Request::Attach(size),
            Request::Hold,
            Request::Resize(size),
            Request::Input(b"ls\r".to_vec()),
            Request::Scrollback(Scrollback::Show),
            Request::Scrollback(Scrollback::Clear),
            Request::Scrollback(Scrollback::Take),
            Request::Listen,
        ] {
            assert_eq!(decode_request(&encode_request(&request)), Some(request));
        }
        assert_eq!(decode(&encode(Answer::Output(b"x"))), Some(Answer::Output(b"x")));
        assert_eq!(decode(&encode(Answer::Done)), Some(Answer::Done));
        assert_eq!(decode(&encode(Answer::Ended)), Some(Answer::Ended));
    }

    proptest! {
        #[test]
        fn nonsense_is_refused_and_never_panics(message in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Some(request) = decode_request(&message) {
                prop_assert_eq!(encode_request(&request), message);
            }
        }
    }
}
