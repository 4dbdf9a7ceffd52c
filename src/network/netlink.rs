//! Netlink messages (netlink(7)): writing one, sending it, and reading what comes back.
//!
//! The supervisor stays small: this is the part of a netlink library that links, addresses and routes need. One
//! request at a time, answered before the next.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, sendto, socket,
};

use crate::sys::net::extended_ack;

/// Length of `struct nlmsghdr`.
const HEADER: usize = 16;
/// The largest answer in one piece; the kernel fills 32 KiB at most (netlink_dump).
const BUFFER: usize = 64 * 1024;

/// Why the kernel refused, and in what words, where it has some.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The errno.
    pub errno: Errno,
    /// The kernel's sentence (`NLMSGERR_ATTR_MSG`).
    pub text: Option<String>,
}

impl From<Errno> for Refusal {
    fn from(errno: Errno) -> Refusal {
        Refusal { errno, text: None }
    }
}

impl crate::error::Cause for Refusal {
    fn cause(&self) -> String {
        match &self.text {
            Some(text) => format!("{} ({text})", self.errno.desc()),
            None => self.errno.desc().to_string(),
        }
    }
}

/// A request that is being written: a fixed header, then attributes.
pub struct Message(Vec<u8>);

impl Message {
    /// A message of this type (`RTM_*`) with these flags (`NLM_F_*`) beside the one that makes it a request.
    pub fn new(kind: u16, flags: libc::c_int, header: &[u8]) -> Message {
        let mut bytes = vec![0; HEADER];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes[6..8].copy_from_slice(&((flags | libc::NLM_F_REQUEST) as u16).to_ne_bytes());
        bytes.extend_from_slice(header);
        Message(bytes)
    }

    /// Makes it a message of another address family than `AF_UNSPEC`.
    pub fn set_family(&mut self, family: u8) {
        self.0[HEADER] = family;
    }

    /// Adds an attribute.
    pub fn put(&mut self, kind: u16, value: &[u8]) -> &mut Message {
        self.pad();
        self.0.extend_from_slice(&((value.len() + 4) as u16).to_ne_bytes());
        self.0.extend_from_slice(&kind.to_ne_bytes());
        self.0.extend_from_slice(value);
        self
    }

    /// Adds a string with its zero byte.
    pub fn put_str(&mut self, kind: u16, text: &str) -> &mut Message {
        self.put(kind, &[text.as_bytes(), &[0]].concat())
    }

    /// Adds a number of 32 bits.
    pub fn put_u32(&mut self, kind: u16, number: u32) -> &mut Message {
        self.put(kind, &number.to_ne_bytes())
    }

    /// Adds an attribute that holds what `fill` adds.
    pub fn nest(&mut self, kind: u16, fill: impl FnOnce(&mut Message)) -> &mut Message {
        self.put(kind, &[]);
        let start = self.0.len() - 4;
        fill(self);
        let length = (self.0.len() - start) as u16;
        self.0[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self
    }

    /// Adds bytes that are no attribute, as some nests begin with a header.
    pub fn raw(&mut self, bytes: &[u8]) -> &mut Message {
        self.0.extend_from_slice(bytes);
        self
    }

    fn pad(&mut self) {
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }

    fn finish(mut self, sequence: u32, flags: libc::c_int) -> Vec<u8> {
        self.pad();
        let length = self.0.len() as u32;
        let flags = u16::from_ne_bytes([self.0[6], self.0[7]]) | flags as u16;
        self.0[0..4].copy_from_slice(&length.to_ne_bytes());
        self.0[6..8].copy_from_slice(&flags.to_ne_bytes());
        self.0[8..12].copy_from_slice(&sequence.to_ne_bytes());
        self.0
    }
}

/// The attributes in `bytes`: type without flag bits, and value. A truncated one ends the iteration.
pub fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16::from_ne_bytes(bytes.get(0..2)?.try_into().ok()?));
        let kind = u16::from_ne_bytes(bytes.get(2..4)?.try_into().ok()?) & 0x3fff;
        let value = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// The first attribute of a type.
pub fn attribute(bytes: &[u8], wanted: u16) -> Option<&[u8]> {
    attributes(bytes).find(|(kind, _)| *kind == wanted).map(|(_, value)| value)
}

/// A string attribute without its zero byte.
pub fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value.strip_suffix(&[0]).unwrap_or(value)).into_owned()
}

