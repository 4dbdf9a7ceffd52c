//! The raw system calls that nix and rustix lack, each under the kernel's own name.
//!
//! The only place, beside [`crate::child`], where `unsafe` is allowed.

/// clone3(2).
pub mod clone;
/// execve(2) and close_range(2).
pub mod exec;
/// Descriptors known by number only.
pub mod fds;
/// SIGINT and SIGTERM as a readable descriptor.
pub mod interrupt;
/// keyctl(2): the session keyring.
pub mod keyring;
/// Executing a program of ours that goes where others may look at it.
pub mod launch;
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
/// What a pidfd tells beyond pidfd_send_signal(2).
pub mod pidfd;
/// Calls made only to see whether they are allowed.
pub mod probe;
/// File descriptors over unix sockets.
pub mod scm;
/// Executing our own program from a copy that nobody can write to.
pub mod sealed;
/// seccomp(2).
pub mod seccomp;
/// signal dispositions and sending.
pub mod signal;
/// The terminal ioctls.
pub mod tty;
