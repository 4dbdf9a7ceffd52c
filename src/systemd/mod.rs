//! The calls we use of systemd, named as on the bus. No type of the bus library leaves this module.

/// `org.freedesktop.systemd1.Manager`.
pub mod manager;

/// Runs one verb's conversation with the bus; for callers without a loop of their own.
pub use zbus::block_on;

/// Whether systemd is this host's PID 1 (sd_booted(3)).
pub fn is_running(root: &crate::paths::Root) -> bool {
    root.is_system() && std::fs::symlink_metadata("/run/systemd/system").is_ok_and(|found| found.is_dir())
}
