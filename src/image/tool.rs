//! One external program: run in a process group of its own, watched, and ended when we are interrupted.

use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use rustix::process::{PidfdFlags, pidfd_open};

use crate::error::{Context, Error, Result};
use crate::sys::interrupt::Interrupt;
use crate::sys::poll::{happened, poll};

/// Interval between calls of the watch, in milliseconds.
const TICK: Duration = Duration::from_millis(100);
/// Time between the polite signal and SIGKILL.
const GRACE: Duration = Duration::from_secs(5);
/// Bytes of standard error that are kept.
const TAIL_BYTES: usize = 8192;

/// The reason for ending a program early.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// SIGTERM, so that it cleans up its mounts; SIGKILL later.
    Terminate,
    /// SIGKILL.
    Kill,
}

/// The outcome of a program.
pub enum Outcome {
    /// Exit status 0; the end of its standard error.
    Success(String),
    /// Otherwise; the end of its standard error, or its exit status where it said nothing.
    Failure(String),
}

/// A program that runs.
pub struct Running {
    child: Child,
    what: String,
}

/// Runs `command` to its end; `what` begins the sentence of a failure, what it complained of ends it. `hear` gets its
/// last line ten times a second.
pub fn execute(
    command: &mut Command,
    what: &str,
    interrupt: Interrupt,
    mut hear: impl FnMut(&str),
) -> Result<()> {
    let watch = |said: &[u8]| {
        hear(last_line(&String::from_utf8_lossy(said)));
        Ok(())
    };
    match start(command, what)?.wait(End::Terminate, interrupt, watch)? {
        Outcome::Success(_) => Ok(()),
        Outcome::Failure(complaints) => Err(Error::failed(format!("{what}: {}", cause(&complaints)))),
    }
}

/// The last line that is complete.
fn last_line(said: &str) -> &str {
    let complete = said.rfind('\n').map_or("", |end| &said[..end]);
    complete.lines().next_back().unwrap_or_default().trim()
}

/// The line that says why: Debian's tools mark errors by `E:`, and the first brings about the others; of any other
/// tool the last one.
fn cause(complaints: &str) -> &str {
    let mut lines = complaints.lines().map(str::trim).filter(|line| !line.is_empty());
    let error = lines.clone().find(|line| line.starts_with("E: "));
    error.or_else(|| lines.next_back()).unwrap_or_default()
}

/// Starts `command`, its standard output dropped.
pub fn start(command: &mut Command, what: &str) -> Result<Running> {
    command.stdout(Stdio::null()).stderr(Stdio::piped()).process_group(0);
    let child = command.spawn().context(|| what)?;
    Ok(Running { child, what: what.to_string() })
}

impl Running {
    /// Waits for its end. `watch` is asked ten times a second and shown the end of what the program has said; its error
    /// ends the program, as `end` says.
    pub fn wait(
        mut self,
        end: End,
        interrupt: Interrupt,
        mut watch: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<Outcome> {
        let mut complaints = Vec::new();
        let watched = follow(&mut self.child, &mut complaints, interrupt, &mut watch);
        if watched.is_err() && end == End::Terminate {
            terminate(&self.child);
        }
        // The group's id is not given away before we reap its leader, so this signals no stranger.
        let _ = killpg(group(&self.child), Signal::SIGKILL);
        let status = self.child.wait().context(|| self.what.as_str())?;
        watched?;
        let complaints = String::from_utf8_lossy(&complaints).trim().to_string();
        if status.success() {
            return Ok(Outcome::Success(complaints));
        }
        Ok(Outcome::Failure(if complaints.is_empty() { status.to_string() } else { complaints }))
    }
}

/// Waits for the end of the child's leader; what it leaves in its pipe then is read, but not waited for.
fn follow(
    child: &mut Child,
    complaints: &mut Vec<u8>,
    interrupt: Interrupt,
    watch: &mut impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let failed = || "failed to wait for a program";
    let pid = rustix::process::Pid::from_child(child);
    let pidfd = pidfd_open(pid, PidfdFlags::empty()).context(failed)?;
    let Some(mut stderr) = child.stderr.take() else { return Err(Error::failed(failed())) };
    rustix::io::ioctl_fionbio(&stderr, true).context(failed)?;
    loop {
        let mut fds = [
            PollFd::new(pidfd.as_fd(), PollFlags::POLLIN),
            PollFd::new(stderr.as_fd(), PollFlags::POLLIN),
            PollFd::new(interrupt.fd(), PollFlags::POLLIN),
        ];
        poll(&mut fds, Some(TICK)).context(failed)?;
        let ended = happened(&fds[0]);
        read_some(&mut stderr, complaints);
        interrupt.check()?;
        if ended {
            return Ok(());
        }
        watch(complaints)?;
    }
}

/// Keeps the tail; a program that floods us costs us no memory, and no more than one turn of the loop.
fn read_some(from: &mut impl Read, tail: &mut Vec<u8>) {
    let mut buffer = [0u8; 4096];
    for _ in 0..16 {
        match from.read(&mut buffer) {
            Ok(count) if count > 0 => tail.extend_from_slice(&buffer[..count]),
            _ => break,
        }
    }
    tail.drain(..tail.len().saturating_sub(TAIL_BYTES));
}

/// Politely, and not for long.
fn terminate(child: &Child) {
    let _ = killpg(group(child), Signal::SIGTERM);
    let pid = rustix::process::Pid::from_child(child);
    let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) else { return };
    let _ = poll(&mut [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)], Some(GRACE));
}

fn group(child: &Child) -> Pid {
    Pid::from_raw(child.id().cast_signed())
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::error::Kind;

    fn sh(script: &str, watch: impl FnMut(&[u8]) -> Result<()>) -> Result<Outcome> {
        let interrupt = Interrupt::catch().unwrap();
        start(Command::new("sh").args(["-c", script]), "failed to try")?.wait(
            End::Terminate,
            interrupt,
            watch,
        )
    }

    #[test]
    fn the_last_complaint_is_the_error() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo first >&2; echo 'E: no such suite' >&2; exit 3"]);
        let error = execute(&mut command, "failed to try", Interrupt::catch().unwrap(), |_| ()).unwrap_err();
        assert_eq!(error.message(), "failed to try: E: no such suite");
    }

    #[test]
    fn of_debians_tools_the_first_error_is_the_cause() {
        let told = "I: go\nE: cannot reach the mirror\nE: apt-get failed\nW: cleaning up\n";
        assert_eq!(cause(told), "E: cannot reach the mirror");
        assert_eq!(cause("tar: odd\ntar: giving up\n\n"), "tar: giving up");
        assert_eq!(cause(""), "");
    }

    #[test]
    fn a_flood_of_complaints_and_a_child_left_behind_block_nothing() {
        let started = Instant::now();
        let outcome = sh("sleep 60 & head -c 1000000 /dev/zero >&2", |_| Ok(())).unwrap();
        assert!(matches!(outcome, Outcome::Success(_)));
        assert!(started.elapsed() < Duration::from_secs(20));
    }

    #[test]
    fn the_watch_ends_the_program() {
        let full = |_: &[u8]| Err(Error::new(Kind::Unsupported, "full"));
        let started = Instant::now();
        assert_eq!(sh("sleep 60", full).err().unwrap().kind(), Kind::Unsupported);
        assert!(started.elapsed() < Duration::from_secs(20));
    }
}
