//! The note `execute` in a container's run-time directory: the next start is for one command.
//!
//! Whoever executes a command writes it before the start; the supervisor reads it and boots our own init in place of the
//! tree's. It is valid as long as its writer lives.

use std::str::FromStr;

use crate::config::settings::{Readiness, Settings};
use crate::error::{Context, Error, Result};
use crate::name::MachineName;
use crate::paths::Root;
use crate::runtime::{lock, state};

/// Below the run-time directory of a container.
pub const FILE: &str = "execute";

/// Changes that the commands of an execution make to the root file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changes {
    /// Stay on disk.
    Kept,
    /// Are discarded when the container ends.
    Discarded,
}

impl Changes {
    /// From whether the container is to be ephemeral.
    pub fn when_ephemeral(ephemeral: bool) -> Changes {
        if ephemeral { Changes::Discarded } else { Changes::Kept }
    }

    fn name(self) -> &'static str {
        match self {
            Changes::Kept => "lasting",
            Changes::Discarded => "ephemeral",
        }
    }

    /// Replaces what the definition would boot by an init of our own.
    pub fn adapt(self, settings: &mut Settings) {
        settings.files.ephemeral = self == Changes::Discarded;
        let exec = &mut settings.exec;
        (exec.own_init, exec.boot, exec.notify_ready) = (true, false, Readiness::Started);
        (exec.kill_signal, exec.working_directory) = (None, None);
        exec.parameters.clear();
        // Our own init runs no getty.
        settings.console.ttys = 0;
    }
}

impl FromStr for Changes {
    type Err = ();

    fn from_str(text: &str) -> Result<Changes, ()> {
        [Changes::Kept, Changes::Discarded].into_iter().find(|changes| changes.name() == text).ok_or(())
    }
}

/// The note of an execution that starts the machine, if its writer still lives.
pub fn asked(root: &Root, name: &MachineName) -> Option<Changes> {
    let text = std::fs::read_to_string(root.runtime_of(name).join(FILE)).ok()?;
    let [changes, pid, start] = text.split_whitespace().collect::<Vec<_>>()[..] else { return None };
    let alive = state::start_time(pid.parse().ok()?) == Some(start.parse().ok()?);
    changes.parse().ok().filter(|_| alive)
}

/// Writes the note. Refused while the machine is locked or runs.
pub fn note(root: &Root, name: &MachineName, changes: Changes) -> Result<()> {
    let _lock = lock::take(root, name)?;
    state::refuse_running(root, name)?;
    let path = root.runtime_of(name).join(FILE);
    let pid = std::process::id() as i32;
    let start = state::start_time(pid).ok_or_else(|| Error::failed("failed to read our own start time"))?;
    std::fs::write(&path, format!("{} {pid} {start}", changes.name()))
        .context(|| format!("failed to write '{}'", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_counts_as_long_as_its_writer_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let (root, name) = (Root::at(dir.path()), MachineName::new("p1").unwrap());
        assert_eq!(asked(&root, &name), None);
        for changes in [Changes::Kept, Changes::Discarded] {
            note(&root, &name, changes).unwrap();
            assert_eq!(asked(&root, &name), Some(changes));
        }
        for text in ["", "lasting", "lasting 1 2", "lasting x y", "else 1 1"] {
            std::fs::write(root.runtime_of(&name).join(FILE), text).unwrap();
            assert_eq!(asked(&root, &name), None, "{text}");
        }
    }

    #[test]
    fn nothing_of_what_the_definition_boots_is_left() {
        let mut settings = Settings::default();
        settings.exec.parameters = vec!["--boot".to_string()];
        Changes::Discarded.adapt(&mut settings);
        assert!(settings.exec.own_init && !settings.exec.boot && settings.exec.parameters.is_empty());
        assert!(settings.files.ephemeral);
    }
}
