//! `containerctl audit`.

use std::process::ExitCode;

use super::Machine;
use super::output::{self, Format};
use crate::error::Result;
use crate::machine::inspect::audit::{audit, seal};
use crate::paths::Root;

/// Verify the confinement of a running container from inside
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    machine: Machine,
    /// Show only restrictions that do not hold
    #[arg(long)]
    broken: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(root: &Root, args: &Args) -> Result<ExitCode> {
    let name = args.machine.name()?;
    super::require_root("enter a container")?;
    seal(root, &name)?;
    let mut rows = audit(root, &name)?;
    let broken = rows.iter().filter(|row| !row.holds).count();
    if args.broken {
        rows.retain(|row| !row.holds);
    }
    match Format::new(args.json) {
        Format::Json => output::print_json(&rows)?,
        Format::Table => {
            let mark = |holds: bool| if holds { "" } else { "BROKEN" }.to_string();
            let cells = rows.into_iter().map(|row| [row.what, row.found, row.promised, mark(row.holds)]);
            output::print(&output::table(["TRIED", "FOUND", "PROMISED", ""], cells))?;
        }
    }
    Ok(if broken == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
