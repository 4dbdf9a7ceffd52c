//! The container's links: made while the mounts are, taken away with the container.

use std::os::fd::OwnedFd;
use std::path::Path;

use crate::config::Definition;
use crate::config::network::Port;
use crate::error::{Context, Error, Kind, Result};
use crate::name::MachineName;
use crate::network::links::{Namespace, NetworkConfig};
use crate::network::names::resolv;
use crate::network::setup::{self, Begun, Made};
use crate::network::site::{Site, site};
use crate::paths::Root;
use crate::runtime::state;
use crate::storage::host_path::{Fault, HostPaths};
use crate::storage::tree::Tree;
use crate::sys::pidfd;

/// Removes what an earlier start left, which would have the names and may hold the host's interfaces. Returns what
/// could not be removed.
pub fn clear(root: &Root, name: &MachineName) -> Vec<Error> {
    setup::clear_away(root, name)
}

/// Refuses links that the host does not allow.
pub fn validate(
    root: &Root,
    name: &MachineName,
    definition: &Definition,
    network: &NetworkConfig,
) -> Result<()> {
    setup::validate(&site(root, name, definition), &network.links, &network.ports)
}

/// The network namespace that is there already, where the container joins one.
pub fn namespace(root: &Root, network: &NetworkConfig) -> Result<Option<OwnedFd>> {
    match &network.namespace {
        Namespace::Private | Namespace::Host => Ok(None),
        Namespace::Path(path) => open_namespace(root, path).map(Some),
        Namespace::Machine(machine) => {
            let other = MachineName::new(machine)?;
            let running = state::running(root, &other);
            let stopped = || {
                Error::new(
                    Kind::NotFound,
                    format!("container '{other}', whose network this one joins, does not run"),
                )
                .hint(format!(
                    "start it first, and name it in After= and Requires= of [Unit]: {}",
                    other.service()
                ))
            };
            let namespace = pidfd::network_namespace(running.ok_or_else(stopped)?.1);
            namespace.map(Some).context(|| format!("failed to open the network namespace of '{other}'"))
        }
    }
}

fn open_namespace(root: &Root, path: &Path) -> Result<OwnedFd> {
    let failed = |fault: Fault| fault.of(format!("failed to open network namespace '{}'", path.display()));
    let file = HostPaths::new(root).namespace(path).map_err(failed)?;
    let is_namespace = rustix::fs::fstatfs(&file).is_ok_and(|found| found.f_type == libc::NSFS_MAGIC);
    match is_namespace {
        true => Ok(file),
        false => Err(Error::config(format!("'{}' is not a network namespace", path.display()))
            .hint("'ip netns add NAME' makes one at '/run/netns/NAME'")),
    }
}

/// Begins to make the links of a container that starts.
pub fn begin(site: &Site, network: &NetworkConfig) -> Result<Option<Begun>> {
    let is_any = !network.links.is_empty();
    is_any.then(|| setup::begin(site, network.links.clone(), &network.ports)).transpose()
}

/// Makes them for a leader that waits; nothing passes them yet.
pub fn make(begun: Begun, site: &Site, ports: &[Port], tree: &Tree, namespace: &OwnedFd) -> Result<Made> {
    let made = begun.make(site, ports, namespace)?;
    // Who cannot resolve names has a link all the same.
    if let Err(error) = resolv::write(tree, made.configs()) {
        eprintln!("{error}, ignoring");
    }
    Ok(made)
}
