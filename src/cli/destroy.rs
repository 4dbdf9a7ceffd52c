//! `containerctl destroy`.

use super::{Target, output, require_root};
use crate::error::Result;
use crate::machine::Host;
use crate::machine::change::destroy::IfRunning;
use crate::machine::operation::DESTROY;

#[derive(Debug, clap::Args)]
#[command(about = DESTROY.summary)]
pub struct Args {
    #[command(flatten)]
    machine: Target,
    #[arg(long, help = DESTROY.help("force"))]
    force: bool,
}

pub fn run(host: &Host, args: &Args) -> Result<()> {
    let name = args.machine.name()?;
    require_root("destroy a container")?;
    let if_running = if args.force { IfRunning::Stop } else { IfRunning::Refuse };
    output::warn(&host.destroy(&name, if_running)?);
    Ok(())
}
