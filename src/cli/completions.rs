//! The hidden verb `completions`: one file for each shell.

use std::path::PathBuf;

use clap_complete::Shell;

use crate::error::{Context, Result};

/// Write shell completions
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Directory to write to
    directory: PathBuf,
}

pub fn run(args: &Args) -> Result<()> {
    for shell in [Shell::Bash, Shell::Fish, Shell::Zsh] {
        clap_complete::generate_to(shell, &mut super::command(), "containerctl", &args.directory)
            .context(|| format!("failed to write completions to '{}'", args.directory.display()))?;
    }
    Ok(())
}
