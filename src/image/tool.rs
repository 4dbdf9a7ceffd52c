//! One external program: run in a process group of its own, watched, and ended when the operation is cancelled.

use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use rustix::process::{PidfdFlags, pidfd_open};

use crate::cancellation::Cancellation;
use crate::error::{Context, Error, Result};
use crate::sys::poll::{happened, poll};

/// Interval between calls of the watch.
const TICK: Duration = Duration::from_millis(100);
/// Time between the polite signal and SIGKILL.
const GRACE: Duration = Duration::from_secs(5);
/// Bytes that are kept of the end of a program's standard error.
const TAIL_BYTES: usize = 8192;

/// The signals that end a program early.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// SIGTERM, so that it cleans up its mounts; SIGKILL later.
    Terminate,
    /// SIGKILL.
    Kill,
}

/// The end of a program.
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

/// Runs `command` to its end. `what` begins the message of a failure, the cause in the program's standard error ends it.
/// `report` gets the last line of its standard error ten times a second.
pub fn execute(
    command: &mut Command,
    what: &str,
    cancellation: &Cancellation,
    mut report: impl FnMut(&str),
) -> Result<()> {
    let watch = |tail: &[u8]| {
        report(last_line(&String::from_utf8_lossy(tail)));
        Ok(())
    };
    match start(command, what)?.wait(End::Terminate, cancellation, watch)? {
        Outcome::Success(_) => Ok(()),
        Outcome::Failure(complaints) => Err(Error::failed(format!("{what}: {}", cause(&complaints)))),
    }
}

/// The last line that is complete.
fn last_line(text: &str) -> &str {
    let complete = text.rfind('\n').map_or("", |end| &text[..end]);
    complete.lines().next_back().unwrap_or_default().trim()
}

/// The line that names the cause. Debian's tools mark errors by `E:`, and the first causes the others; of any other
/// tool it is the last line.
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
    /// Waits for the program's end. `watch` is called ten times a second with the tail of the program's standard error;
    /// an error that it returns ends the program, as `end` says.
    pub fn wait(
        mut self,
        end: End,
        cancellation: &Cancellation,
        mut watch: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<Outcome> {
        let mut complaints = Vec::new();
        let watched = follow(&mut self.child, &mut complaints, cancellation, &mut watch);
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

/// Waits for the end of the child. Its pipe is read as far as it is filled by then; processes that still hold it are not
/// waited for.
fn follow(
    child: &mut Child,
    complaints: &mut Vec<u8>,
    cancellation: &Cancellation,
    watch: &mut impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let failed = || "failed to wait for a program";
    let pid = rustix::process::Pid::from_child(child);
    let pidfd = pidfd_open(pid, PidfdFlags::empty()).context(failed)?;
    let Some(mut stderr) = child.stderr.take() else { return Err(Error::failed(failed())) };
    rustix::io::ioctl_fionbio(&stderr, true).context(failed)?;
    loop {
        let mut fds = vec![
            PollFd::new(pidfd.as_fd(), PollFlags::POLLIN),
            PollFd::new(stderr.as_fd(), PollFlags::POLLIN),
        ];
        fds.extend(cancellation.fd()?.map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
        poll(&mut fds, Some(TICK)).context(failed)?;
        let ended = happened(&fds[0]);
        read_some(&mut stderr, complaints);
        cancellation.check()?;
        if ended {
            return Ok(());
        }
        watch(complaints)?;
    }
}

/// Keeps the tail, so that a flood of output costs no memory, and no more than one turn of the loop.
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

/// Sends SIGTERM, and waits for [`GRACE`].
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
        start(Command::new("sh").args(["-c", script]), "failed to try")?.wait(
            End::Terminate,
            &Cancellation::never(),
            watch,
        )
    }

    #[test]
    fn the_last_complaint_is_the_error() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo first >&2; echo 'E: no such suite' >&2; exit 3"]);
        let error = execute(&mut command, "failed to try", &Cancellation::never(), |_| ()).unwrap_err();
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
