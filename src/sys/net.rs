//! The interface ioctls (netdevice(7)), and what a netlink socket is told.

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd};

use nix::errno::Errno;

/// Sets an interface of the caller's network namespace up, through any socket of it.
pub fn set_up(socket: impl AsFd, name: &CStr) -> Result<(), Errno> {
    // SAFETY: an all-zero ifreq is valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    // The last byte stays zero, so the name is terminated.
    for (to, from) in request.ifr_name.iter_mut().take(libc::IFNAMSIZ - 1).zip(name.to_bytes()) {
        *to = *from as libc::c_char;
    }
    let socket = socket.as_fd().as_raw_fd();
    // SAFETY: the kernel reads and writes one ifreq.
    Errno::result(unsafe { libc::ioctl(socket, libc::SIOCGIFFLAGS as _, &raw mut request) })?;
    // SAFETY: the kernel has just filled in the flags.
    unsafe { request.ifr_ifru.ifru_flags |= libc::IFF_UP as libc::c_short };
    // SAFETY: the kernel reads one ifreq.
    Errno::result(unsafe { libc::ioctl(socket, libc::SIOCSIFFLAGS as _, &raw const request) }).map(drop)
}

/// Has the kernel add a sentence to its refusals on a netlink socket (`NETLINK_EXT_ACK`).
pub fn extended_ack(socket: impl AsFd) -> Result<(), Errno> {
    let on: libc::c_int = 1;
    let length = size_of_val(&on) as libc::socklen_t;
    let socket = socket.as_fd().as_raw_fd();
    // SAFETY: the kernel reads one int.
    let result = unsafe {
        libc::setsockopt(socket, libc::SOL_NETLINK, libc::NETLINK_EXT_ACK, (&raw const on).cast(), length)
    };
    Errno::result(result).map(drop)
}

/// Has a raw ICMPv6 socket take messages of this type only (`ICMP6_FILTER`, RFC 3542, section 3.2).
pub fn only_icmpv6(socket: impl AsFd, kind: u8) -> Result<(), Errno> {
    /// linux/icmpv6.h
    const ICMPV6_FILTER: libc::c_int = 1;
    // A bit that is set blocks its type.
    let mut blocked = [u32::MAX; 8];
    blocked[usize::from(kind) / 32] &= !(1 << (kind % 32));
    let length = size_of_val(&blocked) as libc::socklen_t;
    let socket = socket.as_fd().as_raw_fd();
    // SAFETY: the kernel reads the eight words.
    let result = unsafe {
        libc::setsockopt(socket, libc::IPPROTO_ICMPV6, ICMPV6_FILTER, blocked.as_ptr().cast(), length)
    };
    Errno::result(result).map(drop)
}
