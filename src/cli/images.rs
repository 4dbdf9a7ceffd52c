//! `containerctl images`.

use super::{output, require_root};
use crate::error::Result;
use crate::paths::Root;
use crate::storage::image_entry;

/// Let machinectl find the root file systems
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Create the image entry in /run/machines of every container and remove stale ones
    Link,
}

pub fn link(root: &Root) -> Result<()> {
    require_root("make links in /run/machines")?;
    output::warn(&image_entry::refresh(root)?);
    Ok(())
}
