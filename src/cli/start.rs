//! `containerctl start`.

use std::fs;

use super::{Machine, output};
use crate::error::{Context, Result};
use crate::machine::unit;
use crate::name::MachineName;
use crate::paths::Root;

/// Start a container and wait until it is up
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    machine: Machine,
    /// Print how long each stage of the last start took
    #[arg(long)]
    timings: bool,
}

pub fn run(root: &Root, args: &Args) -> Result<()> {
    let name = args.machine.name()?;
    unit::start(root, &name)?;
    if args.timings { print_timings(root, &name) } else { Ok(()) }
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
