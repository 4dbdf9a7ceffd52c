//! An address that a container's start waits for: whoever sets it, from outside, by DHCP inside, or by router
//! advertisements. The kernel tells of it in the network namespace; nobody inside is asked, and nothing is asked again
//! and again.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;

use super::link::{Links, in_namespace};
use super::netlink::{Socket, attribute, number};
use crate::error::{Context, Result};

/// linux/rtnetlink.h: `RTMGRP_IPV4_IFADDR` and `RTMGRP_IPV6_IFADDR`.
const ADDRESSES: u32 = 0x10 | 0x100;
/// The loopback interface of each namespace has this number.
const LOOPBACK: u32 = 1;
/// Messages that are taken before somebody else has a turn.
const AT_A_TIME: usize = 64;

/// One who waits.
pub struct Awaited {
    listener: Socket,
    links: Links,
}

impl Awaited {
    /// Begins to wait in a network namespace.
    pub fn of(namespace: &OwnedFd) -> Result<Awaited> {
        let listener = in_namespace(namespace, || {
            Socket::listen(ADDRESSES).context(|| "failed to listen to addresses of a network namespace")
        })?;
        Ok(Awaited { listener, links: Links::of(namespace)? })
    }

    /// Whether there is an address by now.
    pub fn is_there(&mut self) -> Result<bool> {
        let found = self.links.raw_addresses()?;
        Ok(found.iter().any(|payload| is_usable(payload).unwrap_or(false)))
    }

    /// Whether one has come; of what was lost for being too much, all are looked at.
    pub fn has_come(&mut self) -> Result<bool> {
        for _ in 0..AT_A_TIME {
            match self.listener.receive() {
                Ok(received) => {
                    let mut added = received.into_iter().filter(|(kind, _)| *kind == libc::RTM_NEWADDR);
                    if added.any(|(_, payload)| is_usable(&payload).unwrap_or(false)) {
                        return Ok(true);
                    }
                }
                Err(Errno::EAGAIN) => return Ok(false),
                Err(Errno::EINTR) => {}
                Err(Errno::ENOBUFS) => return self.is_there(),
                Err(errno) => return Err(errno).context(|| "failed to listen to addresses"),
            }
        }
        Ok(false)
    }
}

impl AsFd for Awaited {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

/// Of `struct ifaddrmsg` and what follows: whether it is an address by which others reach the container, and nobody
/// else was found to have.
fn is_usable(payload: &[u8]) -> Option<bool> {
    let (short, scope, index) = (*payload.get(2)?, *payload.get(3)?, number(payload.get(4..8)?)?);
    let flags = attribute(payload.get(8..)?, libc::IFA_FLAGS).and_then(number).unwrap_or(u32::from(short));
    let unsure = flags & (libc::IFA_F_TENTATIVE | libc::IFA_F_DADFAILED) != 0;
    Some(scope == libc::RT_SCOPE_UNIVERSE && index != LOOPBACK && !unsure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_address_that_others_reach_is_one() {
        let of = |flags: u8, scope: u8, index: u8| is_usable(&[2, 24, flags, scope, index, 0, 0, 0]);
        assert_eq!(of(0, libc::RT_SCOPE_UNIVERSE, 2), Some(true));
        assert_eq!(of(0, libc::RT_SCOPE_UNIVERSE, 1), Some(false));
        assert_eq!(of(0, libc::RT_SCOPE_LINK, 2), Some(false));
        assert_eq!(of(libc::IFA_F_TENTATIVE as u8, libc::RT_SCOPE_UNIVERSE, 2), Some(false));
        let mut long = vec![10, 64, 0, 0, 2, 0, 0, 0, 8, 0, 8, 0];
        long.extend_from_slice(&(libc::IFA_F_DADFAILED | 0x100).to_ne_bytes());
        assert_eq!(is_usable(&long), Some(false));
        assert_eq!(is_usable(&[2, 24]), None);
    }
}
