//! Which machines a verb means: by name, by group, or all.

use std::collections::{BTreeMap, BTreeSet};

use crate::config;
use crate::error::{Error, Kind, Result};
use crate::machine::inspect::registry;
use crate::name::MachineName;
use crate::paths::Root;

/// What was asked for; each adds to the others.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// By name; whether they are there is for the verb to find.
    pub names: Vec<MachineName>,
    /// Members of these groups.
    pub groups: Vec<String>,
    /// Everything that is defined.
    pub all: bool,
}

impl Selection {
    /// The machines, each once: those that were named in their order, then the others by name.
    pub fn machines(&self, root: &Root) -> Result<Vec<MachineName>> {
        let (mut found, mut seen) = (Vec::new(), BTreeSet::new());
        let mut add = |name: MachineName| {
            if seen.insert(name.clone()) {
                found.push(name);
            }
        };
        self.names.iter().cloned().for_each(&mut add);
        for group in &self.groups {
            members(root, group)?.into_iter().for_each(&mut add);
        }
        if self.all {
            config::names(root).into_iter().for_each(add);
        }
        Ok(found)
    }
}

/// Whether a machine is in a group; one whose definition is broken is in none.
pub fn is_member(root: &Root, name: &MachineName, group: &str) -> bool {
    let settings = config::load(root, name).map(|definition| definition.settings);
    settings.is_ok_and(|settings| settings.container.groups.iter().any(|own| own == group))
}

/// All groups and who is in them.
pub fn groups(root: &Root) -> BTreeMap<String, Vec<MachineName>> {
    let mut groups: BTreeMap<String, Vec<MachineName>> = BTreeMap::new();
    for name in config::names(root) {
        let Ok(definition) = config::load(root, &name) else { continue };
        for group in definition.settings.container.groups {
            groups.entry(group).or_default().push(name.clone());
        }
    }
    groups
}

fn members(root: &Root, group: &str) -> Result<Vec<MachineName>> {
    let mut found = config::names(root);
    found.retain(|name| is_member(root, name, group) && registry::definition(root, name).is_some());
    if found.is_empty() {
        return Err(Error::new(
            Kind::NotFound,
            format!("no container is in group '{}'", group.escape_debug()),
        )
        .hint("Groups= in [Container] of a definition names its groups"));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

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
            let found = Selection { names, groups, all }.machines(&root);
            found.map(|found| found.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
        };
        assert_eq!(machines(&["b"], &["db"], false).expect("found"), "b a");
        // A definition that cannot be read is in no group.
        assert_eq!(machines(&[], &["web"], false).expect("found"), "a");
        let all: Vec<_> = groups(&root).into_iter().map(|(group, members)| (group, members.len())).collect();
        assert_eq!(all, [("db".to_string(), 2), ("web".to_string(), 1)]);
        assert_eq!(machines(&["c"], &[], true).expect("found"), "c a b d");
        assert_eq!(machines(&[], &["nosuch"], false).expect_err("refused").kind(), Kind::NotFound);
    }
}
