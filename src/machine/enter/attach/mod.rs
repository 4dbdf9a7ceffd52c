//! Running a command in a running container, with no more rights than its own processes have.
//!
//! [`Machine::attach`] executes the program that enters ([`crate::worker::entrant`]) and returns once the command runs. It
//! allocates and forks as [`std::process::Command`] does, so a service with threads may call it, from any of them; it
//! blocks for the milliseconds that entering takes, and for [`PATIENCE`] at the most.
//!
//! The caller chooses for each of standard input, output and error: a new terminal, of the container's own devpts, or
//! a descriptor. A descriptor should be one end of a fresh pipe. Descriptors of the user's must not be passed on: a
//! terminal could be typed into, a directory walked out of, a file opened for writing again.
//!
//! The result is [`Attached`]: the command's pidfd, the terminal's master, and the lifeline. A service passes master
//! and pipes to its client (who sets the window's size on the master), waits for [`Attached::ended`] to become
//! readable, and gets the exit code by [`Attached::finish`]. Dropping it ends the command by SIGHUP.
//!
//! ```text
//! let streams = Streams { input: Stream::Terminal, output: Stream::Terminal, error: Stream::Terminal, size };
//! let mut attached = machine.attach(&Request::default(), streams)?;
//! reply(attached.terminal.take(), …);
//! ```
//!
//! The rights are those that the container was *started* with ([`crate::runtime::rights`]), as the supervisor recorded
//! them. Resource limits and the OOM score are the leader's.

use std::ffi::OsString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags};
use nix::unistd::Pid;
use rustix::fs::{FileType, Gid, Uid, fchown};

use crate::error::{Context, Error, Kind, Result};
use crate::machine::Machine;
use crate::name::MachineName;
use crate::paths::Root;
use crate::runtime::cgroup::Cgroup;
use crate::runtime::control;
use crate::runtime::namespaces;
use crate::runtime::rights::{self, Rights};
use crate::runtime::state::{self, State};
use crate::sandbox::lsm::{self, Labels};
use crate::sys::poll::poll;
use crate::sys::{limits, pidfd, scm, signal};
use crate::worker::entry::{self, Entry, Report};
use crate::worker::launch::{Launch, Launched, Mounts};

pub use crate::runtime::namespaces::Namespace;
pub use crate::sandbox::user::UserSpec;
pub use crate::sys::tty::WindowSize;

/// Time limit of entering, which a hostile container could delay for ever.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A command to run in a container.
#[derive(Clone, Debug)]
pub struct Request {
    /// Program and arguments; the user's login shell if there are none.
    pub command: Vec<OsString>,
    /// User and group.
    pub user: UserSpec,
    /// Working directory, a path inside; the user's home by default.
    pub working_directory: Option<OsString>,
    /// Environment.
    pub environment: Environment,
    /// Namespaces to join.
    pub namespaces: Vec<Namespace>,
    /// Rights.
    pub power: Power,
}

impl Default for Request {
    fn default() -> Request {
        Request {
            command: Vec::new(),
            user: UserSpec::root(),
            working_directory: None,
            environment: Environment::Clean(Vec::new()),
            namespaces: Namespace::ALL.to_vec(),
            power: Power::Payload,
        }
    }
}

/// The environment of a command, before `container=`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Environment {
    /// The variables that follow from the user (`HOME`, `USER`, `LOGNAME`, `SHELL`, `PATH`), and these, which win.
    Clean(Vec<(OsString, OsString)>),
    /// These alone.
    Bare(Vec<(OsString, OsString)>),
}

/// The rights of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Power {
    /// The rights of the container's own processes.
    Payload,
    /// All rights of root of the container's user namespace: no dropped capability, no filter, no label.
    Elevated,
}

/// One of the command's streams.
#[derive(Debug)]
pub enum Stream {
    /// The new terminal, which the streams share.
    Terminal,
    /// One end of a pipe that the caller made.
    Pipe(OwnedFd),
}

/// The command's streams.
#[derive(Debug)]
pub struct Streams {
    /// Standard input.
    pub input: Stream,
    /// Standard output.
    pub output: Stream,
    /// Standard error.
    pub error: Stream,
    /// The terminal's size, where it is known.
    pub size: Option<WindowSize>,
}

/// A command that runs in a container.
#[derive(Debug)]
pub struct Attached {
    /// The master of its terminal, where it has one; closing it hangs up.
    pub terminal: Option<OwnedFd>,
    command: OwnedFd,
    entrant: Launched,
    /// `None` once it was closed.
    lifeline: Option<OwnedFd>,
}

