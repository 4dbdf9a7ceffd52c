//! Devices of a container, given and removed while it runs, and kept in its definition: nodes below the host's `/dev`,
//! and network interfaces of the host.

mod interface;
mod node;

use serde::Serialize;

use super::configuration::{Change, Key};
use crate::error::{Error, Kind, Result};
use crate::machine::Machine;
use crate::name::MachineName;
use crate::runtime::state;

/// Time for which a device, link or port is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Until the container ends.
    UntilStop,
    /// In its definition, for every start, and at once where it runs.
    Persistent,
}

/// A device, and its place in the container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// A node below `/dev`.
    Node(node::Request),
    /// A network interface.
    Interface(interface::Request),
}

impl Request {
    /// A device that begins with a `/` is a node. Without `inside` it has the same path or name inside; without `access` a
    /// node is given with `rwm`.
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

/// A device that a container was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Given {
    /// On the host: a node, or an interface's name.
    pub device: String,
    /// Access to a node, of `r`, `w` and `m`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access: Option<String>,
    /// An interface's name inside, when it was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inside: Option<String>,
}

impl Machine {
    /// Devices that the running container may use beyond the standard ones.
    pub fn devices(&self) -> Result<Vec<Given>> {
        require_running(self)?;
        let mut given = node::list(self)?;
        given.extend(interface::list(self));
        Ok(given)
    }

    /// Gives the container a device. Returns warnings.
    pub fn add_device(&self, request: &Request, keep: Keep) -> Result<Vec<String>> {
        match request {
            Request::Node(node) => node::add(self, node, keep),
            Request::Interface(interface) => interface::add(self, interface, keep),
        }
    }

    /// Takes a device from the container. Returns warnings.
    pub fn remove_device(&self, request: &Request, keep: Keep) -> Result<Vec<String>> {
        match request {
            Request::Node(node) => node::remove(self, node, keep),
            Request::Interface(interface) => interface::remove(self, interface, keep),
        }
    }
}

fn require_running(machine: &Machine) -> Result<state::State> {
    machine.host().require_systemd()?;
    let name = &machine.name;
    state::running(machine.root(), name).map(|(state, _)| state).ok_or_else(|| {
        Error::new(Kind::NotFound, format!("container '{name}' is not running"))
            .hint(format!("start it with 'containerctl start {name}', or use '--persist'"))
    })
}

fn not_given(name: &MachineName, device: &str) -> Error {
    Error::new(Kind::NotFound, format!("'{name}' was not given '{device}'"))
        .hint(format!("'containerctl device list {name}' shows what it was given"))
}

/// The values of a key in the definition.
fn kept(machine: &Machine, key: &Key) -> Result<Vec<String>> {
    match machine.values(key) {
        Err(error) if error.kind() == Kind::NotFound => Ok(Vec::new()),
        values => values,
    }
}

/// Changes that make `values` the only ones of a key.
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
