//! The processes of a machine, as the host sees them and as the machine itself does.
//!
//! What a process says of itself is read from its own memory, and a hostile one can make that take for ever. So
//! somebody else reads it, and is not waited for long.

use std::fs;
use std::io::Read;
use std::sync::mpsc;
use std::time::Duration;

use serde::Serialize;

use super::registry;
use crate::config;
use crate::error::Result;
use crate::machine::lifecycle::unit;
use crate::name::MachineName;
use crate::paths::Root;
use crate::runtime::cgroup::{Cgroup, pids};
use crate::runtime::state::{self, State};

/// How long one process's command line may take.
const PATIENCE: Duration = Duration::from_millis(200);
/// Bytes of a command line that are shown.
const LONGEST: usize = 4096;

/// One process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Process {
    /// Its machine.
    pub machine: String,
    /// Its number on the host.
    pub pid: i32,
    /// Its number in the machine; none for one that entered and sees the host's.
    pub inside: Option<i32>,
    /// Its user's number in the machine; none for one that the machine does not know.
    pub user: Option<u32>,
    /// Its command line, or its name in brackets.
    pub command: String,
}

/// The processes of these machines, or of all that run; a named one that does not run is an error.
pub fn list(root: &Root, names: &[MachineName]) -> Result<Vec<Process>> {
    unit::require_systemd(root)?;
    let mut found = Vec::new();
    for name in names {
        registry::require(root, name)?;
        let (state, _) = state::running(root, name).ok_or_else(|| state::not_running(name))?;
        found.extend(of(name, &state));
    }
    if names.is_empty() {
        let names = config::names(root).into_iter();
        let running = names.filter_map(|name| Some((state::running(root, &name)?.0, name)));
        found.extend(running.flat_map(|(state, name)| of(&name, &state)));
    }
    let commands = commands(found.iter().map(|process| process.pid).collect());
    for (process, command) in found.iter_mut().zip(commands) {
        if let Some(command) = command.filter(|command| !command.is_empty()) {
            process.command = command;
        }
    }
    Ok(found)
}

fn of(name: &MachineName, state: &State) -> Vec<Process> {
    let Some(cgroup) = Cgroup::of(state) else { return Vec::new() };
    let mut pids = pids(cgroup.path());
    pids.sort_unstable();
    pids.into_iter().filter_map(|pid| process(name, state, pid)).collect()
}

/// None where it is gone by now.
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

/// The command lines of these processes, up to the first that is not told in time.
fn commands(pids: Vec<i32>) -> Vec<Option<String>> {
    let count = pids.len();
    let (tell, told) = mpsc::channel();
    // One that waits for ever ends with us.
    let reader = std::thread::Builder::new().spawn(move || {
        for pid in pids {
            if tell.send(command(pid)).is_err() {
                return;
            }
        }
    });
    let mut commands: Vec<Option<String>> = Vec::new();
    while reader.is_ok() && commands.len() < count {
        match told.recv_timeout(PATIENCE) {
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
