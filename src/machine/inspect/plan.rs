//! The plan of a start that is not made.

use crate::error::Result;
use crate::name::MachineName;
use crate::paths::Root;
use crate::preparation::{Purpose, prepare};
use crate::sandbox::plan::Plan;

/// Every operation of a start, and warnings about the definition.
pub fn plan(root: &Root, name: &MachineName) -> Result<(Plan, Vec<String>)> {
    let prepared = prepare(root, name, Purpose::Boot)?;
    Ok((prepared.plan, prepared.warnings))
}
