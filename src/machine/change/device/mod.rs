//! Devices of a machine, given while it runs, taken back, and kept in its definition: nodes below the host's `/dev`, and
//! network interfaces of the host.

mod interface;
mod node;

use serde::Serialize;

use super::configuration::{self, Change, Key};
use crate::error::{Error, Kind, Result};
use crate::machine::inspect::registry;
use crate::machine::lifecycle::unit;
use crate::name::MachineName;
use crate::paths::Root;
use crate::runtime::state;

/// How long a device is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Until the machine ends.
    UntilStop,
    /// In its definition; at once, too, where it runs.
    Persistent,
}

/// A device, and where the machine has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// A node below `/dev`.
    Node(node::Request),
    /// A network interface.
    Interface(interface::Request),
}

impl Request {
    /// Checks what was asked for: what begins with a `/` is a node. Without `inside` the device has the same path or
    /// name inside; without `access` a node is given with all there is.
    pub fn new(device: &str, inside: Option<&str>, access: Option<&str>) -> Result<Request> {
        if device.starts_with('/') {
            return node::Request::new(device, inside, access.unwrap_or("rwm")).map(Request::Node);
        }
        if access.is_some() {
            return Err(Error::config(format!("'{}' is a network interface", device.escape_debug()))
                .hint("access is that to a device node, such as /dev/fuse"));
        }
        interface::Request::new(device, inside).map(Request::Interface)
    }
}

/// A device that a machine was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Given {
    /// On the host: a node, or an interface's name.
    pub device: String,
    /// To a node: of `r`, `w` and `m`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access: Option<String>,
    /// An interface's name inside, when it was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inside: Option<String>,
}

/// What a machine that runs may use beyond the standard devices.
pub fn list(root: &Root, name: &MachineName) -> Result<Vec<Given>> {
    registry::require(root, name)?;
    require_running(root, name)?;
    let mut given = node::list(name)?;
    given.extend(interface::list(root, name));
    Ok(given)
}

/// Gives the machine a device. Returns warnings.
pub fn add(root: &Root, name: &MachineName, request: &Request, keep: Keep) -> Result<Vec<String>> {
    registry::require(root, name)?;
    match request {
        Request::Node(node) => node::add(root, name, node, keep),
        Request::Interface(interface) => interface::add(root, name, interface, keep),
    }
}

/// Takes a device back. Returns warnings.
pub fn remove(root: &Root, name: &MachineName, request: &Request, keep: Keep) -> Result<Vec<String>> {
    registry::require(root, name)?;
    match request {
        Request::Node(node) => node::remove(root, name, node, keep),
        Request::Interface(interface) => interface::remove(root, name, interface, keep),
    }
}

fn require_running(root: &Root, name: &MachineName) -> Result<state::State> {
    unit::require_systemd(root)?;
    state::running(root, name).map(|(state, _)| state).ok_or_else(|| {
        Error::new(Kind::NotFound, format!("container '{name}' is not running"))
            .hint(format!("start it with 'containerctl start {name}', or use '--persist'"))
    })
}

fn not_given(name: &MachineName, device: &str) -> Error {
    Error::new(Kind::NotFound, format!("'{name}' was not given '{device}'"))
        .hint(format!("'containerctl device list {name}' shows what it was given"))
}

/// What the definition has of a key.
fn kept(root: &Root, name: &MachineName, key: &Key) -> Result<Vec<String>> {
    match configuration::get(root, name, key) {
        Err(error) if error.kind() == Kind::NotFound => Ok(Vec::new()),
        values => values,
    }
}

/// Makes `values` all that the definition has of a key.
fn define(key: &Key, values: &[String]) -> Vec<Change> {
    match values {
        [] => vec![Change::Unset(key.clone())],
        [first, rest @ ..] => std::iter::once(Change::Set(key.clone(), first.clone()))
            .chain(rest.iter().map(|value| Change::Add(key.clone(), value.clone())))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_with_a_slash_is_a_node_and_all_else_an_interface() {
        assert!(matches!(Request::new("/dev/fuse", None, None), Ok(Request::Node(_))));
        assert!(matches!(Request::new("eth7", Some("lan0"), None), Ok(Request::Interface(_))));
        for (device, inside, access) in [
            ("/etc/passwd", None, None),
            ("", None, None),
            ("eth 7", None, None),
            ("eth7", Some("/dev/eth7"), None),
            ("eth7", None, Some("rwm")),
            ("a-name-that-is-too-long", None, None),
        ] {
            let refused = Request::new(device, inside, access).unwrap_err();
            assert_eq!(refused.kind(), Kind::Config, "{device}: {refused}");
        }
    }
}
