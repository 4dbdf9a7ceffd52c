//! Shells and commands in a container: what the caller gets are the master of a new terminal or the ends of new pipes,
//! nothing of his is passed inside.
//!
//! The call's process stays as long as the command: it tells how it ended, and ends it when the caller lets go.

use std::ffi::OsString;
use std::fmt::Display;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::poll::{PollFd, PollFlags};
use rustix::pipe::{PipeFlags, pipe_with};

use super::lasting;
use crate::dbus::caller::Action;
use crate::dbus::interface::{FollowUp, Method};
use crate::dbus::options::{Given, Options};
use crate::error::{Context, Error, Result};
use crate::machine::Machine;
use crate::machine::enter::attach::{Attached, Environment, Namespace, Power, Request, Stream, Streams};
use crate::machine::lifecycle::execute::Changes;
use crate::sys::poll::{happened, poll};

/// A descriptor on the bus.
pub type Handle = zbus::OwnedFd;
/// The ends of standard input, output and error, and of the pipe that tells the exit status.
type Pipes = (Handle, Handle, Handle, Handle);

/// The methods.
pub fn methods() -> Vec<Method> {
    let (elevate, shell) = (Action::Elevate, Action::Shell);
    let (command, pipes) = (&["command", "options"], &["input", "output", "error", "status"]);
    let terminal = &["terminal", "status"];
    let open = |power| move |machine: &Machine, values| open_shell(machine, values, power);
    let execute = |power| move |machine: &Machine, values| execute(machine, values, power);
    vec![
        lasting("OpenShell", shell, &["options"], terminal, open(Power::Payload)),
        lasting("Execute", shell, command, pipes, execute(Power::Payload)),
        lasting("OpenElevatedShell", elevate, &["options"], terminal, open(Power::Elevated)),
        lasting("ExecuteElevated", elevate, command, pipes, execute(Power::Elevated)),
        lasting("ExecuteAlone", shell, command, pipes, execute_alone).and(Action::Operate),
    ]
}

/// The login shell, or a command, on a terminal.
fn open_shell(
    machine: &Machine,
    (options,): (Given,),
    power: Power,
) -> Result<((Handle, Handle), Option<FollowUp>)> {
    let mut options = Options::from(options);
    let command: Vec<String> = options.take("Command")?.unwrap_or_default();
    let request = request(command, options, power)?;
    let mut attached = machine.attach(&request, terminal())?;
    let terminal = master(&mut attached)?;
    let (status, follow_up) = tell_end(attached)?;
    Ok(((terminal.into(), status), Some(follow_up)))
}

/// A command with a pipe for each of its streams.
fn execute(
    machine: &Machine,
    (command, options): (Vec<String>, Given),
    power: Power,
) -> Result<(Pipes, Option<FollowUp>)> {
    require(&command)?;
    let request = request(command, Options::from(options), power)?;
    let (streams, [input, output, error]) = pipes()?;
    let attached = machine.attach(&request, streams)?;
    let (status, follow_up) = tell_end(attached)?;
    Ok(((input, output, error, status), Some(follow_up)))
}

/// A command in a container that is started for it alone; told of when the container has ended.
fn execute_alone(
    machine: &Machine,
    (command, options): (Vec<String>, Given),
) -> Result<(Pipes, Option<FollowUp>)> {
    require(&command)?;
    let mut options = Options::from(options);
    let changes = Changes::when_ephemeral(options.take("Ephemeral")?.unwrap_or(false));
    let on_terminal = options.take("Terminal")?.unwrap_or(false);
    let request = request(command, options, Power::Payload)?;
    let execution = machine.execute(changes)?;
    let (attached, ends) = match on_terminal {
        true => {
            let mut attached = execution.run(&request, terminal())?;
            let master = master(&mut attached)?;
            let again = || master.try_clone().map(Handle::from).context(|| "failed to copy a descriptor");
            (attached, [again()?, again()?, again()?])
        }
        false => {
            let (streams, ends) = pipes()?;
            (execution.run(&request, streams)?, ends)
        }
    };
    let (theirs, ours) = pipe()?;
    let follow_up = move || {
        let code = see_through(attached, &ours);
        // However it goes, who hears of the end finds the container ended.
        let ended = execution.end();
        if let (Some(code), Ok(())) = (code, ended) {
            tell(ours, code);
        }
    };
    let [input, output, error] = ends;
    Ok(((input, output, error, theirs.into()), Some(Box::new(follow_up))))
}

