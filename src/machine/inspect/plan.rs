//! The operations of a start, without doing them.

use crate::error::Result;
use crate::machine::Machine;
use crate::preparation::{Purpose, prepare};
use crate::sandbox::plan::Plan;

impl Machine {
    /// Every operation of a start, and warnings about the definition.
    pub fn plan(&self) -> Result<(Plan, Vec<String>)> {
        let prepared = prepare(self.root(), &self.name, Purpose::Boot)?;
        Ok((prepared.plan, prepared.warnings))
    }
}
