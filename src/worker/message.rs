//! Messages between a service and the process of a call: bytes with descriptors, over a stream.
//!
//! A message is a head, its length in bytes, which carries the descriptors, and then the bytes.

use std::io::{Error, ErrorKind, Read, Result, Write};
use std::os::fd::{OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

use crate::sys::scm;

/// Sends a message.
pub fn send(mut stream: &UnixStream, bytes: &[u8], fds: &[RawFd]) -> Result<()> {
    scm::send_fds(stream, &(bytes.len() as u64).to_ne_bytes(), fds)?;
    stream.write_all(bytes)
}

/// Receives a message. An end of the stream before it is an error.
pub fn receive(mut stream: &UnixStream) -> Result<(Vec<u8>, Vec<OwnedFd>)> {
    let mut head = [0; 8];
    let (count, fds) = scm::receive_fds(stream, &mut head)?;
    if count != head.len() {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    let length = usize::try_from(u64::from_ne_bytes(head)).map_err(Error::other)?;
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes)?;
    Ok((bytes, fds))
}
