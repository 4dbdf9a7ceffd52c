//! Interfaces of the host that were moved into a container. They are recorded in the machine's run-time directory, which
//! nobody inside writes, and moved back from its network namespace, which a mount there keeps.
//!
//! A guest can change the name and the alias of an interface, so it is found by its number.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;

use rustix::mount::{UnmountFlags, mount_bind, unmount};

use super::host_end;
use super::link::{Links, failed};
use crate::config::network::IfName;
use crate::error::{Context, Error, Result};
use crate::name::MachineName;
use crate::paths::Root;

/// One interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// The name on the host, before and after.
    pub was: IfName,
    /// The first name inside.
    pub inside: IfName,
    /// The interface index inside.
    pub index: u32,
    /// Settings that it had on the host.
    pub settings: Vec<(String, String)>,
}

/// The pinned namespace.
fn pin_path(root: &Root, machine: &MachineName) -> PathBuf {
    root.runtime_of(machine).join("netns")
}

fn list_path(root: &Root, machine: &MachineName) -> PathBuf {
    root.runtime_of(machine).join("handed")
}

/// Keeps a namespace from going with its last process; once is enough.
pub fn pin(root: &Root, machine: &MachineName, namespace: &OwnedFd) -> Result<()> {
    let path = pin_path(root, machine);
    if path.exists() {
        return Ok(());
    }
    let failed = || format!("failed to keep a network namespace at '{}'", path.display());
    File::create(&path).context(failed)?;
    mount_bind(format!("/proc/self/fd/{}", namespace.as_raw_fd()), &path).context(failed)
}

/// Remembers one.
pub fn remember(root: &Root, machine: &MachineName, moved: &Moved) -> Result<()> {
    let path = list_path(root, machine);
    let mut line = format!("{} {} {}", moved.was, moved.inside, moved.index);
    for (file, value) in &moved.settings {
        line += &format!(" {file}={value}");
    }
    line.push('\n');
    let written = OpenOptions::new().create(true).append(true).open(&path);
    written
        .and_then(|mut file| file.write_all(line.as_bytes()))
        .context(|| format!("failed to write '{}'", path.display()))
}

/// Forgets one that was taken back, and lets go of the namespace with the last one.
pub fn forget(root: &Root, machine: &MachineName, inside: &IfName) -> Result<()> {
    let path = list_path(root, machine);
    let failed = || format!("failed to write '{}'", path.display());
    let left: Vec<Moved> = list(root, machine).into_iter().filter(|moved| moved.inside != *inside).collect();
    fs::remove_file(&path).context(failed)?;
    left.iter().try_for_each(|moved| remember(root, machine, moved))?;
    if left.is_empty() { unpin(root, machine) } else { Ok(()) }
}

/// The interfaces moved into a machine.
pub fn list(root: &Root, machine: &MachineName) -> Vec<Moved> {
    let line = |line: &str| {
        let mut words = line.split(' ');
        let (was, inside) = (IfName::new(words.next()?)?, IfName::new(words.next()?)?);
        let index = words.next()?.parse().ok()?;
        let setting = |word: &str| word.split_once('=').map(|(file, value)| (file.into(), value.into()));
        Some(Moved { was, inside, index, settings: words.filter_map(setting).collect() })
    };
    fs::read_to_string(list_path(root, machine)).unwrap_or_default().lines().filter_map(line).collect()
}

/// Moves interfaces back that are still in the machine's namespace; only the one of this name inside, where one is given.
/// Returns what went wrong.
pub fn take_back(root: &Root, machine: &MachineName, only: Option<&IfName>) -> Vec<Error> {
    let pin = pin_path(root, machine);
    let Ok(namespace) = File::open(&pin) else { return Vec::new() };
    let mut there = match Links::of(&namespace.into()) {
        Ok(there) => there,
        Err(error) => return vec![error],
    };
    let wanted = |moved: &Moved| only.is_none_or(|only| moved.inside == *only);
    let moved = list(root, machine).into_iter().filter(wanted);
    moved.filter_map(|moved| one(&mut there, &moved).err()).collect()
}

fn one(there: &mut Links, moved: &Moved) -> Result<()> {
    let Some(link) = there.by_index(moved.index)? else { return Ok(()) };
    let ours = File::open("/proc/self/ns/net")
        .map(OwnedFd::from)
        .context(|| "failed to open '/proc/self/ns/net'")?;
    let back = there.hand_over(link.index, &moved.was, &ours);
    back.map_err(|refusal| failed(&format!("take interface '{}' back", moved.was), &refusal))?;
    // The kernel has given it the settings of a new interface.
    host_end::restore(moved.was.as_str(), &moved.settings)?;
    // Whatever the guest has written on it.
    let mut here = Links::here()?;
    let link = here.require(moved.was.as_str())?;
    here.mark(link.index, None)
        .map_err(|refusal| failed(&format!("unmark interface '{}'", moved.was), &refusal))
}

/// Lets go of the namespace, and forgets all that was moved.
pub fn unpin(root: &Root, machine: &MachineName) -> Result<()> {
    let path = pin_path(root, machine);
    match unmount(&path, UnmountFlags::DETACH) {
        // It was never pinned.
        Err(rustix::io::Errno::NOENT) => return Ok(()),
        Err(rustix::io::Errno::INVAL) => {}
        result => result.context(|| format!("failed to let go of '{}'", path.display()))?,
    }
    for path in [path, list_path(root, machine)] {
        match fs::remove_file(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            result => result.context(|| format!("failed to remove '{}'", path.display()))?,
        }
    }
    Ok(())
}