impl Machine {
    /// Runs a command in the container; returns once it runs.
    pub fn attach(&self, request: &Request, streams: Streams) -> Result<Attached> {
        attach(self.root(), &self.name, request, streams)
    }
}

fn attach(root: &Root, name: &MachineName, request: &Request, streams: Streams) -> Result<Attached> {
    check(request)?;
    let (state, leader) = state::require_running(root, name)?;
    let cgroup = Cgroup::require(&state, name)?;
    if cgroup.is_frozen() {
        return Err(Error::new(Kind::Busy, format!("container '{name}' is frozen"))
            .hint(format!("thaw it with 'containerctl thaw {name}'")));
    }
    let rights = match request.power {
        Power::Payload => Some(rights::of(root, name)?),
        Power::Elevated => None,
    };
    let labels = rights.as_ref().map(labels).unwrap_or_default();
    let (entry, pipes) = entry(request, streams, rights, namespaces::flags(&request.namespaces, &leader)?)?;
    let (ours, theirs) = scm::pair().context(|| "failed to create a socket pair")?;
    let launch = Launch::new(&root.enter_program(), theirs, mounts(request))?;
    let owner = state.ids.map_or(0, |ids| ids.base);
    let entrant = cgroup.enter(name, owner, |leaf| launch.run(leaf))?;
    drop(launch);
    if request.namespaces.contains(&Namespace::User) {
        pipes.iter().try_for_each(|(_, pipe)| hand_over(pipe, owner))?;
    }
    share_limits(&state, entrant.pid());
    let mut fds = vec![(b'L', &leader)];
    fds.extend(pipes.iter().map(|(letter, fd)| (*letter, fd)));
    entry::send(&ours, &entry, &fds)?;
    drop(pipes);
    let attached = await_start(root, name, ours, entrant).map_err(|error| match error.kind() {
        Kind::Busy => cgroup.no_room(name),
        _ => error,
    })?;
    match attached.verify(&labels) {
        Ok(()) => Ok(attached),
        Err(error) => match attached.signal(libc::SIGKILL) {
            Ok(()) => Err(error),
            Err(alive) => Err(Error::failed(format!("{error}; {alive}"))),
        },
    }
}

/// Checks of the request alone.
fn check(request: &Request) -> Result<()> {
    if request.power == Power::Payload && request.namespaces.len() != Namespace::ALL.len() {
        return Err(Error::config(
            "a process that is not in all of the container's namespaces is not held by it",
        )
        .hint("ask for all of them, or for an elevated process"));
    }
    let (Environment::Clean(variables) | Environment::Bare(variables)) = &request.environment;
    match variables.iter().find(|(key, _)| key.is_empty() || key.as_encoded_bytes().contains(&b'=')) {
        Some((key, _)) => Err(Error::config(format!("'{}' is no name of a variable", key.display()))),
        None => Ok(()),
    }
}

fn labels(rights: &Rights) -> Labels {
    Labels { apparmor: rights.apparmor.clone(), selinux: rights.selinux.clone(), profile: None }
}

/// A process that stays among the host's mounts is to be able to use them.
fn mounts(request: &Request) -> Mounts {
    match request.namespaces.contains(&Namespace::Mount) {
        true => Mounts::ReadOnly,
        false => Mounts::Ours,
    }
}

/// The message to the entrant, and the pipes that go with it.
fn entry(
    request: &Request,
    streams: Streams,
    rights: Option<Rights>,
    namespaces: i32,
) -> Result<(Entry, Vec<(u8, OwnedFd)>)> {
    let mut pipes = Vec::new();
    let mut keep = |letter, stream| match stream {
        Stream::Terminal => true,
        Stream::Pipe(fd) => {
            pipes.push((letter, fd));
            false
        }
    };
    let terminal = [keep(b'0', streams.input), keep(b'1', streams.output), keep(b'2', streams.error)];
    let (variables, bare_environment) = match &request.environment {
        Environment::Clean(variables) => (variables, false),
        Environment::Bare(variables) => (variables, true),
    };
    let mut environment = vec![(OsString::from("container"), OsString::from("containerctl"))];
    environment.extend(variables.iter().cloned());
    let entry = Entry {
        namespaces,
        rights,
        user: request.user.clone(),
        working_directory: request.working_directory.clone(),
        environment,
        bare_environment,
        command: request.command.clone(),
        terminal,
        size: streams.size.map(|size| (size.rows, size.columns)),
    };
    Ok((entry, pipes))
}

