//! `containerctl audit`.

use std::process::ExitCode;

use super::Target;
use super::output::{self, Format};
use crate::error::Result;
use crate::machine::Host;

/// Verify the confinement of a running container from inside
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    machine: Target,
    /// Show only restrictions that do not hold
    #[arg(long)]
    broken: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(host: &Host, args: &Args) -> Result<ExitCode> {
    super::require_root("enter a container")?;
    let mut rows = args.machine.of(host)?.audit()?;
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
