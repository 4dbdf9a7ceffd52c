//! The defined containers and their states, by one question to systemd for all of them.

use std::collections::HashMap;
use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;

use serde::Serialize;

use super::addresses;
use super::usage::Usage;
use crate::error::{Error, Kind, Result};
use crate::machine::lifecycle::unit_files;
use crate::machine::pattern::Pattern;
use crate::machine::{Host, Machine};
use crate::runtime::run_state::{RunState, Scope, Service};
use crate::runtime::state::{self, State};
use crate::runtime::stuck;
use crate::storage::{self, ids};
use crate::sys::idmap::IdRange;
use crate::systemd::{
    self,
    manager::{Manager, UnitState},
};

/// One line of `containerctl list`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Entry {
    /// The container's name.
    pub name: String,
    /// The state.
    pub state: RunState,
    /// PID of the payload's first process.
    pub leader: Option<u32>,
    /// The addresses by which others reach it.
    pub addresses: Vec<IpAddr>,
    /// First host id of its range.
    pub uid_base: Option<u32>,
    /// Resources that it uses.
    #[serde(flatten)]
    pub usage: Usage,
    /// Whether it is started at boot, or along with another unit.
    pub autostart: bool,
    /// Seconds since its payload was started.
    pub uptime_seconds: Option<u64>,
    /// The name of the service.
    pub unit: String,
    /// Root file system, unless the definition is broken.
    pub root: Option<PathBuf>,
    /// The mistake in the definition.
    pub problem: Option<String>,
}

/// A choice of the listed containers. An empty field lets all through.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// One of these matches the name.
    pub patterns: Vec<Pattern>,
    /// One of these is the state.
    pub states: Vec<RunState>,
    /// The container is in one of these groups.
    pub groups: Vec<String>,
}

impl Filter {
    fn lets_through(&self, machine: &Machine, state: RunState) -> bool {
        let named =
            self.patterns.is_empty() || self.patterns.iter().any(|pattern| pattern.matches(machine.name()));
        let grouped = || self.groups.iter().any(|group| machine.is_member(group));
        named
            && (self.states.is_empty() || self.states.contains(&state))
            && (self.groups.is_empty() || grouped())
    }
}

impl Host {
    /// The defined containers that `filter` lets through, with their states.
    pub fn list(&self, filter: &Filter) -> Result<Vec<Entry>> {
        let services = services(self, &["container@*.service"])?;
        // Only root may read the table; the list is for everyone.
        let ranges: HashMap<String, IdRange> =
            ids::read(self.root()).unwrap_or_default().into_iter().collect();
        let wanted = unit_files::wanted(self.root());
        let entries = self.machines().into_iter().filter_map(|machine| {
            let state = machine.state_of(&services);
            filter.lets_through(&machine, state).then(|| Entry {
                uid_base: ranges.get(machine.name.as_str()).map(|range| range.base),
                autostart: wanted.contains(&machine.name.service()),
                ..machine.entry(state)
            })
        });
        Ok(entries.collect())
    }
}

impl Machine {
    /// The state; `Stopped` where systemd does not run.
    pub fn state(&self) -> Result<RunState> {
        if !systemd::is_running(self.root()) {
            return Ok(RunState::Stopped);
        }
        Ok(self.state_of(&services(self.host(), &[&self.name.service()])?))
    }

    /// Fails with kind `Stuck` where processes are left that its service no longer supervises.
    pub(in crate::machine) fn refuse_stuck(&self) -> Result<()> {
        match self.state()? {
            RunState::Stuck => Err(match state::read(self.root(), &self.name) {
                Some(state) if !state.killed && state.open_leader().is_some() => stuck::unwatched(&self.name),
                state => {
                    let killed = state.is_some_and(|state| state.killed);
                    stuck::error(&self.name, killed, &stuck::processes(&self.scope_cgroup()))
                }
            }),
            _ => Ok(()),
        }
    }

    /// The path of the root file system: `RootDirectory=`, or the place in the store.
    pub(in crate::machine) fn rootfs(&self) -> Result<PathBuf> {
        Ok(storage::locate(self.root(), &self.name, &self.definition()?.settings))
    }

    /// The state, given the states of services.
    fn state_of(&self, services: &HashMap<String, Service>) -> RunState {
        let events = fs::read_to_string(self.scope_cgroup().join("cgroup.events")).unwrap_or_default();
        let service = services.get(&self.name.service()).cloned().unwrap_or_default();
        RunState::of(&service, Scope::of_events(&events))
    }

    fn entry(&self, state: RunState) -> Entry {
        let runs = !state.is_down();
        let running = if runs { state::read(self.root(), &self.name) } else { None };
        let rootfs = self.rootfs();
        Entry {
            name: self.name.to_string(),
            state,
            leader: running.as_ref().and_then(State::leader),
            addresses: running.as_ref().map(addresses::of).unwrap_or_default(),
            uid_base: None,
            usage: if runs { self.usage() } else { Usage::default() },
            autostart: false,
            uptime_seconds: running.as_ref().and_then(State::uptime).map(|up| up.as_secs()),
            unit: self.name.service(),
            // Definitions are for root; the list is for everyone.
            problem: rootfs.as_ref().err().filter(|error| error.kind() != Kind::Denied).map(Error::to_string),
            root: rootfs.ok(),
        }
    }

    /// The cgroup of its payload's scope, which is there while systemd has the scope.
    fn scope_cgroup(&self) -> PathBuf {
        self.slice_cgroup().join(self.name.scope())
    }
}

/// The services that match, by name; none where systemd does not run.
fn services(host: &Host, patterns: &[&str]) -> Result<HashMap<String, Service>> {
    if !systemd::is_running(host.root()) {
        return Ok(HashMap::new());
    }
    let units = systemd::block_on(Manager::find_units(host.bus(), patterns))?;
    let service = |UnitState { name, active, sub }| (name, Service { active, sub });
    Ok(units.into_iter().map(service).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::MachineName;
    use crate::paths::Root;

    #[test]
    fn a_broken_definition_is_listed_with_its_mistake() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::at(dir.path());
        fs::create_dir_all(root.path("/etc/containerctl")).unwrap();
        fs::write(root.path("/etc/containerctl/p1.conf"), "[Exec]\nBoot=perhaps\n").unwrap();
        let entries = Host::new(root.clone()).list(&Filter::default()).unwrap();
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
        assert_eq!(Host::new(root.clone()).list(&Filter::default()).unwrap().len(), 200);
        assert!(started.elapsed() < std::time::Duration::from_millis(200), "{:?}", started.elapsed());
        let filter = |pattern, state| Filter {
            patterns: vec![Pattern::new(pattern).unwrap()],
            states: vec![state],
            ..Filter::default()
        };
        assert_eq!(Host::new(root.clone()).list(&filter("m1?", RunState::Stopped)).unwrap().len(), 10);
        assert!(Host::new(root.clone()).list(&filter("m1?", RunState::Running)).unwrap().is_empty());
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
        let entries = Host::new(root.clone()).list(&Filter::default()).unwrap();
        let autostart: Vec<bool> = entries.iter().map(|entry| entry.autostart).collect();
        assert_eq!(autostart, [true, true, false]);
    }
}
