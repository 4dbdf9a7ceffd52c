//! `containerctl destroy`.

use super::{Target, output, require_root};
use crate::error::Result;
use crate::machine::Host;
use crate::machine::change::destroy::IfRunning;

/// Delete a container, its root file system and its definition
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    machine: Target,
    /// Stop the container first if it is running
    #[arg(long)]
    force: bool,
}

pub fn run(host: &Host, args: &Args) -> Result<()> {
    let name = args.machine.name()?;
    require_root("destroy a container")?;
    let if_running = if args.force { IfRunning::Stop } else { IfRunning::Refuse };
    output::warn(&host.destroy(&name, if_running)?);
    Ok(())
}
