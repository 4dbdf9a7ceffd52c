//! `containerctl start`.

use std::process::ExitCode;

use super::machines::{Machines, finish};
use super::{output, progress};
use crate::error::Result;
use crate::machine::operation::START;
use crate::machine::{Host, Machine};

#[derive(Debug, clap::Args)]
#[command(about = START.summary)]
pub struct Args {
    #[command(flatten)]
    machines: Machines,
    /// Print how long each stage of the last start took
    #[arg(long)]
    timings: bool,
}

pub fn run(host: &Host, args: &Args) -> Result<ExitCode> {
    let machines = args.machines.choose(host)?;
    let done = progress::show(host, |host| host.start(&machines))?;
    if args.timings {
        let started = machines.iter().zip(&done).filter(|(_, done)| done.result.is_ok());
        started.map(|(machine, _)| machine).try_for_each(print_timings)?;
    }
    host.network_problems().iter().for_each(|problem| eprintln!("containerctl: {}", output::escape(problem)));
    Ok(finish(done))
}

fn print_timings(machine: &Machine) -> Result<()> {
    let rows = machine.timings()?.into_iter();
    let rows = rows.map(|(stage, took)| [stage, format!("{:8.3}", took.as_secs_f64() * 1000.0)]);
    output::print(&output::table(["STAGE", "MSEC"], rows))
}
