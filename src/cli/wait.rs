//! `containerctl wait`.

use std::time::Duration;

use super::Machine;
use crate::error::Result;
use crate::machine::inspect::events;
use crate::paths::Root;
use crate::runtime::run_state::RunState;

/// Wait until a container reaches a state
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    machine: Machine,
    /// States to wait for, such as running or stopped|failed
    #[arg(long, value_name = "STATE[|STATE…]", default_value = "running")]
    state: String,
    /// Stop waiting after this time, with exit status 124
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u32>,
}

pub fn run(root: &Root, args: &Args) -> Result<()> {
    let states: Result<Vec<RunState>> = args.state.split('|').map(|state| state.trim().parse()).collect();
    let limit = args.timeout.map(|seconds| Duration::from_secs(seconds.into()));
    events::wait(root, &args.machine.name()?, &states?, limit).map(drop)
}
