//! The container's links, and when they come and go: made while the mounts are, taken away with the container.
//!
//! A network namespace that holds an interface of the host's is pinned by a mount in the run-time directory. So the
//! interface can be had back by its old name even after a kill of everything; the kernel alone would give it to the
//! first network namespace of all, which need not be ours, and by whatever name is free there.

use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use rustix::mount::{UnmountFlags, mount_bind, unmount};

use crate::config::Definition;
use crate::error::{Context, Error, Kind, Result};
use crate::machine::state;
use crate::name::MachineName;
use crate::network::link::Links;
use crate::network::setup::{self, Site, Which};
use crate::network::wiring::{Driver, Namespace, Wiring};
use crate::paths::Root;
use crate::sandbox::plan::Plan;
use crate::sandbox::survey::host_id;
use crate::supervisor::runtime::Runtime;
use crate::sys::pidfd;
use crate::systemd::networkd;

/// Below the run-time directory: the pinned namespace.
const PIN: &str = "netns";

/// Refuses links that the host does not allow.
pub fn validate(root: &Root, name: &MachineName, definition: &Definition, wiring: &Wiring) -> Result<()> {
    let host_id = host_id(root);
    let site = Site { root, machine: name, definition, host_id: &host_id, reload: &networkd::reload };
    setup::validate(&site, &wiring.links)
}

/// The network namespace that is there already, where the container joins one.
pub fn namespace(root: &Root, wiring: &Wiring) -> Result<Option<OwnedFd>> {
    match &wiring.namespace {
        Namespace::Private | Namespace::Host => Ok(None),
        Namespace::Path(path) => open_namespace(path).map(Some),
        Namespace::Machine(machine) => {
            let other = MachineName::new(machine)?;
            let leader = state::read(root, &other).and_then(|state| state.open_leader());
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
            let namespace = pidfd::network_namespace(leader.ok_or_else(stopped)?);
            namespace.map(Some).context(|| format!("failed to open the network namespace of '{other}'"))
        }
    }
}

fn open_namespace(path: &Path) -> Result<OwnedFd> {
    let file =
        File::open(path).context(|| format!("failed to open network namespace '{}'", path.display()))?;
    let is_namespace = rustix::fs::fstatfs(&file).is_ok_and(|found| found.f_type == libc::NSFS_MAGIC);
    match is_namespace {
        true => Ok(file.into()),
        false => Err(Error::config(format!("'{}' is not a network namespace", path.display()))
            .hint("'ip netns add NAME' makes one at '/run/netns/NAME'")),
    }
}

/// Makes the links of a leader that waits, and returns the numbers of those on the host.
pub fn set_up(
    root: &Root,
    name: &MachineName,
    definition: &Definition,
    plan: &Plan,
    runtime: &Runtime,
    namespace: impl FnOnce() -> Result<OwnedFd>,
) -> Result<Vec<i32>> {
    // What an earlier start left would have the names.
    for error in setup::tear_down(name, Which::All, None) {
        eprintln!("{error}, ignoring");
    }
    let mut wires = plan.network.links.clone();
    if wires.is_empty() {
        return Ok(Vec::new());
    }
    let namespace = namespace()?;
    if wires.iter().any(|wire| matches!(wire.driver, Driver::Physical { .. })) {
        pin(&runtime.path(PIN), &namespace)?;
    }
    let host_id = host_id(root);
    let site = Site { root, machine: name, definition, host_id: &host_id, reload: &networkd::reload };
    let indices = setup::set_up(&site, &mut wires, &namespace)?;
    Ok(indices.into_iter().filter_map(|index| i32::try_from(index).ok()).collect())
}

fn pin(path: &Path, namespace: &OwnedFd) -> Result<()> {
    let failed = || format!("failed to keep a network namespace at '{}'", path.display());
    File::create(path).context(failed)?;
    mount_bind(format!("/proc/self/fd/{}", namespace.as_raw_fd()), path).context(failed)
}

/// Takes away the links of a container without processes, and gives back what was the host's. Returns what went wrong.
pub fn tear_down(root: &Root, name: &MachineName) -> Vec<Error> {
    let pin = root.runtime_of(name).join(PIN);
    let mut problems = Vec::new();
    let mut there = match File::open(&pin) {
        Ok(namespace) => match Links::of(&namespace.into()) {
            Ok(links) => Some(links),
            Err(error) => {
                problems.push(error);
                None
            }
        },
        Err(_) => None,
    };
    problems.extend(setup::tear_down(name, Which::All, there.as_mut()));
    if there.is_some() {
        let unpinned = unmount(&pin, UnmountFlags::DETACH);
        problems.extend(unpinned.context(|| format!("failed to let go of '{}'", pin.display())).err());
    }
    problems
}