/// Gives a pipe to the container's root, who gives it to the user: by `/dev/stdout` only its owner may open it again.
fn hand_over(pipe: &OwnedFd, owner: u32) -> Result<()> {
    let failed = || "failed to hand a pipe over to the container's root";
    match FileType::from_raw_mode(rustix::fs::fstat(pipe).context(failed)?.st_mode) {
        FileType::Fifo => {
            fchown(pipe, Some(Uid::from_raw(owner)), Some(Gid::from_raw(owner))).context(failed)
        }
        _ => Ok(()),
    }
}

/// Makes the entrant as killable and as limited as the processes inside. It enters, too, where that fails.
fn share_limits(state: &State, entrant: Pid) {
    let _ = limits::copy(Pid::from_raw(state.leader), entrant);
    let score = |pid: i32| format!("/proc/{pid}/oom_score_adj");
    if let Ok(text) = std::fs::read_to_string(score(state.leader)) {
        let _ = std::fs::write(score(entrant.as_raw()), text);
    }
}

/// Waits until the command runs, or until the entrant reports why it does not.
fn await_start(root: &Root, name: &MachineName, socket: OwnedFd, entrant: Launched) -> Result<Attached> {
    let deadline = Instant::now() + PATIENCE;
    let mut terminal = None;
    loop {
        wait_readable(socket.as_fd(), deadline)?.ok_or_else(|| {
            Error::new(Kind::TimedOut, format!("container '{name}' could not be entered in {PATIENCE:?}"))
                .hint("it may have been frozen, or be in the way on purpose")
        })?;
        match entry::receive_report(&socket)? {
            Report::Listener(listener) => pass_on(root, name, &listener),
            Report::Terminal(master) => terminal = Some(master),
            Report::Failed(error) => return Err(error),
            Report::Nothing => {
                return Err(Error::failed(format!(
                    "container '{name}' could not be entered: it may have just ended"
                )));
            }
            Report::Runs(command) => {
                return Ok(Attached { terminal, command, entrant, lifeline: Some(socket) });
            }
        }
    }
}

/// Passes a listener to the supervisor, which answers on it. A listener that nobody takes is closed, and the calls that it
/// is about fail with ENOSYS, as those of the payload do when nobody answers.
fn pass_on(root: &Root, name: &MachineName, listener: &OwnedFd) {
    if let Ok(supervisor) = control::connect(root, name) {
        let message = control::encode_request(&control::Request::Listen);
        let _ = scm::send(&supervisor, &message, Some(listener.as_raw_fd()));
    }
}

fn wait_readable(fd: BorrowedFd, deadline: Instant) -> Result<Option<()>> {
    let mut fds = [PollFd::new(fd, PollFlags::POLLIN)];
    let ready = poll(&mut fds, Some(deadline.saturating_duration_since(Instant::now())));
    let ready = ready.context(|| "failed to wait for the entering process")?;
    Ok((ready > 0).then_some(()))
}

impl Attached {
    /// Readable once the command has ended.
    pub fn ended(&self) -> BorrowedFd<'_> {
        self.entrant.as_fd()
    }

    /// Sends a signal to the command and its process group; one that has ended is fine.
    pub fn signal(&self, signal: i32) -> Result<()> {
        match signal::pidfd_send_signal_to_group(&self.command, signal) {
            Err(Errno::ESRCH) => Ok(()),
            sent => sent.context(|| format!("failed to send signal {signal} to the command")),
        }
    }

    /// Waits for the command's end. Its exit status, or 128 and the number of the signal that ended it.
    pub fn finish(self) -> Result<u8> {
        self.entrant.wait().context(|| "failed to wait for the command")
    }

    /// Fails if the command runs without the labels that it was to have.
    fn verify(&self, labels: &Labels) -> Result<()> {
        let pid = || pidfd::pid(&self.command);
        pid().map_or(Ok(()), |number| {
            lsm::verify(number, labels).or_else(|error| pid().map_or(Ok(()), |_| Err(error)))
        })
    }
}

impl Drop for Attached {
    /// Ends the command by SIGHUP, unless it has ended.
    fn drop(&mut self) {
        self.lifeline = None;
        // The entrant passes it on and leaves, unless the container is frozen: it is killed then.
        let _ = wait_readable(self.entrant.as_fd(), Instant::now() + Duration::from_secs(1));
    }
}
