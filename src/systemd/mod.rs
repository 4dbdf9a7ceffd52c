//! The calls we use of systemd's manager, machined, the notify protocol and the journal.
//!
//! Names are those on the bus. Outside this room only the bus service knows a type of zbus.

mod bus;
/// Jobs of several units at once.
pub mod jobs;
/// Our records in the journal.
pub mod journal;
/// Parts of object paths.
pub mod label;
/// `org.freedesktop.systemd1.Manager`.
pub mod manager;
/// `org.freedesktop.network1.Manager`.
pub mod networkd;
/// The notify protocol and the file descriptor store, as a service speaks it.
pub mod notify;
/// A payload's scope and its entry with machined.
pub mod payload;
/// The next state of a service whose main process was killed.
pub mod restart;
/// Changes of units.
pub mod watch;

pub use bus::Bus;
pub(crate) use bus::connect;

/// Runs one verb's conversation with the bus; for callers without a loop of their own.
pub use zbus::block_on;

/// Whether systemd is this host's PID 1 (sd_booted(3)).
pub fn is_running(root: &crate::paths::Root) -> bool {
    root.is_system() && std::fs::symlink_metadata("/run/systemd/system").is_ok_and(|found| found.is_dir())
}
