//! Which machines there are, and what systemd says of each: one question for all of them.

use std::collections::HashMap;
use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;

use serde::Serialize;

use super::addresses;
use super::usage::{self, Usage};
use crate::config;
use crate::error::{Error, Kind, Result};
use crate::machine::lifecycle::unit_files;
use crate::machine::pattern::Pattern;
use crate::machine::select;
use crate::name::MachineName;
use crate::paths::Root;
use crate::runtime::run_state::{RunState, Scope, Service};
use crate::runtime::state;
use crate::runtime::state::State;
use crate::runtime::stuck;
use crate::storage;
use crate::storage::ids;
use crate::sys::idmap::IdRange;
use crate::systemd::{
    self,
    manager::{Manager, UnitState},
};

/// One line of `containerctl list`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Entry {
    /// The machine's name.
    pub name: String,
    /// What it does.
    pub state: RunState,
    /// PID of the payload's first process.
    pub leader: Option<u32>,
    /// By which others reach it.
    pub addresses: Vec<IpAddr>,
    /// First host id of its range.
    pub uid_base: Option<u32>,
    /// What it uses of the host.
    #[serde(flatten)]
    pub usage: Usage,
    /// Started at boot, or along with another unit.
    pub autostart: bool,
    /// Seconds since its payload was started.
    pub uptime_seconds: Option<u64>,
    /// Its service.
    pub unit: String,
    /// Root file system, unless the definition is broken.
    pub root: Option<PathBuf>,
    /// What is wrong with the definition.
    pub problem: Option<String>,
}

/// Which machines to list. What is empty lets all through.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// One of them fits the name.
    pub patterns: Vec<Pattern>,
    /// One of them is the state.
    pub states: Vec<RunState>,
    /// It is in one of them.
    pub groups: Vec<String>,
}

impl Filter {
    fn lets_through(&self, root: &Root, name: &MachineName, state: RunState) -> bool {
        let named = self.patterns.is_empty() || self.patterns.iter().any(|pattern| pattern.matches(name));
        let grouped = || self.groups.iter().any(|group| select::is_member(root, name, group));
        named
            && (self.states.is_empty() || self.states.contains(&state))
            && (self.groups.is_empty() || grouped())
    }
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
    Ok(storage::locate(root, name, &config::load(root, name)?.settings))
}

/// The defined machines with their states, those that `filter` lets through.
pub fn list(root: &Root, filter: &Filter) -> Result<Vec<Entry>> {
    let services = services(root, &["container@*.service"])?;
    // Only root may read the table; the list is for everyone.
    let ranges: HashMap<String, IdRange> = ids::read(root).unwrap_or_default().into_iter().collect();
    let wanted = unit_files::wanted(root);
    let entries = config::names(root).into_iter().filter_map(|name| {
        let state = run_state(root, &name, &services);
        filter.lets_through(root, &name, state).then(|| Entry {
            uid_base: ranges.get(name.as_str()).map(|range| range.base),
            autostart: wanted.contains(&name.service()),
            ..entry(root, &name, state)
        })
    });
    Ok(entries.collect())
}

fn entry(root: &Root, name: &MachineName, state: RunState) -> Entry {
    let runs = !state.is_down();
    let told = if runs { state::read(root, name) } else { None };
    let (rootfs, problem) = match rootfs(root, name) {
        Ok(path) => (Some(path), None),
        // Definitions are for root; the list is for everyone.
        Err(error) if error.kind() == Kind::Denied => (None, None),
        Err(error) => (None, Some(error.to_string())),
    };
    Entry {
        name: name.to_string(),
        state,
        leader: told.as_ref().and_then(State::leader),
        addresses: told.as_ref().map(addresses::of).unwrap_or_default(),
        uid_base: None,
        usage: if runs { usage::of(root, name) } else { Usage::default() },
        autostart: false,
        uptime_seconds: told.as_ref().and_then(State::uptime).map(|up| up.as_secs()),
        unit: name.service(),
        root: rootfs,
        problem,
    }
}

/// Where systemd has the cgroup of the payload's scope, while there is one.
pub fn scope_cgroup(root: &Root, name: &MachineName) -> PathBuf {
    usage::directory(root, name).join(name.scope())
}

/// The services that match, by name; none where systemd does not run.
fn services(root: &Root, patterns: &[&str]) -> Result<HashMap<String, Service>> {
    if !systemd::is_running(root) {
        return Ok(HashMap::new());
    }
    systemd::block_on(async {
        let units = Manager::find_units(patterns).await?;
        let service = |UnitState { name, active, sub }| (name, Service { active, sub });
        Ok(units.into_iter().map(service).collect())
    })
}

fn run_state(root: &Root, name: &MachineName, services: &HashMap<String, Service>) -> RunState {
    let events = fs::read_to_string(scope_cgroup(root, name).join("cgroup.events")).unwrap_or_default();
    let service = services.get(&name.service()).cloned().unwrap_or_default();
    RunState::of(&service, Scope::of_events(&events))
}

/// What one machine does; `Stopped` where systemd does not run.
pub fn state(root: &Root, name: &MachineName) -> Result<RunState> {
    if !systemd::is_running(root) {
        return Ok(RunState::Stopped);
    }
    Ok(run_state(root, name, &services(root, &[&name.service()])?))
}

/// Fails where something of a machine is left that its service no longer watches over.
pub fn refuse_stuck(root: &Root, name: &MachineName) -> Result<()> {
    match state(root, name)? {
        RunState::Stuck => Err(match state::read(root, name) {
            Some(state) if !state.killed && state.open_leader().is_some() => stuck::unwatched(name),
            state => {
                let killed = state.is_some_and(|state| state.killed);
                stuck::error(name, killed, &stuck::processes(&scope_cgroup(root, name)))
            }
        }),
        _ => Ok(()),
    }
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
        let entries = list(&root, &Filter::default()).unwrap();
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
        assert_eq!(list(&root, &Filter::default()).unwrap().len(), 200);
        assert!(started.elapsed() < std::time::Duration::from_millis(200), "{:?}", started.elapsed());
        let filter = |pattern, state| Filter {
            patterns: vec![Pattern::new(pattern).unwrap()],
            states: vec![state],
            ..Filter::default()
        };
        assert_eq!(list(&root, &filter("m1?", RunState::Stopped)).unwrap().len(), 10);
        assert!(list(&root, &filter("m1?", RunState::Running)).unwrap().is_empty());
    }

    #[test]
    fn what_is_wanted_by_something_is_started_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::at(dir.path());
        for (name, path) in [
            ("p1", Some("/etc/systemd/system/machines.target.wants")),
            ("p2", Some("/run/systemd/generator/a.service.requires")),
            ("p3", None),
        ] {
            let name = MachineName::new(name).unwrap();
            fs::create_dir_all(root.path("/etc/containerctl")).unwrap();
            fs::write(root.definition(&name), "").unwrap();
            if let Some(path) = path.map(|path| root.path(path)) {
                fs::create_dir_all(&path).unwrap();
                std::os::unix::fs::symlink("/x", path.join(name.service())).unwrap();
            }
        }
        let entries = list(&root, &Filter::default()).unwrap();
        let autostart: Vec<bool> = entries.iter().map(|entry| entry.autostart).collect();
        assert_eq!(autostart, [true, true, false]);
    }
}
