//! `containerctl plan`.

use super::Machine;
use super::output::{self, Format};
use crate::error::Result;
use crate::machine::{advice, ids};
use crate::paths::Root;
use crate::sandbox::lsm;
use crate::sandbox::plan::plan;
use crate::sandbox::survey::survey;

/// Show every operation of a start, and do none
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
    let definition = advice::load(root, &name)?;
    for warning in &definition.warnings {
        eprintln!("containerctl: {}", output::escape(&warning.to_string()));
    }
    let facts = survey(root, &name, &definition, || ids::would_be(root, &name))?;
    lsm::check(&definition, &facts.lsm)?;
    let plan = plan(&definition.settings, &facts);
    match Format::new(args.json) {
        Format::Json => output::print_json(&plan),
        Format::Table => output::print(
            &plan.to_string().lines().map(|line| format!("{}\n", output::escape(line))).collect::<String>(),
        ),
    }
}
