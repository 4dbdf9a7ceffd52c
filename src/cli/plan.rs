//! `containerctl plan`.

use super::Machine;
use super::output::{self, Format};
use crate::error::Result;
use crate::machine::inspect::plan::plan;
use crate::paths::Root;

/// Show the operations of a start without carrying them out
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    machine: Machine,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(root: &Root, args: &Args) -> Result<()> {
    let name = args.machine.name()?;
    super::require_root("look into a container's root file system")?;
    let (plan, warnings) = plan(root, &name)?;
    output::warn(&warnings);
    match Format::new(args.json) {
        Format::Json => output::print_json(&plan),
        Format::Table => output::print(
            &plan.to_string().lines().map(|line| format!("{}\n", output::escape(line))).collect::<String>(),
        ),
    }
}
