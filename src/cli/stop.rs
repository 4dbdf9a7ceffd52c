//! `containerctl stop`.

use std::time::Duration;

use super::Machine;
use crate::error::Result;
use crate::machine::{
    registry,
    unit::{self, Wait},
};
use crate::paths::Root;

/// Shut a container down and wait until it is down
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    machine: Machine,
    /// Stop waiting after this time, with exit status 124; the shutdown goes on
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u32>,
}

pub fn run(root: &Root, args: &Args) -> Result<()> {
    let name = args.machine.name()?;
    registry::require(root, &name)?;
    let wait = args.timeout.map_or(Wait::Forever, |seconds| Wait::For(Duration::from_secs(seconds.into())));
    unit::stop(root, &name, wait)
}
