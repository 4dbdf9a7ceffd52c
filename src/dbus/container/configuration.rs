//! The definition, key by key.

use crate::config::key::Effect;
use crate::error::Result;
use crate::machine::configuration::{self, Change, Key};
use crate::name::MachineName;
use crate::paths::Root;

/// `GetConfig`: the values of a key.
pub fn get(root: &Root, name: &MachineName, (key,): (String,)) -> Result<(Vec<String>,)> {
    configuration::get(root, name, &Key::new(&key)?).map(|values| (values,))
}

/// Section, key and when its change takes effect.
type Changed = (String, String, String);

/// `SetConfig`: all changes or none.
pub fn set(
    root: &Root,
    name: &MachineName,
    (changes, unset): (Vec<String>, Vec<String>),
) -> Result<(Vec<Changed>, Vec<String>)> {
    let set = changes.iter().map(|text| Change::new(text));
    let unset = unset.iter().map(|text| Key::new(text).map(Change::Unset));
    let outcome = configuration::change(root, name, &set.chain(unset).collect::<Result<Vec<_>>>()?)?;
    let changed = outcome.changed.into_iter().map(|one| (one.section, one.key, word(one.effect).to_string()));
    Ok((changed.collect(), outcome.warnings))
}

fn word(effect: Effect) -> &'static str {
    match effect {
        Effect::Live => "live",
        Effect::Reload => "reload",
        Effect::Restart => "restart",
    }
}
