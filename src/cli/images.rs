//! `containerctl images`.

use super::{output, require_root};
use crate::error::Result;
use crate::machine::Host;

/// Let machinectl find the root file systems
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Create the image entry in /run/machines of every container and remove stale ones
    Link,
}

pub fn link(host: &Host) -> Result<()> {
    require_root("make links in /run/machines")?;
    output::warn(&host.link_images()?);
    Ok(())
}
