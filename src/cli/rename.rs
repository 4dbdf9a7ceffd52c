//! `containerctl rename`.

use super::{Machine, output, require_root};
use crate::error::Result;
use crate::machine::change::rename;
use crate::name::MachineName;
use crate::paths::Root;

/// Rename a stopped container
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    machine: Machine,
    /// New name
    #[arg(value_name = "NEW")]
    new: String,
}

pub fn run(root: &Root, args: &Args) -> Result<()> {
    let (old, new) = (args.machine.name()?, MachineName::new(&args.new)?);
    require_root("rename a container")?;
    output::warn(&rename::rename(root, &old, &new)?);
    Ok(())
}
