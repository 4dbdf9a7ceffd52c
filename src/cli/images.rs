//! `containerctl images`.

use super::{output, require_root};
use crate::error::Result;
use crate::machine::links;
use crate::paths::Root;

/// Show root file systems to machinectl
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Make the links in /run/machines of all containers, and remove stale ones
    Link,
}

pub fn link(root: &Root) -> Result<()> {
    require_root("make links in /run/machines")?;
    output::warn(&links::refresh(root)?);
    Ok(())
}
