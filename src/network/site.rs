//! The place where a container's links are made: host, machine and definition.

use crate::config::Definition;
use crate::error::Error;
use crate::name::MachineName;
use crate::paths::Root;

/// The host, machine and definition for which links are made.
pub struct Site<'a> {
    /// The host's paths.
    pub root: &'a Root,
    /// The machine.
    pub machine: &'a MachineName,
    /// Definition of the machine, for the places in error messages.
    pub definition: &'a Definition,
    /// The host's machine-id(5).
    pub host_id: String,
}

impl Site<'_> {
    /// Puts the place of the key that causes an error before it.
    pub fn locate(&self, section: &str, key: &str, error: Error) -> Error {
        Error::new(error.kind(), format!("{}: {error}", self.definition.named(section, key)))
    }
}

/// The site of a machine.
pub fn site<'a>(root: &'a Root, machine: &'a MachineName, definition: &'a Definition) -> Site<'a> {
    Site { root, machine, definition, host_id: host_id(root) }
}

/// The host's machine-id(5), from which MAC addresses follow; a host without one has the same as others without.
pub fn host_id(root: &Root) -> String {
    std::fs::read_to_string(root.path("/etc/machine-id")).unwrap_or_default().trim().to_string()
}
