//! Which machines a verb means: by name, by group, or all.

use super::registry;
use crate::config;
use crate::error::{Error, Kind, Result};
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
        let mut found: Vec<MachineName> = Vec::new();
        let mut add = |name: MachineName| {
            if !found.contains(&name) {
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
        assert_eq!(machines(&["c"], &[], true).expect("found"), "c a b d");
        assert_eq!(machines(&[], &["nosuch"], false).expect_err("refused").kind(), Kind::NotFound);
    }
}
