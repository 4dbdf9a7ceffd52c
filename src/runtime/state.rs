//! What a supervisor tells of a running machine, to its successor and to whoever wants to know: a few lines of
//! `KEY=VALUE`.
//!
//! Unknown keys are skipped and missing ones have defaults, so that programs of different versions can read each
//! other's.

use std::fmt::Write as _;
use std::os::fd::OwnedFd;
use std::time::Duration;

use crate::config::settings::{Console, Exec, Readiness};
use crate::error::{Error, Kind, Result};
use crate::name::MachineName;
use crate::paths::Root;
use crate::runtime::cgroup::Cgroup;
use crate::runtime::stuck;
use crate::sys::idmap::IdRange;

/// Below the machine's run-time directory: the state for readers.
pub const FILE: &str = "state";

/// Below the machine's run-time directory: the rights of its payload.
pub const RIGHTS: &str = "rights";

/// The version of this format that we write. A reader takes any; it is there for a change that cannot be taken.
const VERSION: u32 = 1;

/// Everything about a running container that cannot be asked of somebody else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
    /// What the payload last said of a shutdown under way: `reboot`, `poweroff`, …
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
    /// What it is sent with every call.
    pub notify_cookie: String,
}

impl State {
    /// As text.
    pub fn to_text(&self) -> String {
        let mut text = format!("VERSION={VERSION}\n");
        let ids = self.ids.map(|ids| format!("{}:{}", ids.base, ids.size)).unwrap_or_default();
        let readiness = match self.readiness {
            Readiness::Started => "0",
            Readiness::Told => "1",
            Readiness::Network => "network",
        };
        let fields: [(&str, &dyn std::fmt::Display); 22] = [
            ("STARTED", &u8::from(self.started)),
            ("READY", &u8::from(self.ready)),
            ("WATCHED", &u8::from(self.watched)),
            ("KILLED", &u8::from(self.killed)),
            ("LEADER", &self.leader),
            ("LEADER_START", &self.leader_start),
            ("CGROUP", &self.cgroup),
            ("MACHINE_ID", &self.machine_id),
            ("ROOT", &self.root),
            ("IDS", &ids),
            ("STOP_SIGNAL", &self.stop_signal),
            ("INIT", &u8::from(self.init)),
            ("EXECUTION", &u8::from(self.execution)),
            ("NOTIFY_READY", &readiness),
            ("SHUTDOWN", &self.shutdown),
            ("STARTED_USEC", &self.started_usec),
            ("TTYS", &self.ttys),
            ("BUFFER_BYTES", &self.buffer_bytes),
            ("RATE_BURST", &self.rate_burst),
            ("RATE_INTERVAL_USEC", &self.rate_interval_usec),
            ("NOTIFY_PROXY", &self.notify_proxy),
            ("NOTIFY_COOKIE", &self.notify_cookie),
        ];
        for (key, value) in fields {
            let _ = writeln!(text, "{key}={value}");
        }
        text
    }

    /// From text; what cannot be read keeps its default.
    pub fn parse(text: &str) -> State {
        let mut state = State::default();
        for (key, value) in text.lines().filter_map(|line| line.split_once('=')) {
            match key {
                "STARTED" => state.started = value == "1",
                "READY" => state.ready = value == "1",
                "WATCHED" => state.watched = value == "1",
                "KILLED" => state.killed = value == "1",
                "LEADER" => state.leader = value.parse().unwrap_or_default(),
                "LEADER_START" => state.leader_start = value.parse().unwrap_or_default(),
                "CGROUP" => state.cgroup = value.to_string(),
                "MACHINE_ID" => state.machine_id = value.to_string(),
                "ROOT" => state.root = value.to_string(),
                "IDS" => state.ids = parse_ids(value),
                "STOP_SIGNAL" => state.stop_signal = value.parse().unwrap_or_default(),
                "INIT" => state.init = value == "1",
                "EXECUTION" => state.execution = value == "1",
                "NOTIFY_READY" => state.readiness = readiness(value),
                "SHUTDOWN" => state.shutdown = value.to_string(),
                "STARTED_USEC" => state.started_usec = value.parse().unwrap_or_default(),
                "TTYS" => state.ttys = value.parse().unwrap_or_default(),
                "BUFFER_BYTES" => state.buffer_bytes = value.parse().unwrap_or_default(),
                "RATE_BURST" => state.rate_burst = value.parse().unwrap_or_default(),
                "RATE_INTERVAL_USEC" => state.rate_interval_usec = value.parse().unwrap_or_default(),
                "NOTIFY_PROXY" => state.notify_proxy = value.to_string(),
                "NOTIFY_COOKIE" => state.notify_cookie = value.to_string(),
                _ => {}
            }
        }
        state
    }

    /// How the console is treated from now on.
    pub fn take_console(&mut self, console: &Console) {
        self.buffer_bytes = console.buffer_bytes;
        self.rate_burst = console.rate_burst;
        self.rate_interval_usec = console.rate_interval_usec;
    }

    /// Who answers system calls from now on.
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
    let (state, leader) = running(root, name).ok_or_else(|| not_running(name))?;
    match state.started {
        true => Ok((state, leader)),
        false => Err(Error::new(Kind::Busy, format!("container '{name}' is only just starting"))
            .hint("try again in a moment")),
    }
}

/// Fails where a payload lives on that no supervisor can adopt any more: its root file system is in use.
pub fn refuse_running(root: &Root, name: &MachineName) -> Result<()> {
    let Some(state) = read(root, name) else { return Ok(()) };
    match (Cgroup::of(&state).filter(|_| state.killed), state.open_leader()) {
        (Some(cgroup), _) if !cgroup.is_empty() => Err(stuck::error(name, &stuck::processes(cgroup.path()))),
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

fn readiness(value: &str) -> Readiness {
    match value {
        "1" => Readiness::Told,
        "network" => Readiness::Network,
        _ => Readiness::Started,
    }
}

fn parse_ids(value: &str) -> Option<IdRange> {
    let (base, size) = value.split_once(':')?;
    Some(IdRange { base: base.parse().ok()?, size: size.parse().ok()? })
}

/// When a process started, in clock ticks since boot (proc_pid_stat(5), field 22).
pub fn start_time(pid: i32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command before it may hold anything, even parentheses.
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(19)?.parse().ok()
}

/// The state that a machine's supervisor wrote last, if there is one.
pub fn read(root: &Root, name: &MachineName) -> Option<State> {
    std::fs::read_to_string(root.runtime_of(name).join(FILE)).ok().map(|text| State::parse(&text))
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
    fn keys_of_another_version_do_no_harm() {
        let text = format!("NEWER=thing\nnonsense\n{}LEADER=oops\n", sample().to_text());
        assert_eq!(State::parse(&text), State { leader: 0, ..sample() });
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
