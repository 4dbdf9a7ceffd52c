//! What a start would do, and nothing done.

use crate::error::Result;
use crate::image::defaults;
use crate::name::MachineName;
use crate::paths::Root;
use crate::sandbox::lsm;
use crate::sandbox::plan::{self, Plan};
use crate::sandbox::survey::survey;
use crate::storage::ids;

/// Every operation of a start, and warnings about the definition.
pub fn plan(root: &Root, name: &MachineName) -> Result<(Plan, Vec<String>)> {
    let definition = defaults::load(root, name)?;
    let facts = survey(root, name, &definition, || ids::would_be(root, name))?;
    lsm::check(&definition, &facts.lsm)?;
    let warnings = definition.warnings.iter().map(ToString::to_string).collect();
    Ok((plan::plan(&definition.settings, &facts), warnings))
}
