//! `containerctl enable` and `disable`.

use super::Machine;
use crate::error::Result;
use crate::machine::unit;
use crate::paths::Root;

/// Have a container started at boot
#[derive(Debug, clap::Args)]
pub struct Enable {
    #[command(flatten)]
    machine: Machine,
}

/// No longer have it started at boot
#[derive(Debug, clap::Args)]
pub struct Disable {
    #[command(flatten)]
    machine: Machine,
}

pub fn enable(root: &Root, args: &Enable) -> Result<()> {
    unit::enable(root, &args.machine.name()?)
}

pub fn disable(root: &Root, args: &Disable) -> Result<()> {
    unit::disable(root, &args.machine.name()?)
}
