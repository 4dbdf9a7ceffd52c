//! The calls we use of systemd's manager, machined, the notify protocol and the journal.
//!
//! Names are those on the bus. Nothing outside this room knows a type of zbus.

/// Our records in the journal.
pub mod journal;
/// The notify protocol and the file descriptor store, as a service speaks it.
pub mod notify;
/// A payload's scope and its entry with machined.
pub mod payload;
