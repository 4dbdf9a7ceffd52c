//! The place where a container's links are made: host, machine and definition.

use crate::config::Definition;
use crate::error::{Error, Result};
use crate::name::MachineName;
use crate::paths::Root;
use crate::systemd::networkd;

/// Where links are made, and for whom.
pub struct Site<'a> {
    /// The host's paths.
    pub root: &'a Root,
    /// The machine.
    pub machine: &'a MachineName,
    /// Its definition, for the places of what is wrong in it.
    pub definition: &'a Definition,
    /// The host's machine-id(5).
    pub host_id: String,
    /// Has networkd read its files anew.
    pub reload: &'a dyn Fn() -> Result<()>,
}

impl Site<'_> {
    /// An error with the place of the key that is its reason.
    pub fn told(&self, section: &str, key: &str, error: Error) -> Error {
        Error::new(error.kind(), format!("{}: {error}", self.definition.named(section, key)))
    }
}

/// Has networkd read its files, and whoever answers for names run. Names are worth no failure.
pub fn reload() -> Result<()> {
    networkd::reload()?;
    if let Err(error) = networkd::start_names() {
        eprintln!("{error}, ignoring");
    }
    Ok(())
}

/// Where the links of a machine are made.
pub fn site<'a>(root: &'a Root, machine: &'a MachineName, definition: &'a Definition) -> Site<'a> {
    Site { root, machine, definition, host_id: host_id(root), reload: &reload }
}

/// The host's machine-id(5), from which MAC addresses follow; a host without one has the same as others without.
pub fn host_id(root: &Root) -> String {
    std::fs::read_to_string(root.path("/etc/machine-id")).unwrap_or_default().trim().to_string()
}
