//! The processes of containers, by their numbers on the host and inside.
//!
//! A command line is read from the memory of its process, and a hostile process can make the read last for ever. So a
//! thread reads it, for which nobody waits long.

use std::fs;
use std::io::Read;
use std::sync::mpsc;
use std::time::Duration;

use serde::Serialize;

use crate::error::Result;
use crate::machine::{Host, Machine};
use crate::name::MachineName;
use crate::runtime::cgroup::{Cgroup, pids};
use crate::runtime::state::{self, State};

/// Time for the command line of one process.
const PATIENCE: Duration = Duration::from_millis(200);
/// Bytes of a command line that are shown.
const LONGEST: usize = 4096;

/// One process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Process {
    /// The container of the process.
    pub machine: String,
    /// The process id on the host.
    pub pid: i32,
    /// The process id inside; `None` for a process that entered and sees the host's ids.
    pub inside: Option<i32>,
    /// The user id inside; `None` for a user that the container does not have.
    pub user: Option<u32>,
    /// The command line, or the name in brackets.
    pub command: String,
}

impl Host {
    /// The processes of all running containers.
    pub fn processes(&self) -> Result<Vec<Process>> {
        self.require_systemd()?;
        let running = |name: MachineName| Some((state::running(self.root(), &name)?.0, name));
        let found = self.names().into_iter().filter_map(running).flat_map(|(state, name)| of(&name, &state));
        Ok(with_commands(found.collect()))
    }
}

impl Machine {
    /// The processes of a running container.
    pub fn processes(&self) -> Result<Vec<Process>> {
        self.host().require_systemd()?;
        let running = state::running(self.root(), &self.name);
        let (state, _) = running.ok_or_else(|| state::not_running(&self.name))?;
        Ok(with_commands(of(&self.name, &state)))
    }
}

/// Fills in the command lines, as far as they can be read in time.
fn with_commands(mut found: Vec<Process>) -> Vec<Process> {
    let commands = commands(found.iter().map(|process| process.pid).collect());
    for (process, command) in found.iter_mut().zip(commands) {
        if let Some(command) = command.filter(|command| !command.is_empty()) {
            process.command = command;
        }
    }
    found
}

fn of(name: &MachineName, state: &State) -> Vec<Process> {
    let Some(cgroup) = Cgroup::of(state) else { return Vec::new() };
    let mut pids = pids(cgroup.path());
    pids.sort_unstable();
    pids.into_iter().filter_map(|pid| process(name, state, pid)).collect()
}

/// `None` where the process has ended.
fn process(name: &MachineName, state: &State, pid: i32) -> Option<Process> {
    let status = fs::read(format!("/proc/{pid}/status")).ok()?;
    let status = String::from_utf8_lossy(&status);
    let field =
        |key: &str| status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':')).map(str::trim);
    let host: u32 = field("Uid")?.split_whitespace().nth(1)?.parse().ok()?;
    let user = match state.ids {
        None => Some(host),
        Some(range) => host.checked_sub(range.base).filter(|user| *user < range.size),
    };
    Some(Process {
        machine: name.to_string(),
        pid,
        // The first is the number in our own namespace.
        inside: field("NSpid")?.split_whitespace().nth(1).and_then(|number| number.parse().ok()),
        user,
        command: format!("[{}]", field("Name")?),
    })
}

/// The command lines of these processes, up to the first that cannot be read in time.
fn commands(pids: Vec<i32>) -> Vec<Option<String>> {
    let count = pids.len();
    let (sender, receiver) = mpsc::channel();
    // A thread that waits for ever ends with the program.
    let reader = std::thread::Builder::new().spawn(move || {
        for pid in pids {
            if sender.send(command(pid)).is_err() {
                return;
            }
        }
    });
    let mut commands: Vec<Option<String>> = Vec::new();
    while reader.is_ok() && commands.len() < count {
        match receiver.recv_timeout(PATIENCE) {
            Ok(command) => commands.push(command),
            Err(_) => break,
        }
    }
    commands.resize(count, None);
    commands
}

fn command(pid: i32) -> Option<String> {
    let mut bytes = Vec::new();
    let file = fs::File::open(format!("/proc/{pid}/cmdline")).ok()?;
    file.take(LONGEST as u64).read_to_end(&mut bytes).ok()?;
    let words: Vec<_> = bytes.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
    Some(words.join(" ").trim_end().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::idmap::IdRange;

    #[test]
    fn a_process_is_told_by_both_its_numbers() {
        let name = MachineName::new("p1").unwrap();
        let pid = std::process::id() as i32;
        let uid = nix::unistd::geteuid().as_raw();
        let own = process(&name, &State { ids: None, ..State::default() }, pid).expect("ourselves");
        assert_eq!((own.pid, own.user), (pid, Some(uid)));
        let ids = Some(IdRange { base: 1 << 30, size: 65536 });
        assert_eq!(process(&name, &State { ids, ..State::default() }, pid).expect("ourselves").user, None);
        assert!(commands(vec![pid])[0].as_ref().is_some_and(|command| !command.is_empty()));
        assert_eq!(process(&name, &State::default(), i32::MAX), None);
    }
}
