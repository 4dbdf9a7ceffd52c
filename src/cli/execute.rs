//! `containerctl execute`.

use std::ffi::OsString;
use std::process::ExitCode;

use super::Target;
use super::attach::How;
use super::relay::{self, Caller};
use crate::error::Result;
use crate::machine::Host;
use crate::machine::lifecycle::execute::Changes;

/// Start a container for a single command, without its init; exits with the status of the command
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    machine: Target,
    #[command(flatten)]
    how: How,
    /// Discard changes to the root file system afterwards
    #[arg(long)]
    ephemeral: bool,
    /// Command and arguments
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

pub fn run(host: &Host, args: &Args) -> Result<ExitCode> {
    let name = args.machine.name()?;
    super::require_root("execute a command in a container")?;
    let (caller, streams) = Caller::new()?;
    let request = args.how.request(&args.command, caller.has_terminal())?;
    let machine = host.machine(&name)?;
    let execution = machine.execute(Changes::when_ephemeral(args.ephemeral))?;
    let attached = execution.run(&request, streams)?;
    let code = relay::relay(caller, attached)?;
    execution.end()?;
    Ok(code.into())
}
