//! `containerctl start`.

use std::fs;
use std::process::ExitCode;

use super::machines::{Machines, finish};
use super::output;
use crate::error::{Context, Result};
use crate::machine::unit;
use crate::name::MachineName;
use crate::paths::Root;

/// Start containers and wait until they are up
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    machines: Machines,
    /// Print how long each stage of the last start took
    #[arg(long)]
    timings: bool,
}

pub fn run(root: &Root, args: &Args) -> Result<ExitCode> {
    let names = args.machines.choose(root)?;
    let done = unit::start(root, &names)?;
    if args.timings {
        done.iter()
            .filter(|done| done.result.is_ok())
            .try_for_each(|done| print_timings(root, &done.name))?;
    }
    Ok(finish(done))
}

/// As the supervisor wrote them: a stage and its microseconds per line.
fn print_timings(root: &Root, name: &MachineName) -> Result<()> {
    let path = root.runtime_of(name).join("timings");
    let text = fs::read_to_string(&path).context(|| format!("failed to read '{}'", path.display()))?;
    let rows = text.lines().filter_map(|line| {
        let (stage, usec) = line.split_once(' ')?;
        let usec: u32 = usec.trim().parse().ok()?;
        Some([stage.to_string(), format!("{:8.3}", f64::from(usec) / 1000.0)])
    });
    output::print(&output::table(["STAGE", "MSEC"], rows))
}
