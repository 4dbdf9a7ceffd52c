//! `containerctl attach`.

use std::ffi::{OsStr, OsString};
use std::process::ExitCode;

use super::Target;
use super::relay::{self, Caller};
use crate::error::{Error, Result};
use crate::machine::Host;
use crate::machine::enter::attach::{Environment, Namespace, Power, Request, UserSpec};

/// Run a command or a shell in a running container; exits with the status of the command
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    machine: Target,
    #[command(flatten)]
    how: How,
    /// With --elevated, join only these namespaces: mnt, uts, ipc, net, pid, user, cgroup
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    namespaces: Vec<String>,
    /// Keep all capabilities, without filter and label; only for trusted containers, whose root can take the process over
    #[arg(long)]
    elevated: bool,
    /// Command and arguments; the user's login shell by default
    #[arg(last = true)]
    command: Vec<OsString>,
}

/// Options of a command that runs in a container.
#[derive(Debug, clap::Args)]
pub struct How {
    /// User and group, as names inside or as numbers; root by default
    #[arg(long, value_name = "USER[:GROUP]")]
    user: Option<String>,
    /// Working directory inside; the user's home by default
    #[arg(long, value_name = "DIRECTORY")]
    cwd: Option<OsString>,
    /// Set an environment variable; can be repeated
    #[arg(long = "env", value_name = "NAME=VALUE")]
    variables: Vec<OsString>,
    /// Pass the caller's variables, except those that depend on the user
    #[arg(long, conflicts_with = "clear_env")]
    keep_env: bool,
    /// Set no variables except container= and those of --env
    #[arg(long)]
    clear_env: bool,
}

/// Variables that follow from the user inside, whatever the caller's own are.
const OF_THE_USER: [&str; 6] = ["PATH", "HOME", "USER", "LOGNAME", "SHELL", "container"];

pub fn run(host: &Host, args: &Args) -> Result<ExitCode> {
    let name = args.machine.name()?;
    super::require_root("enter a container")?;
    let (caller, streams) = Caller::new()?;
    let request = Request {
        namespaces: namespaces(&args.namespaces)?,
        power: if args.elevated { Power::Elevated } else { Power::Payload },
        ..args.how.request(&args.command, caller.has_terminal())?
    };
    let attached = host.machine(&name)?.attach(&request, streams)?;
    relay::relay(caller, attached).map(ExitCode::from)
}

impl How {
    /// The request to the core.
    pub fn request(&self, command: &[OsString], terminal: bool) -> Result<Request> {
        Ok(Request {
            command: command.to_vec(),
            user: self.user.as_deref().map_or(Ok(UserSpec::root()), str::parse)?,
            working_directory: self.cwd.clone(),
            environment: self.environment(terminal)?,
            ..Request::default()
        })
    }

    fn environment(&self, terminal: bool) -> Result<Environment> {
        let asked = self.variables.iter().map(|variable| assignment(variable)).collect::<Result<Vec<_>>>()?;
        if self.clear_env {
            return Ok(Environment::Bare(asked));
        }
        let ours = std::env::vars_os().filter(|(key, value)| match key.to_str() {
            Some("TERM") => terminal && is_plain(value),
            Some(key) => self.keep_env && !OF_THE_USER.contains(&key),
            None => self.keep_env,
        });
        Ok(Environment::Clean(ours.chain(asked).collect()))
    }
}

/// A terminal's name, and nothing that a program could take for more.
fn is_plain(term: &OsStr) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.+".contains(byte);
    !term.is_empty() && term.as_encoded_bytes().iter().all(plain)
}

fn assignment(text: &OsStr) -> Result<(OsString, OsString)> {
    use std::os::unix::ffi::OsStrExt;
    let bytes = text.as_bytes();
    let at = bytes.iter().position(|byte| *byte == b'=').ok_or_else(|| {
        Error::config(format!("'{}' sets no variable", text.display())).hint("write it as NAME=VALUE")
    })?;
    let (key, value) = (OsStr::from_bytes(&bytes[..at]), OsStr::from_bytes(&bytes[at + 1..]));
    Ok((key.to_os_string(), value.to_os_string()))
}

fn namespaces(names: &[String]) -> Result<Vec<Namespace>> {
    match names {
        [] => Ok(Namespace::ALL.to_vec()),
        names => names.iter().map(|name| name.parse()).collect(),
    }
}
