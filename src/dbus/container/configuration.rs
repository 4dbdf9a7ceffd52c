//! The definition, key by key.

use crate::config::key::Effect;
use crate::error::Result;
use crate::machine::Machine;
use crate::machine::change::configuration::{Change, Draft, Key, Outcome};

/// `GetConfig`: the values of a key.
pub fn get(machine: &Machine, (key,): (String,)) -> Result<(Vec<String>,)> {
    machine.values(&Key::new(&key)?).map(|values| (values,))
}

/// Section, key and when its change takes effect.
type Changed = (String, String, String);

/// `SetConfig`: all changes or none.
pub fn set(
    machine: &Machine,
    (changes, unset): (Vec<String>, Vec<String>),
) -> Result<(Vec<Changed>, Vec<String>)> {
    let set = changes.iter().map(|text| Change::new(text));
    let unset = unset.iter().map(|text| Key::new(text).map(Change::Unset));
    let outcome = machine.change(&set.chain(unset).collect::<Result<Vec<_>>>()?)?;
    Ok(pack(outcome))
}

/// `ReadDefinition`: the administrator's file, which need not be there yet, and what it holds.
pub fn read(machine: &Machine, (): ()) -> Result<(String, String)> {
    let Draft { path, text } = machine.draft()?;
    Ok((path.to_string_lossy().into_owned(), text))
}

/// `WriteDefinition`: another text in the place of the one that the caller has read.
pub fn write(machine: &Machine, (before, text): (String, String)) -> Result<(Vec<Changed>, Vec<String>)> {
    let draft = Draft { text: before, ..machine.draft()? };
    draft.replace(machine, &text).map(pack)
}

fn pack(outcome: Outcome) -> (Vec<Changed>, Vec<String>) {
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
