//! Start at boot, and its order.

use std::collections::BTreeMap;

use serde::Serialize;

use super::unit_files;
use crate::config::{order::Order, settings::Settings};
use crate::error::Result;
use crate::machine::Host;
use crate::name::MachineName;

/// One line of `containerctl autostart list`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// The container's name.
    pub name: String,
    /// The effective priority: `StartPriority=`, or that of a container that waits for this one.
    pub priority: i32,
    /// `StartDelay=`: microseconds until those of a lower priority start.
    pub delay_usec: u64,
    /// `Groups=`.
    pub groups: Vec<String>,
}

impl Host {
    /// The containers that start at boot or along with another unit, in the order in which they start.
    pub fn autostart(&self) -> Result<Vec<Entry>> {
        let wanted = unit_files::wanted(self.root());
        let machines = self.machines();
        let all: BTreeMap<MachineName, Settings> = machines
            .iter()
            .filter_map(|machine| Some((machine.name.clone(), machine.definition().ok()?.settings.clone())))
            .collect();
        let order = Order::of(self.root(), &all);
        let started = machines.iter().filter(|machine| wanted.contains(&machine.name.service()));
        let mut entries: Vec<Entry> = started
            .map(|machine| {
                let own =
                    all.get(&machine.name).map(|settings| settings.container.clone()).unwrap_or_default();
                Entry {
                    priority: order.priority(&machine.name),
                    name: machine.name.to_string(),
                    delay_usec: own.start_delay_usec,
                    groups: own.groups,
                }
            })
            .collect();
        entries
            .sort_by(|one, other| other.priority.cmp(&one.priority).then_with(|| one.name.cmp(&other.name)));
        Ok(entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paths::Root;

    #[test]
    fn what_is_enabled_is_listed_by_priority() {
        let dir = tempfile::tempdir().expect("directory");
        let root = Root::at(dir.path());
        let wants = root.path("/etc/systemd/system/machines.target.wants");
        std::fs::create_dir_all(root.path("/etc/containerctl")).expect("made");
        std::fs::create_dir_all(&wants).expect("made");
        for (name, text) in [
            ("a", "[Container]\nGroups=web\n"),
            ("b", "[Container]\nStartPriority=5\nStartDelay=2s\n[Unit]\nAfter=container@a.service\n"),
            ("c", ""),
            ("off", "[Container]\nStartPriority=9\n"),
        ] {
            let name = MachineName::new(name).expect("valid");
            std::fs::write(root.definition(&name), text).expect("written");
            if name.as_str() != "off" {
                std::os::unix::fs::symlink("/x", wants.join(name.service())).expect("linked");
            }
        }
        let entries = Host::new(root).autostart().expect("listed");
        let seen: Vec<(&str, i32)> =
            entries.iter().map(|entry| (entry.name.as_str(), entry.priority)).collect();
        assert_eq!(seen, [("a", 5), ("b", 5), ("c", 0)]);
        assert_eq!((entries[1].delay_usec, entries[0].groups.clone()), (2_000_000, vec!["web".to_string()]));
    }
}
