//! The raw system calls that nix and rustix lack, each under the kernel's own name.
//!
//! One of three rooms, with `child` and `worker`, where `unsafe` is allowed.

/// capabilities(7): names and sets.
pub mod capabilities;
/// clone3(2).
pub mod clone;
/// execve(2) and close_range(2).
pub mod exec;
/// Descriptors known by number only.
pub mod fds;
/// 128-bit ids.
pub mod id128;
/// Ranges of user ids and their maps.
pub mod idmap;
/// SIGINT and SIGTERM as a readable descriptor.
pub mod interrupt;
/// keyctl(2): the session keyring.
pub mod keyring;
/// prlimit(2).
pub mod limits;
/// The listener of a system call filter.
pub mod listener;
/// flock(2) on a directory.
pub mod lock;
/// lsm_set_self_attr(2).
pub mod lsm;
/// Giving memory back.
pub mod memory;
/// mount_setattr(2).
pub mod mount;
/// The interface ioctls.
pub mod net;
/// pidfd ioctls: namespaces and exit status.
pub mod pidfd;
/// poll(2).
pub mod poll;
/// Calls made only to see whether they are allowed.
pub mod probe;
/// File descriptors over unix sockets.
pub mod scm;
/// seccomp(2).
pub mod seccomp;
/// signal dispositions and sending.
pub mod signal;
/// The terminal ioctls.
pub mod tty;

/// nix's errno as rustix's; they are the same numbers.
pub fn to_errno(errno: nix::errno::Errno) -> rustix::io::Errno {
    rustix::io::Errno::from_raw_os_error(errno as i32)
}

/// rustix's errno as nix's.
pub fn to_nix(errno: rustix::io::Errno) -> nix::errno::Errno {
    nix::errno::Errno::from_raw(errno.raw_os_error())
}
