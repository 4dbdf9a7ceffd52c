//! The program to execute in a container, laid out before the clone, and the calls between clone and exec.

use std::ffi::{CString, OsStr, OsString};
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags};

use super::account::Login;
use super::let_go;
use crate::error::{Context, Error, Kind, Result};
use crate::sys::clone::{Cloned, clone3, exit_now, wait};
use crate::sys::exec::{StringList, c_string, close_from, execve_as};
use crate::sys::poll::poll;
use crate::sys::{signal, tty};
use crate::worker::entry::Entry;

/// The search path for programs unless the environment sets another.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Exit statuses of a program that cannot be executed, as shells have them.
const NOT_EXECUTABLE: i32 = 126;
const NOT_FOUND: i32 = 127;
/// Time limit for a program of the container that we ask.
const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes of its output that are read.
const ANSWER_LIMIT: u64 = 64 * 1024;

/// A program and all that exec takes.
pub struct Program {
    /// Paths of the program in the order in which they are tried.
    candidates: Vec<CString>,
    arguments: StringList,
    environment: StringList,
    /// The beginning of the message on standard error when it could not be executed.
    complaint: Vec<u8>,
}

impl Program {
    /// The command of `entry`, or the login shell.
    pub fn new(entry: &Entry, login: &Login) -> Result<Program> {
        let environment = environment(entry, login);
        let shell = OsString::from(&login.account.shell);
        match entry.command.split_first() {
            Some((program, _)) => Program::lay_out(program, entry.command.clone(), environment),
            None => {
                let name = login.account.shell.rsplit('/').next().unwrap_or_default();
                Program::lay_out(&shell, vec![format!("-{name}").into()], environment)
            }
        }
    }

    fn lay_out(
        program: &OsStr,
        arguments: Vec<OsString>,
        environment: Vec<(OsString, OsString)>,
    ) -> Result<Program> {
        let paths = environment.iter().find(|(key, _)| key == "PATH").map(|(_, value)| value.clone());
        let candidates = candidates(program, &paths.unwrap_or_else(|| PATH.into()));
        let pairs = environment.into_iter().map(|(key, value)| [key, value].join(OsStr::new("=")));
        Ok(Program {
            candidates: candidates.into_iter().map(c_string).collect::<Result<_>>()?,
            arguments: StringList::of(arguments)?,
            environment: StringList::of(pairs)?,
            complaint: format!(
                "containerctl: failed to execute '{}': ",
                program.to_string_lossy().escape_debug()
            )
            .into_bytes(),
        })
    }

    /// Clones a process that executes it, leader of a session that has the stream `controlling` as its terminal.
    /// The result is its pidfd.
    pub fn run(&self, controlling: Option<usize>) -> Result<OwnedFd> {
        // SAFETY: this process has one thread, and nothing is shared.
        match unsafe { clone3(0) } {
            Ok(Cloned::Child) => self.become_it(controlling),
            Ok(Cloned::Parent { pidfd, .. }) => Ok(pidfd),
            // What the kernel says once the first process of a pid namespace is gone.
            Err(Errno::ENOMEM) => Err(Error::new(Kind::NotFound, "the container has just ended")),
            // The caller knows which limit it is.
            Err(Errno::EAGAIN) => {
                Err(Error::new(Kind::Busy, "the container has no room for another process"))
            }
            Err(errno) => Err(errno).context(|| "failed to clone a process in the container"),
        }
    }

    /// Between clone and exec: system calls, and nothing that allocates.
    fn become_it(&self, controlling: Option<usize>) -> ! {
        let prepared = close_from(3)
            .and_then(|()| nix::unistd::setsid())
            .and_then(|_| controlling.map_or(Ok(()), |number| tty::set_controlling(stream(number))));
        let errno = match prepared {
            Ok(()) => self.try_all(),
            Err(errno) => errno,
        };
        let _ = rustix::io::write(std::io::stderr().as_fd(), &self.complaint);
        let _ = rustix::io::write(std::io::stderr().as_fd(), errno.desc().as_bytes());
        let _ = rustix::io::write(std::io::stderr().as_fd(), b"\n");
        exit_now(if errno == Errno::ENOENT { NOT_FOUND } else { NOT_EXECUTABLE })
    }

