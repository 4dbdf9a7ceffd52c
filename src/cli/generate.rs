//! `containerctl generate`.

use super::output;
use crate::error::Result;
use crate::generator;
use crate::paths::Root;

/// Show the units that the definitions make
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print the files and write none, which is all that this verb does: 'systemctl daemon-reload' writes them
    #[arg(long, required = true)]
    dry_run: bool,
}

pub fn run(root: &Root, _args: &Args) -> Result<()> {
    output::print(&generator::dry_run(root)?)
}
