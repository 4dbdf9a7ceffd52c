//! In what order containers start that start together: those of a higher `StartPriority=` first, all of one priority
//! side by side.
//!
//! The administrator's own `After=` and `Before=` are never contradicted: what a container waits for counts as having
//! at least its priority. So each wait leads to the same priority or a higher one, and no circle can come of ours.

use std::collections::BTreeMap;
use std::fs;

use super::settings::Settings;
use crate::name::{MachineName, UnitOf};
use crate::paths::Root;

/// Directories of unit drop-ins that we do not write (systemd.unit(5)).
const DROP_INS: [&str; 3] = ["/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system"];

/// The order of all containers.
#[derive(Debug, Default)]
pub struct Order {
    priorities: BTreeMap<MachineName, i32>,
    /// Machines with a delay before the next one.
    delayed: Vec<MachineName>,
}

impl Order {
    /// Of all definitions that can be read, and what the administrator's drop-ins say beside them.
    pub fn of(root: &Root, all: &BTreeMap<MachineName, Settings>) -> Order {
        let mut priorities: BTreeMap<MachineName, i32> =
            all.iter().map(|(name, settings)| (name.clone(), settings.container.start_priority)).collect();
        if priorities.values().any(|priority| *priority != 0) {
            let mut waits = Vec::new();
            for (name, settings) in all {
                settings.unit.iter().for_each(|(key, value)| wait(&mut waits, name, key, value));
                drop_ins(root, name).iter().for_each(|text| waits_of(&mut waits, name, text));
            }
            raise(&mut priorities, &waits);
        }
        let delayed = all.iter().filter(|(_, settings)| settings.container.start_delay_usec > 0);
        Order { priorities, delayed: delayed.map(|(name, _)| name.clone()).collect() }
    }

    /// The priority that counts.
    pub fn priority(&self, name: &MachineName) -> i32 {
        self.priorities.get(name).copied().unwrap_or_default()
    }

    /// The units that a container starts after, because of priorities.
    pub fn after(&self, name: &MachineName) -> Vec<String> {
        let own = self.priority(name);
        let higher = self.priorities.iter().filter(|(_, priority)| **priority > own);
        let units = higher.flat_map(|(name, _)| {
            let delay = self.delayed.contains(name).then(|| name.delay());
            [Some(name.service()), delay].into_iter().flatten()
        });
        units.collect()
    }
}

/// One waits for the other.
type Wait = (MachineName, MachineName);

/// Takes note if `key` orders `name` and another container.
fn wait(waits: &mut Vec<Wait>, name: &MachineName, key: &str, value: &str) {
    let others = value.split_whitespace().filter_map(machine);
    match key {
        "After" => waits.extend(others.map(|other| (name.clone(), other))),
        "Before" => waits.extend(others.map(|other| (other, name.clone()))),
        _ => {}
    }
}

/// The container that a unit's name stands for.
fn machine(unit: &str) -> Option<MachineName> {
    let unit =
        unit.strip_prefix("systemd-nspawn@").map_or(unit.to_string(), |rest| format!("container@{rest}"));
    MachineName::of_unit(&unit).filter(|(_, kind)| *kind == UnitOf::Service).map(|(name, _)| name)
}

/// The assignments of a unit file's text that order containers.
fn waits_of(waits: &mut Vec<Wait>, name: &MachineName, text: &str) {
    for line in text.lines() {
        if let Some((key, value)) = line.split_once('=') {
            wait(waits, name, key.trim(), value);
        }
    }
}

/// The texts of the drop-ins that others have put beside a container's service.
fn drop_ins(root: &Root, name: &MachineName) -> Vec<String> {
    let directories = DROP_INS.iter().map(|path| root.path(path).join(format!("{}.d", name.service())));
    let files = directories.filter_map(|path| fs::read_dir(path).ok()).flatten().flatten();
    files
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "conf"))
        .filter_map(|path| fs::read_to_string(path).ok())
        .collect()
}

/// Gives what is waited for at least the priority of who waits.
fn raise(priorities: &mut BTreeMap<MachineName, i32>, waits: &[Wait]) {
    let mut changed = true;
    while changed {
        changed = false;
        for (waiting, other) in waits {
            let Some(wanted) = priorities.get(waiting).copied() else { continue };
            if let Some(priority) = priorities.get_mut(other).filter(|priority| **priority < wanted) {
                *priority = wanted;
                changed = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(index: usize) -> MachineName {
        MachineName::new(&format!("m{index}")).expect("valid")
    }

    fn order(machines: &[(i32, Vec<usize>)]) -> Order {
        let settings = |(priority, after): &(i32, Vec<usize>)| {
            let mut settings = Settings::default();
            settings.container.start_priority = *priority;
            let after = after.iter().map(|index| ("After".to_string(), name(*index).service()));
            settings.unit = after.collect();
            settings
        };
        let all = machines.iter().enumerate().map(|(index, machine)| (name(index), settings(machine)));
        Order::of(&Root::at("/nowhere"), &all.collect())
    }

    #[test]
    fn without_priorities_nothing_is_ordered() {
        let order = order(&[(0, vec![]), (0, vec![0]), (0, vec![])]);
        assert!((0..3).all(|index| order.after(&name(index)).is_empty()));
    }

    #[test]
    fn a_higher_priority_is_first_and_those_of_one_are_side_by_side() {
        let order = order(&[(0, vec![]), (5, vec![]), (5, vec![]), (-1, vec![])]);
        assert_eq!(order.after(&name(1)), Vec::<String>::new());
        assert_eq!(order.after(&name(0)), ["container@m1.service", "container@m2.service"]);
        assert_eq!(order.after(&name(3)).len(), 3);
    }

    #[test]
    fn what_is_waited_for_counts_as_much_as_who_waits() {
        let order = order(&[(10, vec![1]), (0, vec![2]), (-5, vec![]), (3, vec![])]);
        assert_eq!([0, 1, 2, 3].map(|index| order.priority(&name(index))), [10, 10, 10, 3]);
    }

    #[test]
    fn other_names_of_a_containers_unit_are_known() {
        let mut waits = Vec::new();
        waits_of(
            &mut waits,
            &name(0),
            "[Unit]\nAfter = systemd-nspawn@m1.service dbus.service\nBefore=container@m2.service\n",
        );
        assert_eq!(waits, [(name(0), name(1)), (name(2), name(0))]);
    }

    proptest! {
        #[test]
        fn no_circle_is_made_that_the_administrator_has_not_made(
            machines in prop::collection::vec((-3..4_i32, prop::collection::vec(0..12_usize, 0..4)), 1..12),
        ) {
            // Each waits only for those before it, so that there is no circle to begin with.
            let machines: Vec<(i32, Vec<usize>)> = machines
                .into_iter()
                .enumerate()
                .map(|(index, (priority, after))| (priority, after.into_iter().filter(|other| *other < index).collect()))
                .collect();
            let order = order(&machines);
            let waits_for = |index: usize| -> Vec<usize> {
                let ours = order.after(&name(index));
                let ours = (0..machines.len()).filter(|other| ours.contains(&name(*other).service()));
                ours.chain(machines[index].1.iter().copied()).collect()
            };
            // Taken away one by one, as long as there is one that waits for none of those left, none must be left.
            let mut left: Vec<usize> = (0..machines.len()).collect();
            while let Some(free) = left.iter().position(|index| !waits_for(*index).iter().any(|o| left.contains(o))) {
                left.remove(free);
            }
            prop_assert!(left.is_empty(), "a circle of {left:?}");
        }
    }
}
