//! `containerctl wait`.

use std::time::Duration;

use super::Target;
use crate::error::Result;
use crate::machine::{Host, RunState};

/// Wait until a container reaches a state
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    machine: Target,
    /// States to wait for, such as running or stopped|failed
    #[arg(long, value_name = "STATE[|STATE…]", default_value = "running")]
    state: String,
    /// Stop waiting after this time, with exit status 124
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u32>,
}

pub fn run(host: &Host, args: &Args) -> Result<()> {
    let states: Result<Vec<RunState>> = args.state.split('|').map(|state| state.trim().parse()).collect();
    let limit = args.timeout.map(|seconds| Duration::from_secs(seconds.into()));
    let (name, states) = (args.machine.name()?, states?);
    host.machine(&name)?.wait(&states, limit).map(drop)
}
