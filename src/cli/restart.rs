//! `containerctl restart`.

use std::process::ExitCode;

use super::machines::{Machines, finish};
use super::progress;
use crate::error::Result;
use crate::machine::Host;
use crate::machine::operation::RESTART;

#[derive(Debug, clap::Args)]
#[command(about = RESTART.summary)]
pub struct Args {
    #[command(flatten)]
    machines: Machines,
}

pub fn run(host: &Host, args: &Args) -> Result<ExitCode> {
    let machines = args.machines.choose(host)?;
    progress::show(host, |host| host.restart(&machines)).map(finish)
}