fn require(command: &[String]) -> Result<()> {
    match command {
        [] => Err(Error::config("there is no command to execute")),
        _ => Ok(()),
    }
}

fn terminal() -> Streams {
    Streams { input: Stream::Terminal, output: Stream::Terminal, error: Stream::Terminal, size: None }
}

fn master(attached: &mut Attached) -> Result<OwnedFd> {
    attached.terminal.take().ok_or_else(|| Error::failed("the command has no terminal"))
}

/// Streams of a command, and the caller's ends of them.
fn pipes() -> Result<(Streams, [Handle; 3])> {
    let ((input, in_writer), (out_reader, output), (err_reader, error)) = (pipe()?, pipe()?, pipe()?);
    let [input, output, error] = [input, output, error].map(Stream::Pipe);
    let streams = Streams { input, output, error, size: None };
    Ok((streams, [in_writer.into(), out_reader.into(), err_reader.into()]))
}

/// Reader and writer.
pub fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    pipe_with(PipeFlags::CLOEXEC).context(|| "failed to create a pipe")
}

fn request(command: Vec<String>, mut options: Options, power: Power) -> Result<Request> {
    let user: Option<String> = options.take("User")?;
    let working_directory: Option<String> = options.take("WorkingDirectory")?;
    let environment: Vec<String> = options.take("Environment")?.unwrap_or_default();
    let environment = environment.iter().map(|text| assignment(text)).collect::<Result<_>>()?;
    let is_bare = options.take("ClearEnvironment")?.unwrap_or(false);
    let namespaces: Option<Vec<String>> = match power {
        Power::Elevated => options.take("Namespaces")?,
        Power::Payload => None,
    };
    options.refuse_rest()?;
    Ok(Request {
        command: command.into_iter().map(OsString::from).collect(),
        user: user.map_or(Ok(Request::default().user), |user| user.parse())?,
        working_directory: working_directory.map(OsString::from),
        environment: if is_bare { Environment::Bare(environment) } else { Environment::Clean(environment) },
        namespaces: match namespaces {
            Some(names) => names.iter().map(|name| name.parse()).collect::<Result<_>>()?,
            None => Namespace::ALL.to_vec(),
        },
        power,
    })
}

fn assignment(text: &str) -> Result<(OsString, OsString)> {
    let wrong = || Error::config(format!("'{}' is not NAME=VALUE", text.escape_debug()));
    text.split_once('=').map(|(name, value)| (name.into(), value.into())).ok_or_else(wrong)
}

/// A pipe that tells the exit status, and what writes to it in the end.
fn tell_end(attached: Attached) -> Result<(Handle, FollowUp)> {
    let (theirs, ours) = pipe()?;
    let follow_up = move || {
        if let Some(code) = see_through(attached, &ours) {
            tell(ours, code);
        }
    };
    Ok((theirs.into(), Box::new(follow_up)))
}

/// The exit status of a command that ends; `None` where the caller has closed his end of the pipe before: then the
/// command is hung up on.
fn see_through(attached: Attached, status: &OwnedFd) -> Option<u8> {
    match is_first(attached.ended(), status) {
        true => attached.finish().ok(),
        false => None,
    }
}

/// Waits until `ended` can be read, or until nobody reads `pipe` any more; whether it was the first.
pub fn is_first(ended: BorrowedFd, pipe: &OwnedFd) -> bool {
    let mut fds = [
        PollFd::new(ended, PollFlags::POLLIN),
        // A pipe without a reader is an error, which is always told.
        PollFd::new(pipe.as_fd(), PollFlags::empty()),
    ];
    poll(&mut fds, None).is_ok() && happened(&fds[0])
}

/// Writes a line to whoever reads; nobody need.
pub fn tell(pipe: OwnedFd, line: impl Display) {
    let _ = std::fs::File::from(pipe).write_all(format!("{line}\n").as_bytes());
}
