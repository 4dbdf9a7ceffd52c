//! Activity of containers: the difference between two readings of their counters.

use std::collections::HashMap;
use std::time::Duration;

use serde::Serialize;

use super::registry::Entry;
use super::usage::Usage;

/// The activity of one container between two readings.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Activity {
    /// The container's name.
    pub name: String,
    /// Share of one processor's time, in percent; more than 100 of several.
    pub cpu_percent: Option<f64>,
    /// Memory in bytes, its page cache included.
    pub memory_bytes: Option<u64>,
    /// Processes and threads.
    pub tasks: Option<u64>,
    /// Bytes read and written, per second.
    pub io_bytes_per_second: Option<u64>,
}

/// The order in which containers are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The name, ascending; all others have the most first.
    Name,
    /// Processor time.
    Cpu,
    /// Memory.
    Memory,
    /// Block devices.
    Io,
    /// Processes and threads.
    Tasks,
}

/// The activity between two lists that were made `elapsed` apart; a container that is only in the second has no rates.
pub fn activities(before: &[Entry], after: &[Entry], elapsed: Duration, order: Order) -> Vec<Activity> {
    let before: HashMap<&str, Usage> =
        before.iter().map(|entry| (entry.name.as_str(), entry.usage)).collect();
    let running = after.iter().filter(|entry| entry.usage.cpu_usec.is_some());
    let mut activities: Vec<Activity> = running
        .map(|entry| {
            let (old, new) = (before.get(entry.name.as_str()), entry.usage);
            let rate = |counter: fn(&Usage) -> Option<u64>| {
                // One that was started again counts from nothing.
                let grown = counter(&new)?.saturating_sub(counter(old?)?);
                Some(grown as f64 / elapsed.as_secs_f64().max(0.001))
            };
            Activity {
                name: entry.name.clone(),
                cpu_percent: rate(|usage| usage.cpu_usec).map(|usec| (usec / 1e3).round() / 10.0),
                memory_bytes: new.memory_bytes,
                tasks: new.tasks,
                io_bytes_per_second: rate(transferred).map(|bytes| bytes as u64),
            }
        })
        .collect();
    sort(&mut activities, order);
    activities
}

fn transferred(usage: &Usage) -> Option<u64> {
    Some(usage.io_read_bytes?.saturating_add(usage.io_written_bytes?))
}

/// Sorts by `order`, and equal ones by name.
fn sort(activities: &mut [Activity], order: Order) {
    let key = |load: &Activity| match order {
        Order::Name => 0,
        Order::Cpu => load.cpu_percent.map_or(0, |percent| (percent * 10.0) as u64 + 1),
        Order::Memory => load.memory_bytes.map_or(0, |bytes| bytes.saturating_add(1)),
        Order::Io => load.io_bytes_per_second.map_or(0, |bytes| bytes.saturating_add(1)),
        Order::Tasks => load.tasks.map_or(0, |tasks| tasks.saturating_add(1)),
    };
    activities.sort_by(|one, other| key(other).cmp(&key(one)).then_with(|| one.name.cmp(&other.name)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, cpu_usec: u64, tasks: u64) -> Entry {
        Entry {
            name: name.to_string(),
            usage: Usage { cpu_usec: Some(cpu_usec), tasks: Some(tasks), ..Usage::default() },
            ..Entry::default()
        }
    }

    #[test]
    fn rates_are_of_the_time_between_two_looks() {
        let before = [entry("a", 1_000_000, 5), entry("b", 0, 9), entry("gone", 0, 1)];
        let after = [entry("a", 3_000_000, 5), entry("b", 500_000, 9), entry("new", 1, 7)];
        let looked = |order| activities(&before, &after, Duration::from_secs(2), order);
        let by = |order| looked(order).iter().map(|load| load.name.clone()).collect::<Vec<_>>();
        assert_eq!(looked(Order::Cpu)[0].cpu_percent, Some(100.0));
        assert_eq!(looked(Order::Cpu)[2].cpu_percent, None);
        assert_eq!(by(Order::Cpu), ["a", "b", "new"]);
        assert_eq!(by(Order::Tasks), ["b", "new", "a"]);
        assert_eq!(by(Order::Memory), ["a", "b", "new"]);
        assert_eq!(by(Order::Name), ["a", "b", "new"]);
        let again = [entry("a", 10, 5)];
        assert_eq!(
            activities(&before, &again, Duration::from_secs(2), Order::Name)[0].cpu_percent,
            Some(0.0)
        );
    }
}
