//! The processes between clone and exec.
//!
//! ```text
//! supervisor ──clone──► assembler            new mount namespace, the host's user namespace
//!     │  ▲                 │ ──clone──► leader    new user, pid, net, uts, ipc; the assembler's mounts
//!     │  │                 │                      (the supervisor's child, by CLONE_PARENT)
//!     │  └── Leader ───────┤
//!     ├──── Mapped ───────►│ mounts everything   waits
//!     │  ◄── Terminal ─────┤
//!     ├──── Mapped ────────┼─────────────────► becomes root of its namespace
//!     ├──── Placed ────────┼─────────────────► new cgroup namespace
//!     │  ◄── Entered ──────┼───────────────────┤
//!     ├──── Placed ───────►│ cgroup2, pivot_root, ends
//!     ├──── Enter ─────────┼─────────────────► copies the mounts (now locked), /run, rights
//!     │  ◄── Listener ─────┼───────────────────┤ where its filter asks a program outside
//!     │                    │                   └ exec
//! ```
//!
//! The parent is single-threaded and everything is computed before the clone. A child enters one function that
//! never returns, reports the step and the errno that stopped it, and leaves by _exit(2). One that loses its
//! supervisor reads the end of its socket and leaves too.

#![cfg_attr(not(test), deny(clippy::disallowed_methods))]

/// The helper that makes the mounts from outside.
pub mod assembler;
/// A root that forgets what was written to it.
mod ephemeral;
/// The first process of an application container.
pub mod init;
/// Labels of the security modules, on exec.
pub mod label;
/// The container's PID 1 until it executes the payload.
pub mod leader;
/// Messages between parent and children.
pub mod message;
