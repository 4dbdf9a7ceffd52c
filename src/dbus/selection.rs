//! Which containers a method means that is about several: `Names` (as), `Groups` (as), `All` (b).

use super::options::Options;
use crate::error::{Error, Result};
use crate::machine::select::Selection;
use crate::name::MachineName;

/// Reads it. A wrong name fails before anything is done to the others.
pub fn parse(mut options: Options) -> Result<Selection> {
    let names: Vec<String> = options.take("Names")?.unwrap_or_default();
    let groups: Vec<String> = options.take("Groups")?.unwrap_or_default();
    let all = options.take("All")?.unwrap_or(false);
    options.refuse_rest()?;
    if names.is_empty() && groups.is_empty() && !all {
        return Err(Error::config("one of the options 'Names', 'Groups' and 'All' is needed"));
    }
    let names = names.iter().map(|name| MachineName::new(name)).collect::<Result<_>>()?;
    Ok(Selection { names, groups, all })
}