    /// As execvp(3): one that is not there is passed over, one that may not be executed is remembered.
    fn try_all(&self) -> Errno {
        let mut reason = Errno::ENOENT;
        for candidate in &self.candidates {
            match execve_as(candidate, &self.arguments, &self.environment) {
                Errno::ENOENT | Errno::ENOTDIR => {}
                Errno::EACCES => reason = Errno::EACCES,
                errno => return errno,
            }
        }
        reason
    }
}

/// Output of a program of the container, run as its root; `None` if it fails or exceeds the time limit.
pub fn output(command: &[&str]) -> Option<String> {
    let arguments: Vec<OsString> = command.iter().map(OsString::from).collect();
    let program = Program::lay_out(command.first()?.as_ref(), arguments, Vec::new()).ok()?;
    let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).ok()?;
    rustix::stdio::dup2_stdout(&writer).ok()?;
    let child = program.run(None);
    drop(writer);
    let_go().ok()?;
    let child = child.ok()?;
    let mut fds = [PollFd::new(child.as_fd(), PollFlags::POLLIN)];
    let ended = matches!(poll(&mut fds, Some(PATIENCE)), Ok(1));
    if !ended {
        let _ = signal::pidfd_send_signal(&child, libc::SIGKILL);
    }
    (wait(&child).ok()? == Some(0)).then_some(())?;
    rustix::io::ioctl_fionbio(&reader, true).ok()?;
    let mut answer = Vec::new();
    let _ = std::fs::File::from(reader).take(ANSWER_LIMIT).read_to_end(&mut answer);
    String::from_utf8(answer).ok()
}

/// The command's environment: what follows from the user, then what was asked for.
fn environment(entry: &Entry, login: &Login) -> Vec<(OsString, OsString)> {
    let account = &login.account;
    let own = [
        ("PATH", PATH),
        ("HOME", &account.home),
        ("USER", &account.name),
        ("LOGNAME", &account.name),
        ("SHELL", &account.shell),
    ];
    let own = if entry.bare_environment { &[] } else { &own[..] };
    let mut all: Vec<(OsString, OsString)> =
        own.iter().map(|(key, value)| (key.into(), value.into())).collect();
    for (key, value) in &entry.environment {
        all.retain(|(known, _)| known != key);
        all.push((key.clone(), value.clone()));
    }
    all
}

/// Candidate paths of `program`: itself if it has a slash, otherwise in each directory of `paths`.
fn candidates(program: &OsStr, paths: &OsStr) -> Vec<OsString> {
    let name = program.as_bytes();
    if name.contains(&b'/') {
        return vec![program.to_os_string()];
    }
    if name.is_empty() {
        return Vec::new();
    }
    let directories = paths.as_bytes().split(|byte| *byte == b':');
    // An empty one is the working directory, as ever.
    let directories = directories.map(|directory| if directory.is_empty() { &b"."[..] } else { directory });
    directories.map(|directory| OsString::from_vec([directory, b"/", name].concat())).collect()
}

fn stream(number: usize) -> BorrowedFd<'static> {
    // SAFETY: streams 0 to 2 are open and are never closed by this process before exec.
    unsafe { BorrowedFd::borrow_raw(number as i32) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_looked_for_as_execvp_does() {
        let list = |program: &str, paths: &str| {
            let found = candidates(program.as_ref(), paths.as_ref());
            found.into_iter().map(|path| path.into_string().expect("text")).collect::<Vec<_>>()
        };
        assert_eq!(list("sh", "/bin:/usr/bin"), ["/bin/sh", "/usr/bin/sh"]);
        assert_eq!(list("sh", "/bin:"), ["/bin/sh", "./sh"]);
        assert_eq!(list("./x", "/bin"), ["./x"]);
        assert!(list("", "/bin").is_empty());
    }
}
