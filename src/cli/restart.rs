//! `containerctl restart`.

use std::process::ExitCode;

use super::machines::{Machines, finish};
use super::progress;
use crate::error::Result;
use crate::machine::lifecycle::unit;
use crate::paths::Root;

/// Shut containers down and start them again; start stopped ones
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    machines: Machines,
}

pub fn run(root: &Root, args: &Args) -> Result<ExitCode> {
    let names = args.machines.choose(root)?;
    progress::show(|listener| unit::restart(root, &names, listener)).map(finish)
}
