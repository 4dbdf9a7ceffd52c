//! Resources that a container uses, by its slice's cgroup. The kernel answers faster than systemd, which would read the
//! same files, and no container can delay it.

use std::fs;
use std::path::PathBuf;

use serde::Serialize;

use crate::machine::Machine;

/// Amounts in use now, and amounts used since the slice began. `None`: the container does not run, or the host does not
/// count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Memory in bytes, its page cache included.
    pub memory_bytes: Option<u64>,
    /// Swap in bytes.
    pub swap_bytes: Option<u64>,
    /// Time of all processors, in microseconds.
    pub cpu_usec: Option<u64>,
    /// Processes and threads.
    pub tasks: Option<u64>,
    /// Bytes read from block devices.
    pub io_read_bytes: Option<u64>,
    /// Bytes written to block devices.
    pub io_written_bytes: Option<u64>,
}

impl Machine {
    /// The counters of its slice.
    pub(in crate::machine) fn usage(&self) -> Usage {
        let slice = self.slice_cgroup();
        let read = |file: &str| fs::read_to_string(slice.join(file)).ok();
        let number = |file: &str| read(file)?.trim().parse().ok();
        let io = read("io.stat");
        let io = |key| io.as_deref().map(|text| sum(text, key));
        Usage {
            memory_bytes: number("memory.current"),
            swap_bytes: number("memory.swap.current"),
            cpu_usec: read("cpu.stat").and_then(|text| value(&text, "usage_usec")),
            tasks: number("pids.current"),
            io_read_bytes: io("rbytes="),
            io_written_bytes: io("wbytes="),
        }
    }

    /// The cgroup of its slice.
    pub(in crate::machine) fn slice_cgroup(&self) -> PathBuf {
        self.root().path("/sys/fs/cgroup/machine.slice").join(self.name.slice())
    }
}

/// The value of a `KEY VALUE` line.
fn value(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(key)?.trim().parse().ok())
}

/// The sum of `KEY=VALUE` over all devices (cgroup-v2, `io.stat`).
fn sum(text: &str, key: &str) -> u64 {
    let values = text.split_whitespace().filter_map(|word| word.strip_prefix(key)?.parse::<u64>().ok());
    values.fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Host;
    use crate::name::MachineName;
    use crate::paths::Root;

    #[test]
    fn counters_are_read_and_what_is_not_counted_is_not_zero() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::at(dir.path());
        let name = MachineName::new("web-1").unwrap();
        let machine = Machine::new(&Host::new(root), &name);
        assert_eq!(machine.usage(), Usage::default());
        let slice = machine.slice_cgroup();
        fs::create_dir_all(&slice).unwrap();
        fs::write(slice.join("cpu.stat"), "usage_usec 5\nuser_usec 3\n").unwrap();
        fs::write(slice.join("io.stat"), "8:0 rbytes=1 wbytes=2 rios=9\n8:16 rbytes=10 wbytes=20\n").unwrap();
        fs::write(slice.join("pids.current"), "7\n").unwrap();
        let counted = Usage {
            cpu_usec: Some(5),
            tasks: Some(7),
            io_read_bytes: Some(11),
            io_written_bytes: Some(22),
            ..Usage::default()
        };
        assert_eq!(machine.usage(), counted);
    }
}
