//! `containerctl restart`.

use std::process::ExitCode;

use super::machines::{Machines, finish};
use super::progress;
use crate::error::Result;
use crate::machine::Host;

/// Shut containers down and start them again; start stopped ones
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    machines: Machines,
}

pub fn run(host: &Host, args: &Args) -> Result<ExitCode> {
    let machines = args.machines.choose(host)?;
    progress::show(host, |host| host.restart(&machines)).map(finish)
}
