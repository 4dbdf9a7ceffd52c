//! `containerctl enable` and `disable`.

use std::process::ExitCode;

use super::machines::{Machines, finish};
use super::progress;
use crate::error::Result;
use crate::machine::lifecycle::unit::{Done, Stop};
use crate::machine::{Host, Machine};

/// Start containers at boot
#[derive(Debug, clap::Args)]
pub struct Enable {
    #[command(flatten)]
    machines: Machines,
    /// Also start them now
    #[arg(long)]
    now: bool,
}

/// Do not start containers at boot
#[derive(Debug, clap::Args)]
pub struct Disable {
    #[command(flatten)]
    machines: Machines,
    /// Also stop them now
    #[arg(long)]
    now: bool,
}

pub fn enable(host: &Host, args: &Enable) -> Result<ExitCode> {
    let machines = args.machines.choose(host)?;
    let (done, enabled) = split(host.enable(&machines)?, machines);
    let started = if args.now { progress::show(host, |host| host.start(&enabled))? } else { Vec::new() };
    Ok(finish(done.into_iter().chain(started).collect()))
}

pub fn disable(host: &Host, args: &Disable) -> Result<ExitCode> {
    let machines = args.machines.choose(host)?;
    let (done, disabled) = split(host.disable(&machines)?, machines);
    let stopped =
        if args.now { progress::show(host, |host| host.stop(&disabled, Stop::Ask))? } else { Vec::new() };
    let stopped = stopped.into_iter().map(|Done { name, result }| Done { name, result: result.map(drop) });
    Ok(finish(done.into_iter().chain(stopped).collect()))
}

/// Splits results into failures and machines to go on with.
fn split(done: Vec<Done<()>>, machines: Vec<Machine>) -> (Vec<Done<()>>, Vec<Machine>) {
    let worked = machines.into_iter().zip(&done).filter(|(_, done)| done.result.is_ok());
    let worked = worked.map(|(machine, _)| machine).collect();
    (done, worked)
}
