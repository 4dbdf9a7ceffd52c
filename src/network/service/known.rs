//! The table of leases, as the containers' side last wrote it.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use crate::error::Result;
use crate::network::managed::leases::Table;
use crate::network::names::Hosts;

/// The table and the names that follow from it.
pub struct Known {
    path: PathBuf,
    stamp: Option<(u64, i64, i64)>,
    /// The table; `None` where there is none that can be read.
    pub table: Option<Table>,
    /// The names in it.
    pub hosts: Hosts,
}

impl Known {
    /// Knows nothing before the first [`Known::refresh`].
    pub fn new(path: PathBuf) -> Known {
        Known { path, stamp: None, table: None, hosts: Hosts::default() }
    }

    /// Reads the file where another one has taken its place. What cannot be read leaves what was known.
    pub fn refresh(&mut self) -> Result<()> {
        let of = |found: Metadata| (found.ino(), found.mtime(), found.mtime_nsec());
        let stamp = fs::metadata(&self.path).ok().map(of);
        if stamp == self.stamp {
            return Ok(());
        }
        let table = Table::read(&self.path)?;
        self.stamp = stamp;
        self.hosts = table.as_ref().map(Hosts::of).unwrap_or_default();
        self.table = table;
        Ok(())
    }
}
