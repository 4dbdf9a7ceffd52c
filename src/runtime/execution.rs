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

/// What becomes of what the command writes to the root file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// It stays.
    Lasting,
    /// It goes with the container.
    Ephemeral,
}

impl Life {
    fn name(self) -> &'static str {
        match self {
            Life::Lasting => "lasting",
            Life::Ephemeral => "ephemeral",
        }
    }

    /// A first process of our own, in place of what the definition would boot.
    pub fn adapt(self, settings: &mut Settings) {
        settings.files.ephemeral = self == Life::Ephemeral;
        let exec = &mut settings.exec;
        (exec.own_init, exec.boot, exec.notify_ready) = (true, false, Readiness::Started);
        (exec.kill_signal, exec.working_directory) = (None, None);
        exec.parameters.clear();
        // Our own init runs no getty.
        settings.console.ttys = 0;
    }
}

impl FromStr for Life {
    type Err = ();

    fn from_str(text: &str) -> Result<Life, ()> {
        [Life::Lasting, Life::Ephemeral].into_iter().find(|life| life.name() == text).ok_or(())
    }
}

/// Whether a machine is being started for a command, and by somebody who is still there.
pub fn asked(root: &Root, name: &MachineName) -> Option<Life> {
    let text = std::fs::read_to_string(root.runtime_of(name).join(FILE)).ok()?;
    let [life, pid, start] = text.split_whitespace().collect::<Vec<_>>()[..] else { return None };
    let there = state::start_time(pid.parse().ok()?) == Some(start.parse().ok()?);
    life.parse().ok().filter(|_| there)
}

/// Writes the note, while nobody else is at the machine.
pub fn note(root: &Root, name: &MachineName, life: Life) -> Result<()> {
    let _alone = lock::take(root, name)?;
    state::refuse_running(root, name)?;
    let path = root.runtime_of(name).join(FILE);
    let pid = std::process::id() as i32;
    let start = state::start_time(pid).ok_or_else(|| Error::failed("failed to tell who we are"))?;
    std::fs::write(&path, format!("{} {pid} {start}", life.name()))
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
        for life in [Life::Lasting, Life::Ephemeral] {
            note(&root, &name, life).unwrap();
            assert_eq!(asked(&root, &name), Some(life));
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
        Life::Ephemeral.adapt(&mut settings);
        assert!(settings.exec.own_init && !settings.exec.boot && settings.exec.parameters.is_empty());
        assert!(settings.files.ephemeral);
    }
}
