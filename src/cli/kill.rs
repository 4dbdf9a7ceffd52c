//! `containerctl kill`.

use std::process::ExitCode;

use super::machines::{Machines, finish};
use crate::config;
use crate::error::Result;
use crate::machine::Host;
use crate::machine::lifecycle::signal::Target;
use crate::machine::lifecycle::unit::each;

/// Send a signal to containers
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    machines: Machines,
    /// Name or number of the signal, such as SIGRTMIN+3
    #[arg(long, value_name = "SIGNAL", default_value = "SIGTERM")]
    signal: String,
    /// Receiver of the signal: the first process or all processes
    #[arg(long, default_value = "leader")]
    whom: Whom,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Whom {
    Leader,
    All,
}

pub fn run(host: &Host, args: &Args) -> Result<ExitCode> {
    let (machines, number) = (args.machines.choose(host)?, config::signal_number(&args.signal)?);
    let target = match args.whom {
        Whom::Leader => Target::Leader,
        Whom::All => Target::All,
    };
    Ok(finish(each(&machines, |machine| machine.kill(target, number))))
}
