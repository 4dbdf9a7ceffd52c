//! Selecting containers by name, by group, or all.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Error, Kind, Result};
use crate::machine::{Host, Machine};
use crate::name::MachineName;

/// A selection of containers; each field adds to the others.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// By name. They need not be defined; the operation has an error for each that is not.
    pub names: Vec<MachineName>,
    /// Members of these groups.
    pub groups: Vec<String>,
    /// All that are defined.
    pub all: bool,
}

impl Host {
    /// The selected containers, each once: those that were named in their order, then the others by name.
    pub fn select(&self, selection: &Selection) -> Result<Vec<Machine>> {
        let (mut found, mut seen) = (Vec::new(), BTreeSet::new());
        let mut add = |machine: Machine| {
            if seen.insert(machine.name.clone()) {
                found.push(machine);
            }
        };
        self.handles(&selection.names).into_iter().for_each(&mut add);
        for group in &selection.groups {
            self.members(group)?.into_iter().for_each(&mut add);
        }
        if selection.all {
            self.machines().into_iter().for_each(add);
        }
        Ok(found)
    }

    /// Handles of containers by name, which need not be defined.
    pub fn handles(&self, names: &[MachineName]) -> Vec<Machine> {
        names.iter().map(|name| Machine::new(self, name)).collect()
    }

    /// All groups and their members.
    pub fn groups(&self) -> BTreeMap<String, Vec<MachineName>> {
        let mut groups: BTreeMap<String, Vec<MachineName>> = BTreeMap::new();
        for machine in self.machines() {
            let Ok(definition) = machine.definition() else { continue };
            for group in &definition.settings.container.groups {
                groups.entry(group.clone()).or_default().push(machine.name.clone());
            }
        }
        groups
    }

    fn members(&self, group: &str) -> Result<Vec<Machine>> {
        let mut found = self.machines();
        found.retain(|machine| machine.is_member(group) && machine.file().is_some());
        if found.is_empty() {
            let missing = format!("no container is in group '{}'", group.escape_debug());
            return Err(Error::new(Kind::NotFound, missing)
                .hint("Groups= in [Container] of a definition names its groups"));
        }
        Ok(found)
    }
}

impl Machine {
    /// Whether it is in a group; one whose definition is broken is in none.
    pub(in crate::machine) fn is_member(&self, group: &str) -> bool {
        let groups = self.definition().map(|definition| &definition.settings.container.groups);
        groups.is_ok_and(|groups| groups.iter().any(|own| own == group))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paths::Root;

    #[test]
    fn names_groups_and_all_add_up_and_each_comes_once() {
        let dir = tempfile::tempdir().expect("directory");
        let root = Root::at(dir.path());
        std::fs::create_dir_all(root.path("/etc/containerctl")).expect("made");
        for (name, groups) in [("a", "web db"), ("b", "db"), ("c", ""), ("d", "web\nBoot")] {
            let text = format!("[Container]\nGroups={groups}\n");
            std::fs::write(root.definition(&MachineName::new(name).expect("valid")), text).expect("written");
        }
        let machines = |names: &[&str], groups: &[&str], all| {
            let names = names.iter().map(|name| MachineName::new(name).expect("valid")).collect();
            let groups = groups.iter().map(ToString::to_string).collect();
            let found = Host::new(root.clone()).select(&Selection { names, groups, all });
            found.map(|found| found.iter().map(|one| one.name.to_string()).collect::<Vec<_>>().join(" "))
        };
        assert_eq!(machines(&["b"], &["db"], false).expect("found"), "b a");
        // A definition that cannot be read is in no group.
        assert_eq!(machines(&[], &["web"], false).expect("found"), "a");
        let groups = Host::new(root.clone()).groups();
        let all: Vec<_> = groups.into_iter().map(|(group, members)| (group, members.len())).collect();
        assert_eq!(all, [("db".to_string(), 2), ("web".to_string(), 1)]);
        assert_eq!(machines(&["c"], &[], true).expect("found"), "c a b d");
        assert_eq!(machines(&[], &["nosuch"], false).expect_err("refused").kind(), Kind::NotFound);
    }
}
