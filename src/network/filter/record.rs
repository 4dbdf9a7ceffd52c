//! Rules that were added for a machine, in its run-time directory: a line for each addition, of which the last one of
//! a name counts. By it all goes when the machine ends, whoever dies, and comes back when somebody has flushed the
//! whole rule set.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::hook;
use crate::config::network::IfName;
use crate::error::{Context, Result};
use crate::name::MachineName;
use crate::paths::Root;

/// Below a machine's run-time directory.
const FILE: &str = "nft";

/// One thing of a machine's in the filter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// Name: `link eth0`, `rate eth0`, `port tcp:80`.
    pub what: String,
    /// The script that adds them; nothing where they were taken back.
    pub add: String,
    /// The script that takes them back, be they there or not.
    pub undo: String,
    /// The port whose device they are hooked to, once it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
}

impl Rules {
    /// The script that adds them where the port is there.
    fn complete(&self) -> String {
        let port = self.port.as_deref().and_then(IfName::new);
        format!("{}{}", self.add, port.as_ref().map(hook::script).unwrap_or_default())
    }
}

fn path(root: &Root, machine: &MachineName) -> PathBuf {
    root.runtime_of(machine).join(FILE)
}

/// Remembers what is about to be added, or has been taken back.
pub fn remember(root: &Root, machine: &MachineName, rules: &[Rules]) -> Result<()> {
    let path = path(root, machine);
    let mut text = String::new();
    for rules in rules {
        let line = serde_json::to_string(rules);
        text +=
            &line.map_err(|error| crate::error::Error::failed(format!("failed to write rules: {error}")))?;
        text.push('\n');
    }
    let written = OpenOptions::new().create(true).append(true).open(&path);
    written
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .context(|| format!("failed to write '{}'", path.display()))
}

/// All that was ever remembered of a machine, oldest first.
fn read(root: &Root, machine: &MachineName) -> Result<Vec<Rules>> {
    let path = path(root, machine);
    let text = match fs::read_to_string(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        text => text.context(|| format!("failed to read '{}'", path.display()))?,
    };
    // A line that is none was cut short by a power cut of its writer's, which then added nothing.
    Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

/// The script that adds what a machine is to have now.
pub fn added(root: &Root, machine: &MachineName) -> Result<String> {
    let read = read(root, machine)?;
    // In the order of their names: a link comes before its rate.
    let last: BTreeMap<&str, String> =
        read.iter().map(|rules| (rules.what.as_str(), rules.complete())).collect();
    Ok(last.into_values().collect())
}

/// The script that takes back all that was ever added for a machine, or of it what is `meant`; each line once, since
/// twice the same would be one too many for chains.
pub fn undoing(root: &Root, machine: &MachineName, meant: impl Fn(&str) -> bool) -> Result<String> {
    let (read, mut script) = (read(root, machine)?, String::new());
    for line in read.iter().filter(|rules| meant(&rules.what)).flat_map(|rules| rules.undo.lines()) {
        if !script.lines().any(|known| known == line) {
            script += &format!("{line}\n");
        }
    }
    Ok(script)
}

/// Forgets a machine.
pub fn forget(root: &Root, machine: &MachineName) -> Result<()> {
    let path = path(root, machine);
    match fs::remove_file(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        result => result.context(|| format!("failed to remove '{}'", path.display())),
    }
}

/// The machines of which something is remembered.
pub fn machines(root: &Root) -> Vec<MachineName> {
    let entries = fs::read_dir(root.runtime()).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| MachineName::new(entry.file_name().to_str()?).ok());
    let mut machines: Vec<MachineName> = names.filter(|machine| path(root, machine).exists()).collect();
    machines.sort();
    machines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_counts_and_all_of_them_are_taken_back() {
        let dir = tempfile::tempdir().expect("tempdir");
        let (root, machine) = (Root::at(dir.path()), MachineName::new("p1").expect("valid"));
        fs::create_dir_all(root.runtime_of(&machine)).expect("mkdir");
        assert!(machines(&root).is_empty() && undoing(&root, &machine, |_| true).expect("read").is_empty());
        let rules = |what: &str, add: &str, undo: &str| Rules {
            what: what.into(),
            add: format!("{add}\n"),
            undo: format!("{undo}\n"),
            port: None,
        };
        let first =
            [rules("rate eth0", "c", "-c"), rules("link eth0", "a", "-a"), rules("port 1", "b", "-b")];
        remember(&root, &machine, &first).expect("written");
        remember(&root, &machine, &[rules("port 1", "d", "-b")]).expect("written");
        assert_eq!(added(&root, &machine).expect("read"), "a\nd\nc\n");
        let gone = Rules { what: "link eth0".into(), ..Rules::default() };
        remember(&root, &machine, &[gone]).expect("written");
        assert_eq!(added(&root, &machine).expect("read"), "d\nc\n");
        assert_eq!(undoing(&root, &machine, |_| true).expect("read"), "-c\n-a\n-b\n");
        assert_eq!(undoing(&root, &machine, |what| what == "port 1").expect("read"), "-b\n");
        assert_eq!(machines(&root), std::slice::from_ref(&machine));
        forget(&root, &machine).expect("removed");
        assert!(forget(&root, &machine).is_ok() && machines(&root).is_empty());
    }
}
