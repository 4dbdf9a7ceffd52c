//! From a name to a root file system: templates, archives, and trees that exist; and the store they live in.

/// The template `busybox`.
pub mod busybox;
/// The template `debian`.
pub mod debian;
/// A tree that exists, used where it is.
pub mod in_place;
/// Deleting a hostile tree.
pub mod remove;
/// Partial, published and discarded trees.
pub mod store;
/// GNU tar, confined.
pub mod tar;
/// One external program at a time.
pub mod tool;
