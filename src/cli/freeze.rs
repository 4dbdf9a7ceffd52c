//! `containerctl freeze` and `thaw`.

use std::process::ExitCode;

use super::machines::{Machines, finish};
use crate::error::Result;
use crate::machine::lifecycle::unit::each;
use crate::machine::{Host, Machine};

/// Freeze all processes of containers
#[derive(Debug, clap::Args)]
pub struct Freeze {
    #[command(flatten)]
    machines: Machines,
}

/// Thaw frozen containers
#[derive(Debug, clap::Args)]
pub struct Thaw {
    #[command(flatten)]
    machines: Machines,
}

pub fn freeze(host: &Host, args: &Freeze) -> Result<ExitCode> {
    Ok(finish(each(&args.machines.choose(host)?, Machine::freeze)))
}

pub fn thaw(host: &Host, args: &Thaw) -> Result<ExitCode> {
    Ok(finish(each(&args.machines.choose(host)?, Machine::thaw)))
}
