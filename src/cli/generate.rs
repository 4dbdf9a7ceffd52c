//! `containerctl generate`.

use super::output;
use crate::error::Result;
use crate::generator;
use crate::paths::Root;

/// Show the unit files generated from the definitions
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print instead of writing. Required: only 'systemctl daemon-reload' writes the files
    #[arg(long, required = true)]
    dry_run: bool,
}

pub fn run(root: &Root, _args: &Args) -> Result<()> {
    output::print(&generator::dry_run(root)?)
}
