//! `containerctl plan`.

use super::Target;
use super::output::{self, Format};
use crate::error::Result;
use crate::machine::Host;

/// Show the operations of a start without carrying them out
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    machine: Target,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(host: &Host, args: &Args) -> Result<()> {
    super::require_root("look into a container's root file system")?;
    let (plan, warnings) = args.machine.of(host)?.plan()?;
    output::warn(&warnings);
    match Format::new(args.json) {
        Format::Json => output::print_json(&plan),
        Format::Table => output::print(
            &plan.to_string().lines().map(|line| format!("{}\n", output::escape(line))).collect::<String>(),
        ),
    }
}
