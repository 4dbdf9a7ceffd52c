//! Messages with file descriptors over unix sockets (unix(7), `SCM_RIGHTS`).

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, UnixCredentials,
    recvmsg, sendmsg, socketpair,
};
use rustix::net::SocketFlags;

use crate::sys::to_nix;

/// The most descriptors that one message can carry (`SCM_MAX_FD`).
const MOST_FDS: usize = 253;

/// A connected pair that keeps message boundaries, close-on-exec.
pub fn pair() -> Result<(OwnedFd, OwnedFd), Errno> {
    socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
}

/// Accepts a connection, close-on-exec and non-blocking.
pub fn accept(listener: impl AsFd) -> Result<OwnedFd, Errno> {
    rustix::net::accept_with(listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK).map_err(to_nix)
}

/// Sends one message, with a descriptor where one is given.
pub fn send(socket: impl AsFd, message: &[u8], fd: Option<RawFd>) -> Result<(), Errno> {
    send_fds(socket, message, fd.as_slice())
}

/// Sends one message, or the first bytes of something longer on a stream, with descriptors.
pub fn send_fds(socket: impl AsFd, message: &[u8], fds: &[RawFd]) -> Result<(), Errno> {
    let rights = [ControlMessage::ScmRights(fds)];
    let control: &[ControlMessage] = if fds.is_empty() { &[] } else { &rights };
    let parts = [IoSlice::new(message)];
    sendmsg::<()>(socket.as_fd().as_raw_fd(), &parts, control, MsgFlags::MSG_NOSIGNAL, None).map(drop)
}

/// Receives bytes (none is the end) and the descriptors that came with them, close-on-exec.
pub fn receive_fds(socket: impl AsFd, message: &mut [u8]) -> Result<(usize, Vec<OwnedFd>), Errno> {
    let mut space = nix::cmsg_space!([RawFd; MOST_FDS]);
    let mut parts = [IoSliceMut::new(message)];
    let raw = socket.as_fd().as_raw_fd();
    let received = loop {
        match recvmsg::<()>(raw, &mut parts, Some(&mut space), MsgFlags::MSG_CMSG_CLOEXEC) {
            Err(Errno::EINTR) => continue,
            other => break other?,
        }
    };
    let mut taken = Vec::new();
    for control in received.cmsgs()? {
        if let ControlMessageOwned::ScmRights(fds) = control {
            // SAFETY: the kernel has just installed these descriptors for us alone.
            taken.extend(fds.into_iter().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }));
        }
    }
    Ok((received.bytes, taken))
}

/// Receives one message: its length (0 is the end) and a descriptor that came with it, close-on-exec.
pub fn receive(socket: impl AsFd, message: &mut [u8]) -> Result<(usize, Option<OwnedFd>), Errno> {
    receive_fds(socket, message).map(|(length, mut fds)| (length, fds.pop()))
}

/// Receives one message now, with its sender's pid where the kernel tells (`SO_PASSCRED`). Descriptors that
/// came with it are closed: nobody asked for them.
pub fn receive_from(socket: impl AsFd, message: &mut [u8]) -> Result<(usize, Option<i32>), Errno> {
    let mut space = nix::cmsg_space!(UnixCredentials, [RawFd; MOST_FDS]);
    let mut parts = [IoSliceMut::new(message)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC | MsgFlags::MSG_DONTWAIT;
    let received = recvmsg::<()>(socket.as_fd().as_raw_fd(), &mut parts, Some(&mut space), flags)?;
    let mut sender = None;
    for control in received.cmsgs()? {
        match control {
            ControlMessageOwned::ScmCredentials(credentials) => sender = Some(credentials.pid()),
            ControlMessageOwned::ScmRights(fds) => {
                // SAFETY: the kernel has just installed these descriptors for us alone.
                fds.into_iter().for_each(|fd| drop(unsafe { OwnedFd::from_raw_fd(fd) }));
            }
            _ => {}
        }
    }
    Ok((received.bytes, sender))
}
