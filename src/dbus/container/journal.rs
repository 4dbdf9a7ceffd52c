//! A container's journal: the output of a journalctl(1) that runs for the caller.

use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};

use super::attach::{Handle, is_first, pipe, tell};
use super::lasting;
use crate::dbus::caller::Action;
use crate::dbus::interface::{FollowUp, Method};
use crate::dbus::options::{Given, Options};
use crate::error::{Cause, Context, Error, Kind, Result};
use crate::machine::Machine;
use crate::machine::inspect::logs::{Since, Source};

/// Strings that journalctl takes as they are: options of ours and of its own. None of them names a file.
const TEXTS: [(&str, &str); 5] = [
    ("Output", "--output"),
    ("Since", "--since"),
    ("Until", "--until"),
    ("Priority", "--priority"),
    ("Grep", "--grep"),
];

/// The method.
pub fn method() -> Method {
    lasting("OpenJournal", Action::Look, &["options"], &["output", "error", "status"], open)
}

/// Ends of the pipes from it, and of the one that tells its exit status.
type Pipes = (Handle, Handle, Handle);

fn open(machine: &Machine, (options,): (Given,)) -> Result<(Pipes, Option<FollowUp>)> {
    let arguments = arguments(machine, Options::from(options))?;
    let (theirs, ours) = pipe()?;
    let (mut child, output, error) = start(&arguments).map_err(|error| {
        Error::new(Kind::Unsupported, format!("failed to run 'journalctl': {}", error.cause()))
    })?;
    let pid = rustix::process::Pid::from_child(&child);
    let ended = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty())
        .context(|| "failed to open the process of 'journalctl'")?;
    let follow_up = move || {
        if !is_first(ended.as_fd(), &ours) {
            let _ = child.kill();
        }
        if let Ok(Some(code)) = child.wait().map(|status| status.code()) {
            tell(ours, code);
        }
    };
    Ok((
        (OwnedFd::from(output).into(), OwnedFd::from(error).into(), theirs.into()),
        Some(Box::new(follow_up)),
    ))
}

fn start(arguments: &[String]) -> std::io::Result<(Child, ChildStdout, ChildStderr)> {
    let mut command = Command::new("journalctl");
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    match (child.stdout.take(), child.stderr.take()) {
        (Some(output), Some(error)) => Ok((child, output, error)),
        _ => Err(std::io::ErrorKind::BrokenPipe.into()),
    }
}

fn arguments(machine: &Machine, mut options: Options) -> Result<Vec<String>> {
    let source = source(options.take::<String>("Source")?.as_deref().unwrap_or("all"))?;
    let since = if options.take("SinceStart")?.unwrap_or(false) { Since::Start } else { Since::Ever };
    let mut own = Vec::new();
    if options.take("Follow")?.unwrap_or(false) {
        own.push("--follow".to_string());
    }
    own.extend(options.take::<u32>("Lines")?.map(|lines| format!("--lines={lines}")));
    for (option, theirs) in TEXTS {
        own.extend(options.take::<String>(option)?.map(|text| format!("{theirs}={text}")));
    }
    options.refuse_rest()?;
    let mut arguments = machine.journal_arguments(source, since)?;
    arguments.append(&mut own);
    Ok(arguments)
}

fn source(word: &str) -> Result<Source> {
    match word {
        "all" => Ok(Source::All),
        "console" => Ok(Source::Console),
        "guest" => Ok(Source::Guest),
        _ => Err(Error::config(format!("'{}' is none of all, console, guest", word.escape_debug()))),
    }
}
