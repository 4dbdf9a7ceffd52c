//! A running container as others find it: its run-time directory, control socket, state, rights, cgroup and lock.
//!
//! The supervisor writes all of it; the verbs and whoever enters a container read it. Nothing here starts or ends a
//! container.

/// The payload's part of its scope's cgroup.
pub mod cgroup;
/// The control socket and its messages.
pub mod control;
/// The run-time directory.
pub mod directory;
/// The note of a command that is being executed.
pub mod execution;
/// Console output as lines of text.
pub mod lines;
/// The lock that makes a process the only one to change a container.
pub mod lock;
/// The namespaces of a running container.
pub mod namespaces;
/// The rights of a running container's processes.
pub mod rights;
/// The state of a container, from its service and its scope.
pub mod run_state;
/// The record of a running container for its next supervisor and for readers.
pub mod state;
/// The state in a memfd.
pub mod state_file;
/// The text of the state, and its versions.
pub mod state_format;
/// Processes that no signal ends.
pub mod stuck;
/// Durations of the stages of the last start.
pub mod timings;
