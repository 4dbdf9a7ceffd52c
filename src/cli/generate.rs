//! `containerctl generate`.

use super::output;
use crate::error::Result;
use crate::generator;
use crate::paths::Root;

/// Show the unit files that follow from the definitions
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Write nothing. Required: it is 'systemctl daemon-reload' that writes the files
    #[arg(long, required = true)]
    dry_run: bool,
}

pub fn run(root: &Root, _args: &Args) -> Result<()> {
    output::print(&generator::dry_run(root)?)
}
