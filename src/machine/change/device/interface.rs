//! Network interfaces of the host: moved into the container's network namespace, and moved back under their old names
//! when they are removed or the container ends.

use super::{Given, Keep, define, kept, not_given, require_running};
use crate::config::network::IfName;
use crate::error::{Error, Result};
use crate::machine::Machine;
use crate::machine::change::configuration::Key;
use crate::network::moved::{self, Moved};

/// An interface, and its name inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The interface's name on the host.
    pub device: IfName,
    /// The interface's name inside; by default that on the host.
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

/// The interfaces that the container was given.
pub fn list(machine: &Machine) -> Vec<Given> {
    let given = moved::list(machine.root(), &machine.name).into_iter();
    given
        .map(|one| Given { device: one.was.to_string(), access: None, inside: Some(one.inside.to_string()) })
        .collect()
}

/// Moves the interface into the container.
pub fn add(machine: &Machine, request: &Request, keep: Keep) -> Result<Vec<String>> {
    let running = require_running(machine);
    if keep == Keep::UntilStop || running.is_ok() {
        running?;
        machine.hand_over(&request.device, request.inside())?;
    }
    if keep == Keep::UntilStop {
        return Ok(Vec::new());
    }
    let mut words = words(machine)?;
    words.retain(|word| host_of(word) != request.device.as_str());
    words.push(request.word());
    write(machine, &words)
}

/// Moves the interface back to the host.
pub fn remove(machine: &Machine, request: &Request, keep: Keep) -> Result<Vec<String>> {
    let before = if keep == Keep::Persistent { words(machine)? } else { Vec::new() };
    let mut rest = before.clone();
    rest.retain(|word| host_of(word) != request.device.as_str());
    match require_running(machine) {
        Err(_) if rest.len() < before.len() => {}
        running => {
            running?;
            let given =
                moved::list(machine.root(), &machine.name).into_iter().find(|moved| request.is(moved));
            let given = given.ok_or_else(|| not_given(&machine.name, request.device.as_str()))?;
            machine.detach_link(given.inside.as_str())?;
        }
    }
    if rest.len() < before.len() { write(machine, &rest) } else { Ok(Vec::new()) }
}

/// The key by which a definition gives interfaces, as in systemd.nspawn(5).
fn key() -> Key {
    Key { section: "Network".to_string(), name: "Interface".to_string() }
}

/// Each `HOST[:INSIDE]` of the definition.
fn words(machine: &Machine) -> Result<Vec<String>> {
    let values = kept(machine, &key())?;
    Ok(values.iter().flat_map(|value| value.split_whitespace()).map(str::to_string).collect())
}

fn host_of(word: &str) -> &str {
    word.split(':').next().unwrap_or_default()
}

/// Writes the key. The default link stays, although a definition with links has none.
fn write(machine: &Machine, words: &[String]) -> Result<Vec<String>> {
    let mut changes = Vec::new();
    if !words.is_empty() {
        changes.extend(machine.keep_usual()?);
    }
    changes.extend(define(&key(), words));
    Ok(machine.change(&changes)?.warnings)
}
