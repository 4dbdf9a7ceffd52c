//! Shells and commands in a container: what the caller gets are the master of a new terminal or the ends of new pipes,
//! nothing of his is passed inside.
//!
//! The call's process stays as long as the command: it tells how it ended, and ends it when the caller lets go.

use std::ffi::OsString;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::pipe::{PipeFlags, pipe_with};

use crate::dbus::interface::Rest;
use crate::dbus::options::{Given, Options};
use crate::error::{Context, Error, Result};
use crate::machine::attach::{self, Attached, Environment, Request, Stream, Streams};
use crate::name::MachineName;
use crate::paths::Root;

/// A descriptor on the bus.
type Handle = zbus::OwnedFd;
/// The ends of standard input, output and error, and of the pipe that tells the exit status.
type Pipes = (Handle, Handle, Handle, Handle);

/// `OpenShell`: the login shell, or a command, on a terminal.
pub fn open_shell(
    root: &Root,
    name: &MachineName,
    options: Given,
) -> Result<((Handle, Handle), Option<Rest>)> {
    let mut options = Options::from(options);
    let command: Vec<String> = options.take("Command")?.unwrap_or_default();
    let request = request(command, options)?;
    let [input, output, error] = [Stream::Terminal, Stream::Terminal, Stream::Terminal];
    let streams = Streams { input, output, error, size: None };
    let mut attached = attach::attach(root, name, &request, streams)?;
    let terminal = attached.terminal.take().ok_or_else(|| Error::failed("the command has no terminal"))?;
    let (status, rest) = tell_end(attached)?;
    Ok(((terminal.into(), status), Some(rest)))
}

/// `Execute`: a command with a pipe for each of its streams.
pub fn execute(
    root: &Root,
    name: &MachineName,
    (command, options): (Vec<String>, Given),
) -> Result<(Pipes, Option<Rest>)> {
    if command.is_empty() {
        return Err(Error::config("there is no command to execute"));
    }
    let request = request(command, Options::from(options))?;
    let ((in_reader, in_writer), (out_reader, out_writer), (err_reader, err_writer)) =
        (pipe()?, pipe()?, pipe()?);
    let [input, output, error] = [in_reader, out_writer, err_writer].map(Stream::Pipe);
    let attached = attach::attach(root, name, &request, Streams { input, output, error, size: None })?;
    let (status, rest) = tell_end(attached)?;
    Ok(((in_writer.into(), out_reader.into(), err_reader.into(), status), Some(rest)))
}

fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    pipe_with(PipeFlags::CLOEXEC).context(|| "failed to create a pipe")
}

fn request(command: Vec<String>, mut options: Options) -> Result<Request> {
    let user: Option<String> = options.take("User")?;
    let working_directory: Option<String> = options.take("WorkingDirectory")?;
    let environment: Vec<String> = options.take("Environment")?.unwrap_or_default();
    options.refuse_rest()?;
    Ok(Request {
        command: command.into_iter().map(OsString::from).collect(),
        user: user.map_or(Ok(Request::default().user), |user| user.parse())?,
        working_directory: working_directory.map(OsString::from),
        environment: Environment::Clean(
            environment.iter().map(|text| assignment(text)).collect::<Result<_>>()?,
        ),
        ..Request::default()
    })
}

fn assignment(text: &str) -> Result<(OsString, OsString)> {
    let wrong = || Error::config(format!("'{}' is not NAME=VALUE", text.escape_debug()));
    text.split_once('=').map(|(name, value)| (name.into(), value.into())).ok_or_else(wrong)
}

/// A pipe that tells the exit status, and what writes to it in the end.
fn tell_end(attached: Attached) -> Result<(Handle, Rest)> {
    let (theirs, ours) = pipe()?;
    Ok((theirs.into(), Box::new(move || see_through(attached, ours))))
}

/// Until the command ends, or the caller has closed his end of the pipe: then the command is hung up on.
fn see_through(attached: Attached, status: OwnedFd) {
    let mut fds = [
        PollFd::new(attached.ended(), PollFlags::POLLIN),
        // A pipe without a reader is an error, which is always told.
        PollFd::new(status.as_fd(), PollFlags::empty()),
    ];
    while let Err(nix::errno::Errno::EINTR) = poll(&mut fds, PollTimeout::NONE) {}
    if fds[0].any() != Some(true) {
        return;
    }
    if let Ok(code) = attached.finish() {
        let _ = std::fs::File::from(status).write_all(format!("{code}\n").as_bytes());
    }
}
