//! `containerctl enable` and `disable`.

use std::process::ExitCode;

use super::machines::{Machines, finish};
use super::progress;
use crate::error::Result;
use crate::machine::lifecycle::unit::{self, Done, Stop};
use crate::name::MachineName;
use crate::paths::Root;

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

pub fn enable(root: &Root, args: &Enable) -> Result<ExitCode> {
    let (done, names) = split(unit::enable(root, &args.machines.choose(root)?)?);
    let started =
        if args.now { progress::show(|listener| unit::start(root, &names, listener))? } else { Vec::new() };
    Ok(finish(done.into_iter().chain(started).collect()))
}

pub fn disable(root: &Root, args: &Disable) -> Result<ExitCode> {
    let (done, names) = split(unit::disable(root, &args.machines.choose(root)?)?);
    let stopped = if args.now {
        progress::show(|listener| unit::stop(root, &names, Stop::Ask, listener))?
    } else {
        Vec::new()
    };
    let stopped = stopped.into_iter().map(|Done { name, result }| Done { name, result: result.map(drop) });
    Ok(finish(done.into_iter().chain(stopped).collect()))
}

/// Those that worked have more done to them.
fn split(done: Vec<Done<()>>) -> (Vec<Done<()>>, Vec<MachineName>) {
    let names = done.iter().filter(|done| done.result.is_ok()).map(|done| done.name.clone()).collect();
    (done, names)
}
