//! Which machines there are, and what systemd says of each: one question for all of them.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;

use serde::Serialize;

use super::{ids, state};
use crate::config;
use crate::error::{Error, Kind, Result};
use crate::name::MachineName;
use crate::paths::Root;
use crate::sandbox::idmap::IdRange;
use crate::systemd::{self, manager::Manager};

/// One line of `containerctl list`.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// The machine's name.
    pub name: String,
    /// `ActiveState` of its service; `inactive` where systemd has not loaded it, or does not run.
    pub state: String,
    /// PID of the payload's first process.
    pub leader: Option<u32>,
    /// First host id of its range.
    pub uid_base: Option<u32>,
    /// Memory in use, its page cache included.
    pub memory_bytes: Option<u64>,
    /// Root file system, unless the definition is broken.
    pub root: Option<PathBuf>,
    /// What is wrong with the definition.
    pub problem: Option<String>,
}

/// The main file of a definition, the strongest.
pub fn definition(root: &Root, name: &MachineName) -> Option<PathBuf> {
    let files = root.definition_dirs().map(|directory| directory.join(format!("{name}.conf")));
    files.into_iter().find(|file| file.symlink_metadata().is_ok())
}

/// Fails unless `name` is defined.
pub fn require(root: &Root, name: &MachineName) -> Result<PathBuf> {
    definition(root, name).ok_or_else(|| {
        Error::new(Kind::NotFound, format!("there is no container '{name}'"))
            .hint("'containerctl list' shows those there are")
    })
}

/// Where the root file system of `name` is: what `RootDirectory=` says, or its place in the store.
pub fn rootfs(root: &Root, name: &MachineName) -> Result<PathBuf> {
    let said = config::load(root, name)?.settings.files.root_directory;
    Ok(said.unwrap_or_else(|| root.rootfs(name)))
}

/// Every defined machine with its state.
pub fn list(root: &Root) -> Result<Vec<Entry>> {
    let states = states(root)?;
    // Only root may read the table; the list is for everyone.
    let ranges: HashMap<String, IdRange> = ids::read(root).unwrap_or_default().into_iter().collect();
    let entries = config::names(root).into_iter().map(|name| {
        let state = states.get(&name.service()).map_or("inactive", String::as_str);
        let uid_base = ranges.get(name.as_str()).map(|range| range.base);
        entry(root, &name, state, uid_base)
    });
    Ok(entries.collect())
}

fn entry(root: &Root, name: &MachineName, state: &str, uid_base: Option<u32>) -> Entry {
    let runs = !matches!(state, "inactive" | "failed");
    let (rootfs, problem) = match rootfs(root, name) {
        Ok(path) => (Some(path), None),
        Err(error) => (None, Some(error.to_string())),
    };
    Entry {
        name: name.to_string(),
        state: state.to_string(),
        leader: if runs { leader(root, name) } else { None },
        uid_base,
        memory_bytes: if runs { usage(root, name, "memory.current") } else { None },
        root: rootfs,
        problem,
    }
}

/// The leader's PID as the supervisor wrote it into the machine's run-time directory.
pub fn leader(root: &Root, name: &MachineName) -> Option<u32> {
    u32::try_from(state::read(root, name)?.leader).ok().filter(|leader| *leader > 0)
}

/// A counter of the machine's slice; the kernel is quicker to ask than systemd, which would read the same file.
pub fn usage(root: &Root, name: &MachineName, file: &str) -> Option<u64> {
    let slice = root.path("/sys/fs/cgroup/machine.slice").join(name.slice());
    fs::read_to_string(slice.join(file)).ok()?.trim().parse().ok()
}

/// `ActiveState` by service; empty where systemd does not run.
fn states(root: &Root) -> Result<HashMap<String, String>> {
    if !systemd::is_running(root) {
        return Ok(HashMap::new());
    }
    systemd::block_on(async {
        let units = Manager::connect().await?.list_units_by_patterns(&["container@*.service"]).await?;
        Ok(units.into_iter().map(|unit| (unit.name, unit.active)).collect())
    })
}

/// `ActiveState` of one machine's service.
pub fn state(root: &Root, name: &MachineName) -> Result<String> {
    if !systemd::is_running(root) {
        return Ok("inactive".to_string());
    }
    systemd::block_on(async {
        let units = Manager::connect().await?.list_units_by_patterns(&[&name.service()]).await?;
        Ok(units.into_iter().next().map_or_else(|| "inactive".to_string(), |unit| unit.active))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_definition_is_listed_with_its_mistake() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::at(dir.path());
        fs::create_dir_all(root.path("/etc/containerctl")).unwrap();
        fs::write(root.path("/etc/containerctl/p1.conf"), "[Exec]\nBoot=perhaps\n").unwrap();
        let entries = list(&root).unwrap();
        assert_eq!((entries[0].name.as_str(), &entries[0].root), ("p1", &None));
        assert!(entries[0].problem.as_ref().unwrap().contains("p1.conf:2:"), "{entries:?}");
    }

    #[test]
    fn two_hundred_are_listed_in_a_blink() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::at(dir.path());
        fs::create_dir_all(root.path("/etc/containerctl")).unwrap();
        for i in 0..200 {
            let name = MachineName::new(&format!("m{i}")).unwrap();
            fs::write(root.definition(&name), "[Exec]\n").unwrap();
            ids::range_of(&root, &name).unwrap();
        }
        let started = std::time::Instant::now();
        assert_eq!(list(&root).unwrap().len(), 200);
        assert!(started.elapsed() < std::time::Duration::from_millis(200), "{:?}", started.elapsed());
    }
}
