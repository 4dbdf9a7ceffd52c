//! From a name to a root file system: templates, archives, and trees that exist.

/// The template `busybox`.
pub mod busybox;
/// The template `debian`.
pub mod debian;
/// Defaults that an image brings along.
pub mod defaults;
/// Host name, hosts, name servers and machine-id of a new root file system.
pub mod finish;
/// A tree that exists, used where it is.
pub mod in_place;
/// GNU tar, confined.
pub mod tar;
/// One external program at a time.
pub mod tool;
