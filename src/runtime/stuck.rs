//! Processes that SIGKILL does not end: they sleep uninterruptibly in the kernel, most often for a disk or a network file
//! system that does not answer.

use std::fmt;
use std::fs;
use std::path::Path;

use serde::Serialize;

use super::cgroup::pids;
use crate::error::{Error, Kind};
use crate::name::MachineName;

/// As many are named in a sentence.
const NAMED: usize = 8;

/// A process that is left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Process {
    /// The process id on the host.
    pub pid: i32,
    /// The name (proc_pid_comm(5)), which the process itself can set.
    pub command: String,
    /// The kernel function in which it waits (proc_pid_wchan(5)); empty for callers without the right to know.
    pub waits_in: String,
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Process { pid, command, waits_in } = self;
        write!(f, "{pid} ({command}")?;
        if waits_in.is_empty() { write!(f, ")") } else { write!(f, ", in {waits_in})") }
    }
}

/// The processes in a cgroup and below it.
pub fn processes(cgroup: &Path) -> Vec<Process> {
    pids(cgroup).into_iter().map(look).collect()
}

/// The number may be another's by now; nothing but a name is taken of it.
fn look(pid: i32) -> Process {
    let read =
        |file| fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default().trim().to_string();
    let waits_in = read("wchan");
    Process { pid, command: read("comm"), waits_in: if waits_in == "0" { String::new() } else { waits_in } }
}

/// The error of a machine that has ended, or `was_killed`, and is still there.
pub fn error(name: &MachineName, was_killed: bool, left: &[Process]) -> Error {
    let named: Vec<String> = left.iter().take(NAMED).map(ToString::to_string).collect();
    let more = left.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let end = if was_killed { "it was killed" } else { "its first process has ended" };
    let what = format!("container '{name}' is stuck: {end}, and left are {}{more}", named.join(", "));
    Error::new(Kind::Stuck, what).hint("mend what they wait for; they end then, and it is stopped")
}

/// The error of a machine that runs, and whose service has ended.
pub fn unwatched(name: &MachineName) -> Error {
    let what = format!("container '{name}' is stuck: it runs, and its supervisor has ended");
    Error::new(Kind::Stuck, what)
        .hint(format!("'containerctl start {name}' takes it over again, 'containerctl stop {name}' ends it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: i32) -> Process {
        Process { pid, command: "cat".to_string(), waits_in: "request_wait_answer".to_string() }
    }

    #[test]
    fn the_error_names_processes_and_what_they_wait_for_but_not_without_end() {
        let name = MachineName::new("p1").expect("valid");
        let error = error(&name, true, &(1..=10).map(process).collect::<Vec<_>>());
        assert_eq!(error.kind(), Kind::Stuck);
        assert!(error.message().contains("left are 1 (cat, in request_wait_answer), 2 (cat"), "{error}");
        assert!(error.message().ends_with("8 (cat, in request_wait_answer) and 2 more"), "{error}");
    }

    #[test]
    fn processes_of_all_cgroups_below_are_found() {
        let dir = tempfile::tempdir().expect("directory");
        let below = dir.path().join("payload/init.scope");
        fs::create_dir_all(&below).expect("made");
        fs::write(dir.path().join("cgroup.procs"), "").expect("written");
        fs::write(below.join("cgroup.procs"), format!("{}\n", std::process::id())).expect("written");
        let found = processes(dir.path());
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].pid, std::process::id() as i32);
        assert!(!found[0].command.is_empty());
    }
}
