//! Starting, stopping, freezing and signalling containers, and whether they start at boot.

/// Start at boot, and its order.
pub mod autostart;
/// Running one command in a container that exists for it alone.
pub mod execute;
/// Freezing and thawing.
pub mod freeze;
/// Signals to a payload.
pub mod signal;
/// Starting, stopping and enabling by systemd.
pub mod unit;
/// Files that systemctl wrote for a container's units.
pub mod unit_files;
/// Ending a payload whose service has ended.
mod unwatched;
