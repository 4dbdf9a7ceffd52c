//! Network interfaces of the host: moved into the machine's network namespace, and had back under their old names
//! when they are taken back or the machine ends.

use super::{Given, Keep, define, kept, not_given, require_running};
use crate::config::network::IfName;
use crate::error::{Error, Result};
use crate::machine::change::configuration::{self, Key};
use crate::machine::change::network;
use crate::name::MachineName;
use crate::network::moved::{self, Moved};
use crate::paths::Root;

/// An interface, and what the machine calls it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// On the host.
    pub device: IfName,
    /// Inside, where that was said.
    pub inside: Option<IfName>,
}

impl Request {
    /// Checks what was asked for.
    pub fn new(device: &str, inside: Option<&str>) -> Result<Request> {
        let checked = |name: &str| {
            IfName::new(name).ok_or_else(|| {
                Error::config(format!("'{}' is not the name of an interface", name.escape_debug()))
                    .hint("name one of 'ip link', or a device node, such as /dev/fuse")
            })
        };
        Ok(Request { device: checked(device)?, inside: inside.map(checked).transpose()? })
    }

    fn inside(&self) -> &IfName {
        self.inside.as_ref().unwrap_or(&self.device)
    }

    /// `HOST[:INSIDE]`, as [`key`] has it.
    fn word(&self) -> String {
        match &self.inside {
            Some(inside) if *inside != self.device => format!("{}:{inside}", self.device),
            _ => self.device.to_string(),
        }
    }

    fn is(&self, moved: &Moved) -> bool {
        moved.was == self.device && self.inside.as_ref().is_none_or(|inside| moved.inside == *inside)
    }
}

/// What the machine was moved.
pub fn list(root: &Root, name: &MachineName) -> Vec<Given> {
    let given = moved::list(root, name).into_iter();
    given
        .map(|one| Given { device: one.was.to_string(), access: None, inside: Some(one.inside.to_string()) })
        .collect()
}

/// Moves it in.
pub fn add(root: &Root, name: &MachineName, request: &Request, keep: Keep) -> Result<Vec<String>> {
    let running = require_running(root, name);
    if keep == Keep::UntilStop || running.is_ok() {
        running?;
        network::hand_over(root, name, &request.device, request.inside())?;
    }
    if keep == Keep::UntilStop {
        return Ok(Vec::new());
    }
    let mut words = words(root, name)?;
    words.retain(|word| host_of(word) != request.device.as_str());
    words.push(request.word());
    write(root, name, &words)
}

/// Has it back.
pub fn remove(root: &Root, name: &MachineName, request: &Request, keep: Keep) -> Result<Vec<String>> {
    let before = if keep == Keep::Persistent { words(root, name)? } else { Vec::new() };
    let mut rest = before.clone();
    rest.retain(|word| host_of(word) != request.device.as_str());
    match require_running(root, name) {
        Err(_) if rest.len() < before.len() => {}
        running => {
            running?;
            let given = moved::list(root, name).into_iter().find(|moved| request.is(moved));
            let given = given.ok_or_else(|| not_given(name, request.device.as_str()))?;
            network::detach(root, name, given.inside.as_str())?;
        }
    }
    if rest.len() < before.len() { write(root, name, &rest) } else { Ok(Vec::new()) }
}

/// nspawn's word for it.
fn key() -> Key {
    Key { section: "Network".to_string(), name: "Interface".to_string() }
}

/// Each `HOST[:INSIDE]` of the definition.
fn words(root: &Root, name: &MachineName) -> Result<Vec<String>> {
    let values = kept(root, name, &key())?;
    Ok(values.iter().flat_map(|value| value.split_whitespace()).map(str::to_string).collect())
}

fn host_of(word: &str) -> &str {
    word.split(':').next().unwrap_or_default()
}

/// The link that there is as long as nothing is said of any stays.
fn write(root: &Root, name: &MachineName, words: &[String]) -> Result<Vec<String>> {
    let mut changes = Vec::new();
    if !words.is_empty() {
        changes.extend(network::keep_usual(root, name)?);
    }
    changes.extend(define(&key(), words));
    Ok(configuration::change(root, name, &changes)?.warnings)
}