/// A number of 32 bits.
pub fn number(value: &[u8]) -> Option<u32> {
    Some(u32::from_ne_bytes(value.get(0..4)?.try_into().ok()?))
}

/// A socket to one netlink family of one network namespace.
pub struct Socket {
    fd: OwnedFd,
    sequence: u32,
}

impl Socket {
    /// Opens one to the network namespace that the caller is in; it stays there, wherever the caller goes.
    pub fn open(protocol: SockProtocol) -> Result<Socket, Errno> {
        let fd = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?;
        bind(fd.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
        extended_ack(fd.as_fd())?;
        Ok(Socket { fd, sequence: 0 })
    }

    /// Opens one that receives notifications of these groups (`RTMGRP_*`); it does not block.
    pub fn listen(groups: u32) -> Result<Socket, Errno> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let fd = socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkRoute)?;
        bind(fd.as_raw_fd(), &NetlinkAddr::new(0, groups))?;
        Ok(Socket { fd, sequence: 0 })
    }

    /// Receives the next notifications: types and payloads.
    pub fn receive(&mut self) -> Result<Vec<(u16, Vec<u8>)>, Errno> {
        let mut buffer = vec![0; BUFFER];
        let length = recv(self.fd.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
        Ok(answers(&buffer[..length]).map(|answer| (answer.kind, answer.payload.to_vec())).collect())
    }

    /// Asks for a change, and waits until it is made or refused.
    pub fn change(&mut self, message: Message) -> Result<(), Refusal> {
        self.talk(message, libc::NLM_F_ACK).map(drop)
    }

    /// Asks for one thing; its payload.
    pub fn get(&mut self, message: Message) -> Result<Vec<u8>, Refusal> {
        let found = self.talk(message, libc::NLM_F_ACK)?;
        found.into_iter().next().ok_or(Refusal::from(Errno::EBADMSG))
    }

    /// Asks for all of a kind; their payloads. Tried again where the kernel says that they changed meanwhile.
    pub fn dump(&mut self, message: impl Fn() -> Message) -> Result<Vec<Vec<u8>>, Refusal> {
        for _ in 0..8 {
            match self.talk(message(), libc::NLM_F_DUMP) {
                Err(refusal) if refusal.errno == Errno::EINTR => {}
                other => return other,
            }
        }
        Err(Errno::EINTR.into())
    }

    /// Asks for several changes that are made together or not at all; one of them wants an answer (`NLM_F_ACK`).
    pub fn batch(&mut self, messages: Vec<Message>) -> Result<(), Refusal> {
        self.sequence += 1;
        let bytes =
            messages.into_iter().flat_map(|message| message.finish(self.sequence, 0)).collect::<Vec<_>>();
        self.send(&bytes).map(drop)
    }

    fn talk(&mut self, message: Message, flags: libc::c_int) -> Result<Vec<Vec<u8>>, Refusal> {
        self.sequence += 1;
        let bytes = message.finish(self.sequence, flags);
        self.send(&bytes)
    }

    /// Sends requests and receives until the last answer.
    fn send(&mut self, bytes: &[u8]) -> Result<Vec<Vec<u8>>, Refusal> {
        sendto(self.fd.as_raw_fd(), bytes, &NetlinkAddr::new(0, 0), MsgFlags::empty())?;
        let (mut found, mut torn) = (Vec::new(), false);
        let mut buffer = vec![0; BUFFER];
        loop {
            let length = recv(self.fd.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
            for answer in answers(&buffer[..length]) {
                // An answer to an earlier request.
                if answer.sequence != self.sequence {
                    continue;
                }
                torn |= i32::from(answer.flags) & libc::NLM_F_DUMP_INTR != 0;
                match i32::from(answer.kind) {
                    libc::NLMSG_ERROR => return refusal(&answer).map_or(Ok(found), Err),
                    libc::NLMSG_DONE if torn => return Err(Errno::EINTR.into()),
                    libc::NLMSG_DONE => return Ok(found),
                    _ => found.push(answer.payload.to_vec()),
                }
            }
        }
    }
}

/// Notifications that a link of a namespace has changed, without what has changed.
pub struct Changes(OwnedFd);

impl Changes {
    /// From now on, in the network namespace that the caller is in.
    pub fn listen() -> Result<Changes, Errno> {
        let flags = SockFlag::SOCK_CLOEXEC;
        let fd = socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkRoute)?;
        bind(fd.as_raw_fd(), &NetlinkAddr::new(0, libc::RTMGRP_LINK as u32))?;
        Ok(Changes(fd))
    }

    /// Waits for the next one, and takes those that came with it.
    pub fn wait(&self) -> Result<(), Errno> {
        let mut buffer = vec![0; BUFFER];
        let mut flags = MsgFlags::empty();
        loop {
            match recv(self.0.as_raw_fd(), &mut buffer, flags) {
                Err(Errno::EAGAIN) => return Ok(()),
                // More than the socket holds is a change, too.
                Ok(_) | Err(Errno::ENOBUFS | Errno::EINTR) => flags = MsgFlags::MSG_DONTWAIT,
                Err(errno) => return Err(errno),
            }
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// One message of the kernel's.
struct Answer<'a> {
    kind: u16,
    flags: u16,
    sequence: u32,
    payload: &'a [u8],
}

fn answers(mut bytes: &[u8]) -> impl Iterator<Item = Answer<'_>> {
    std::iter::from_fn(move || {
        let length = number(bytes)? as usize;
        let answer = Answer {
            kind: u16::from_ne_bytes(bytes.get(4..6)?.try_into().ok()?),
            flags: u16::from_ne_bytes(bytes.get(6..8)?.try_into().ok()?),
            sequence: number(bytes.get(8..12)?)?,
            payload: bytes.get(HEADER..length)?,
        };
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(answer)
    })
}

/// The errno of `struct nlmsgerr`, and the kernel's sentence behind the request that it repeats; 0 is consent.
fn refusal(answer: &Answer) -> Option<Refusal> {
    const CAPPED: u16 = 0x100;
    const MESSAGE: u16 = 1;
    let code = i32::from_ne_bytes(answer.payload.get(0..4)?.try_into().ok()?);
    if code == 0 {
        return None;
    }
    let repeated =
        if answer.flags & CAPPED != 0 { HEADER } else { number(answer.payload.get(4..)?)? as usize };
    let rest = answer.payload.get(4 + repeated.next_multiple_of(4)..).unwrap_or_default();
    Some(Refusal { errno: Errno::from_raw(-code), text: attribute(rest, MESSAGE).map(text) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_written_can_be_read() {
        let mut message = Message::new(1, 0, &[0; 16]);
        message.put_str(3, "eth0").put_u32(4, 1500).nest(5, |inner| {
            inner.put(1, &[1, 2, 3]).put_u32(2, 7);
        });
        let bytes = message.finish(9, 0);
        let answer = answers(&bytes).next().expect("one");
        assert_eq!((answer.kind, answer.sequence, bytes.len() % 4), (1, 9, 0));
        let rest = &answer.payload[16..];
        assert_eq!(attribute(rest, 3).map(text), Some("eth0".to_string()));
        assert_eq!(attribute(rest, 4).and_then(number), Some(1500));
        let nested: Vec<_> = attributes(attribute(rest, 5).expect("nest")).map(|(kind, _)| kind).collect();
        assert_eq!(nested, [1, 2]);
    }

    #[test]
    fn the_loopback_interface_is_found_by_name_and_among_all() {
        let mut socket = Socket::open(SockProtocol::NetlinkRoute).expect("socket");
        let by_name = |name: &str| {
            let mut message = Message::new(libc::RTM_GETLINK, 0, &[0; 16]);
            message.put_str(libc::IFLA_IFNAME, name);
            message
        };
        let lo = socket.get(by_name("lo")).expect("lo");
        assert_eq!(attribute(&lo[16..], libc::IFLA_IFNAME).map(text), Some("lo".to_string()));
        assert_eq!(socket.get(by_name("no-such")).map_err(|refusal| refusal.errno), Err(Errno::ENODEV));
        let all = socket.dump(|| Message::new(libc::RTM_GETLINK, 0, &[0; 16])).expect("all");
        assert!(
            all.iter()
                .any(|link| attribute(&link[16..], libc::IFLA_IFNAME).map(text).as_deref() == Some("lo"))
        );
    }

    proptest! {
        #[test]
        fn no_answer_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            for answer in answers(&bytes) {
                let _ = (refusal(&answer), attributes(answer.payload).count());
            }
        }
    }
}
