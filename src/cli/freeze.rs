//! `containerctl freeze` and `thaw`.

use std::process::ExitCode;

use super::machines::{Machines, finish};
use crate::error::Result;
use crate::machine::lifecycle::freeze;
use crate::machine::lifecycle::unit::each;
use crate::paths::Root;

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

pub fn freeze(root: &Root, args: &Freeze) -> Result<ExitCode> {
    Ok(finish(each(&args.machines.choose(root)?, |name| freeze::freeze(root, name))))
}

pub fn thaw(root: &Root, args: &Thaw) -> Result<ExitCode> {
    Ok(finish(each(&args.machines.choose(root)?, |name| freeze::thaw(root, name))))
}
