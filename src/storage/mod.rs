//! Root file systems: where they are, who owns their ids, and touching one that a container shapes.
//!
//! One backend so far: a directory below the store. [`tree`] is the only way to read or change a container's files.

#![cfg_attr(not(test), deny(clippy::disallowed_methods))]

/// Ids that belong to the host's own users.
mod host_ids;
/// Opening paths of the host, whose links are followed only where they are root's.
pub mod host_path;
/// Id ranges, one per container.
#[allow(clippy::disallowed_methods)]
pub mod ids;
/// Image entries for machinectl.
#[allow(clippy::disallowed_methods)]
pub mod image_entry;
/// Whether users of the host can run what a container writes.
#[allow(clippy::disallowed_methods)]
pub mod reach;
/// Deletion of a tree that a container shaped.
pub mod remove;
/// The directory backend: partial, published and discarded trees.
#[allow(clippy::disallowed_methods)]
pub mod store;
/// A container's tree, accessed by file descriptor only.
pub mod tree;

use std::path::PathBuf;

use crate::config::settings::Settings;
use crate::name::MachineName;
use crate::paths::Root;

/// The path of a container's root file system: `RootDirectory=`, or the container's place in the store.
pub fn locate(root: &Root, name: &MachineName, settings: &Settings) -> PathBuf {
    settings.files.root_directory.clone().unwrap_or_else(|| root.rootfs(name))
}
