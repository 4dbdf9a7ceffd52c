//! `containerctl destroy`.

use super::{Machine, output, require_root};
use crate::error::Result;
use crate::machine::change::destroy::{self, IfRunning};
use crate::paths::Root;

/// Delete a container, its root file system and its definition
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    machine: Machine,
    /// Stop the container first if it is running
    #[arg(long)]
    force: bool,
}

pub fn run(root: &Root, args: &Args) -> Result<()> {
    let name = args.machine.name()?;
    require_root("destroy a container")?;
    let if_running = if args.force { IfRunning::Stop } else { IfRunning::Refuse };
    output::warn(&destroy::destroy(root, &name, if_running)?);
    Ok(())
}
