//! Ways into a running container: a command attached to it, its console and other terminals.

/// Running a command in a running container.
pub mod attach;
/// The connection to a console.
pub mod console;
