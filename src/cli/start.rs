//! `containerctl start`.

use std::process::ExitCode;

use super::machines::{Machines, finish};
use super::{output, progress};
use crate::error::Result;
use crate::machine::change::network;
use crate::machine::lifecycle::unit;
use crate::name::MachineName;
use crate::paths::Root;
use crate::runtime::timings;

/// Start containers and wait until they have started
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
    let done = progress::show(|listener| unit::start(root, &names, listener))?;
    if args.timings {
        done.iter()
            .filter(|done| done.result.is_ok())
            .try_for_each(|done| print_timings(root, &done.name))?;
    }
    network::problems(root).iter().for_each(|problem| eprintln!("containerctl: {}", output::escape(problem)));
    Ok(finish(done))
}

fn print_timings(root: &Root, name: &MachineName) -> Result<()> {
    let rows = timings::of(root, name)?.into_iter();
    let rows = rows.map(|(stage, took)| [stage, format!("{:8.3}", took.as_secs_f64() * 1000.0)]);
    output::print(&output::table(["STAGE", "MSEC"], rows))
}
