//! `containerctl rename`.

use super::{Target, output, require_root};
use crate::error::Result;
use crate::machine::Host;
use crate::machine::operation::RENAME;
use crate::name::MachineName;

#[derive(Debug, clap::Args)]
#[command(about = RENAME.summary)]
pub struct Args {
    #[command(flatten)]
    machine: Target,
    #[arg(value_name = "NEW", help = RENAME.help("new"))]
    new: String,
}

pub fn run(host: &Host, args: &Args) -> Result<()> {
    let (old, new) = (args.machine.name()?, MachineName::new(&args.new)?);
    require_root("rename a container")?;
    output::warn(&host.machine(&old)?.rename(&new)?);
    Ok(())
}
