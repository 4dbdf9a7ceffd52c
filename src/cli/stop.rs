//! `containerctl stop`.

use std::process::ExitCode;
use std::time::Duration;

use super::machines::{Machines, finish};
use super::{output, progress};
use crate::error::Result;
use crate::machine::Host;
use crate::machine::lifecycle::unit::{Done, Stop, Stopped};
use crate::machine::operation::STOP;

#[derive(Debug, clap::Args)]
#[command(about = STOP.summary)]
pub struct Args {
    #[command(flatten)]
    machines: Machines,
    #[arg(long, value_name = "SECONDS", help = STOP.help("timeout"))]
    timeout: Option<u32>,
    #[arg(long, conflicts_with = "timeout", help = STOP.help("kill"))]
    kill: bool,
    #[arg(long, conflicts_with_all = ["timeout", "kill"], help = STOP.help("no_wait"))]
    no_wait: bool,
}

pub fn run(host: &Host, args: &Args) -> Result<ExitCode> {
    let machines = args.machines.choose(host)?;
    if args.no_wait {
        return host.request_stop(&machines).map(finish);
    }
    let how = match (args.kill, args.timeout) {
        (true, _) => Stop::Kill,
        (false, Some(seconds)) => Stop::AskFor(Duration::from_secs(seconds.into())),
        (false, None) => Stop::Ask,
    };
    let done = progress::show(host, |host| host.stop(&machines, how))?;
    output::warn(&done.iter().filter_map(was_killed).collect::<Vec<_>>());
    Ok(finish(done))
}

fn was_killed(done: &Done<Stopped>) -> Option<String> {
    let killed = matches!(done.result, Ok(Stopped::Killed));
    killed.then(|| format!("container '{}' did not shut down in time and was killed", done.name))
}
