//! The record of a running machine for its next supervisor and for readers. Its text format is in
//! [`state_format`](super::state_format).

use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::settings::{Console, Exec, Readiness};
use crate::error::{Context, Error, Kind, Result};
use crate::name::MachineName;
use crate::paths::Root;
use crate::runtime::cgroup::Cgroup;
use crate::runtime::namespaces::Namespace;
use crate::runtime::stuck;
use crate::sys::capabilities::Mask;
use crate::sys::idmap::IdRange;

/// Below the machine's run-time directory: the state for readers.
pub const FILE: &str = "state";

/// Below the machine's run-time directory: the rights of its payload.
pub const RIGHTS: &str = "rights";

/// Everything about a running container that cannot be asked of somebody else.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// The payload was executed; before that one is not adopted, but ended.
    pub started: bool,
    /// READY was sent, so that a successor need not wait for the payload to say it once more.
    pub ready: bool,
    /// A supervisor has watched over it, so that the next one is a successor.
    pub watched: bool,
    /// It was killed, so that nobody takes it over.
    pub killed: bool,
    /// Pid of the leader in the host's namespace.
    pub leader: i32,
    /// When the leader started, in clock ticks since boot; with the pid it names one process.
    pub leader_start: u64,
    /// Cgroup of the scope, below the cgroup mount.
    pub cgroup: String,
    /// 32 hexadecimal digits.
    pub machine_id: String,
    /// The container's root file system on the host.
    pub root: String,
    /// First host id and number of ids; none shares the host's.
    pub ids: Option<IdRange>,
    /// Number of the signal that asks for shutdown.
    pub stop_signal: i32,
    /// The payload is an init, and no mere command.
    pub init: bool,
    /// It is there for one command that somebody executes.
    pub execution: bool,
    /// When it is ready.
    pub readiness: Readiness,
    /// The payload's last notice of a shutdown in progress: `reboot`, `poweroff`, …
    pub shutdown: String,
    /// When the payload was started, in microseconds of CLOCK_BOOTTIME.
    pub started_usec: u64,
    /// Terminals beside the console.
    pub ttys: u8,
    /// Bytes of scrollback.
    pub buffer_bytes: u64,
    /// Lines journaled per interval; 0 is no limit.
    pub rate_burst: u32,
    /// The interval in microseconds.
    pub rate_interval_usec: u64,
    /// Socket of the program that answers system calls; empty where there is none.
    pub notify_proxy: String,
    /// The cookie that is sent to the proxy with every call.
    pub notify_cookie: String,
    /// The payload's confinement, beside its rights; none where an earlier version has started it.
    pub confinement: Option<Confinement>,
}

/// The confinement that a payload was started with, as far as its [rights](super::rights) do not tell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Confinement {
    /// The namespaces that are not the host's.
    pub namespaces: Vec<Namespace>,
    /// Capabilities that programs inherit which are not root's, as bits.
    pub ambient: Mask,
    /// `Nesting=`
    pub nesting: bool,
}

impl State {
    /// Takes over the settings of the console.
    pub fn take_console(&mut self, console: &Console) {
        self.buffer_bytes = console.buffer_bytes;
        self.rate_burst = console.rate_burst;
        self.rate_interval_usec = console.rate_interval_usec;
    }

    /// Takes over the program that answers system calls.
    pub fn take_proxy(&mut self, exec: &Exec) {
        self.notify_proxy = exec.seccomp_notify_proxy.clone().unwrap_or_default();
        self.notify_cookie = exec.seccomp_notify_cookie.clone();
    }

    /// The leader's pid, once there is one.
    pub fn leader(&self) -> Option<u32> {
        u32::try_from(self.leader).ok().filter(|leader| *leader > 0)
    }

    /// Since the payload was started, whoever watches over it now; by the clock that nobody sets.
    pub fn uptime(&self) -> Option<Duration> {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let now = Duration::new(u64::try_from(now.tv_sec).ok()?, u32::try_from(now.tv_nsec).ok()?);
        now.checked_sub(Duration::from_micros(self.started_usec)).filter(|_| self.started_usec > 0)
    }

