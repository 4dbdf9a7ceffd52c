//! The definition, key by key.

use crate::config::key::Effect;
use crate::error::Result;
use crate::machine::change::configuration::{self, Change, Draft, Key, Outcome};
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
    Ok(told(outcome))
}

/// `ReadDefinition`: the administrator's file, which need not be there yet, and what it holds.
pub fn read(root: &Root, name: &MachineName, (): ()) -> Result<(String, String)> {
    let Draft { path, text } = Draft::open(root, name)?;
    Ok((path.to_string_lossy().into_owned(), text))
}

/// `WriteDefinition`: another text in the place of the one that the caller has read.
pub fn write(
    root: &Root,
    name: &MachineName,
    (before, text): (String, String),
) -> Result<(Vec<Changed>, Vec<String>)> {
    let draft = Draft { text: before, ..Draft::open(root, name)? };
    draft.replace(root, name, &text).map(told)
}

fn told(outcome: Outcome) -> (Vec<Changed>, Vec<String>) {
    let changed = outcome.changed.into_iter().map(|one| (one.section, one.key, word(one.effect).to_string()));
    (changed.collect(), outcome.warnings)
}

fn word(effect: Effect) -> &'static str {
    match effect {
        Effect::Live => "live",
        Effect::Reload => "reload",
        Effect::Restart => "restart",
    }
}
