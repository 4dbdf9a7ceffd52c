//! Reports of what does not work: once in the journal, and kept in the unit's status and a file.

use std::fs;
use std::path::PathBuf;

use crate::systemd::notify;

/// The last report.
pub struct Health {
    path: PathBuf,
    said: Option<Vec<String>>,
}

impl Health {
    /// Nothing was said yet.
    pub fn new(path: PathBuf) -> Health {
        Health { path, said: None }
    }

    /// Whether all works, as far as was said.
    pub fn is_good(&self) -> bool {
        self.said.as_ref().is_some_and(Vec::is_empty)
    }

    /// Says what does not work, where that has changed.
    pub fn say(&mut self, problems: Vec<String>) {
        if self.said.as_ref() == Some(&problems) {
            return;
        }
        let before = self.said.replace(problems);
        let problems = self.said.iter().flatten();
        problems.clone().for_each(|problem| eprintln!("{problem}"));
        let status = match problems.clone().next() {
            Some(first) => first.as_str(),
            None => "all works",
        };
        if before.as_ref().is_some_and(|before| !before.is_empty()) && self.is_good() {
            eprintln!("{status}");
        }
        let text: String = problems.map(|problem| format!("{problem}\n")).collect();
        if let Err(error) = fs::write(&self.path, text) {
            eprintln!("failed to write '{}': {error}, ignoring", self.path.display());
        }
        match before {
            None => notify::ready(status),
            Some(_) => notify::status(status),
        }
    }
}