    /// The leader's pidfd, if the leader is alive and no other process has its number.
    pub fn open_leader(&self) -> Option<OwnedFd> {
        let pid = rustix::process::Pid::from_raw(self.leader)?;
        let fd = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).ok()?;
        // The number is only judged while the pidfd holds on to its process.
        (start_time(self.leader) == Some(self.leader_start)).then_some(fd)
    }
}

/// The state of a machine whose leader lives, and the leader's pidfd.
pub fn running(root: &Root, name: &MachineName) -> Option<(State, OwnedFd)> {
    let state = read(root, name)?;
    state.open_leader().map(|leader| (state, leader))
}

/// As [`running`], for who needs it to run, and to have been started to the end.
pub fn require_running(root: &Root, name: &MachineName) -> Result<(State, OwnedFd)> {
    let running = load(root, name)?.and_then(|state| state.open_leader().map(|leader| (state, leader)));
    let (state, leader) = running.ok_or_else(|| not_running(name))?;
    match state.started {
        true => Ok((state, leader)),
        false => Err(Error::new(Kind::Busy, format!("container '{name}' is only just starting"))
            .hint("try again in a moment")),
    }
}

/// Fails where a payload lives on that no supervisor can adopt any more: its root file system is in use.
pub fn refuse_running(root: &Root, name: &MachineName) -> Result<()> {
    let Some(state) = load(root, name)? else { return Ok(()) };
    match (Cgroup::of(&state).filter(|_| state.killed), state.open_leader()) {
        (Some(cgroup), _) if !cgroup.is_empty() => {
            Err(stuck::error(name, true, &stuck::processes(cgroup.path())))
        }
        (_, None) => Ok(()),
        (_, Some(_)) => {
            Err(Error::new(Kind::Busy, format!("container '{name}' is running without a supervisor"))
                .hint(format!("stop it with 'systemctl stop {}' first", name.scope())))
        }
    }
}

/// The error of an operation that needs a running container.
pub fn not_running(name: &MachineName) -> Error {
    Error::new(Kind::NotFound, format!("container '{name}' is not running"))
        .hint(format!("start it with 'containerctl start {name}'"))
}

/// When a process started, in clock ticks since boot (proc_pid_stat(5), field 22).
pub fn start_time(pid: i32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command before it may hold anything, even parentheses.
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(19)?.parse().ok()
}

/// The state that a machine's supervisor recorded last, if there is one. Fails where it cannot be read: who may start,
/// end or change a container must not take that for none.
pub fn load(root: &Root, name: &MachineName) -> Result<Option<State>> {
    let path = root.runtime_of(name).join(FILE);
    let text = match std::fs::read_to_string(&path) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        text => text.context(|| format!("failed to read '{}'", path.display()))?,
    };
    State::parse(&text).map(Some).map_err(|error| unreadable(name, &error))
}

/// As [`load`], for readers that do without a state which they cannot read.
pub fn read(root: &Root, name: &MachineName) -> Option<State> {
    load(root, name).ok().flatten()
}

/// The error of a recorded state that cannot be read; its container may run.
pub fn unreadable(name: &MachineName, error: &Error) -> Error {
    Error::new(error.kind(), format!("failed to read what runs as container '{name}': {}", error.message()))
        .hint(format!(
            "install the version that started it, or end it with 'systemctl stop {}'",
            name.scope()
        ))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn sample() -> State {
        State {
            started: true,
            ready: true,
            leader: 4711,
            leader_start: 99,
            cgroup: "/machine.slice/machine-p1.slice/machine-p1.scope".to_string(),
            machine_id: "0".repeat(32),
            root: "/srv/a=b".to_string(),
            ids: Some(IdRange { base: 524288, size: 65536 }),
            stop_signal: 38,
            ttys: 2,
            buffer_bytes: 1 << 20,
            ..State::default()
        }
    }

    #[test]
    fn another_process_with_the_same_number_is_not_the_leader() {
        let pid = std::process::id() as i32;
        let start = start_time(pid).expect("own start time");
        let state = |leader_start| State { leader: pid, leader_start, ..State::default() };
        assert!(state(start).open_leader().is_some());
        assert!(state(start + 1).open_leader().is_none());
    }
}
