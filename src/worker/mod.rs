//! Processes that do one piece of work and end: entering a container, probing it, answering one call of the bus.
//!
//! Each runs a program of ours in a process of its own, since it changes namespaces, drops rights or may be held up by
//! a container, which a front-end with threads must not be.

#![cfg_attr(not(test), deny(clippy::disallowed_methods))]

/// A process that enters a running container to probe it.
pub mod attached;
/// The program that enters a running container.
pub mod entrant;
/// Messages between whoever enters a container and the entering program.
pub mod entry;
/// The program for work in a process of its own, and its helpers.
#[allow(clippy::disallowed_methods)]
pub mod helper;
/// Executing one of our programs with read-only mounts.
pub mod launch;
/// Messages with descriptors between a service and a process of its own.
pub mod message;
/// Attempts that a confined process must see refused.
pub mod probe;
/// Executing ourselves from a sealed copy.
#[allow(clippy::disallowed_methods)]
pub mod sealed;
