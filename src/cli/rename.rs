//! `containerctl rename`.

use super::{Target, output, require_root};
use crate::error::Result;
use crate::machine::Host;
use crate::name::MachineName;

/// Rename a stopped container
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    machine: Target,
    /// New name
    #[arg(value_name = "NEW")]
    new: String,
}

pub fn run(host: &Host, args: &Args) -> Result<()> {
    let (old, new) = (args.machine.name()?, MachineName::new(&args.new)?);
    require_root("rename a container")?;
    output::warn(&host.machine(&old)?.rename(&new)?);
    Ok(())
}
