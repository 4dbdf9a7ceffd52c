//! The hidden verb `unpack`: create's worker, which confines itself and runs tar.

use std::process::ExitCode;

use super::require_root;
use crate::error::Result;
use crate::image::tar::{self, Work};

/// Unpack standard input, confined
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    work: Work,
}

pub fn run(args: &Args) -> Result<ExitCode> {
    require_root("unpack a root file system")?;
    tar::unpack(&args.work).map(ExitCode::from)
}
