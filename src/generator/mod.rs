//! Definitions → unit files, as a systemd.generator(7).
//!
//! ```text
//! definitions ─ generate ─> Output { tree, messages } ─ write ─> NORMAL directory
//!                                                     └ dry_run ─> text
//! ```
//! [`generate`] reads below one root and does nothing else: no bus, no process, no guess at what runs. The
//! template is a packaged unit; what is written here are drop-ins and symlinks, so `systemctl enable` works and
//! the administrator's own drop-ins win.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;

use crate::config::order::Order;
use crate::config::{self, Definition, Sources, Survey};
use crate::error::Result;
use crate::name::MachineName;
use crate::paths::Root;

/// The generator's log.
pub mod kernlog;
/// The program: arguments and environment as systemd gives them.
pub mod program;

mod links;
mod units;
mod write;

pub use write::write;

/// Files and links to write, by path relative to the output directory.
pub type Tree = BTreeMap<PathBuf, Entry>;

/// One thing to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A file with this content.
    File(String),
    /// A symlink to this target.
    Link(PathBuf),
}

/// The result of [`generate`].
#[derive(Debug, Default)]
pub struct Output {
    /// Files and links to write.
    pub tree: Tree,
    /// Messages to log.
    pub messages: Vec<(log::Level, String)>,
}

/// Makes the units of all definitions. Fails only if the directories of definitions cannot be listed.
pub fn generate(root: &Root) -> Result<Output> {
    let survey = Survey::of(root)?;
    let mut output = Output::default();
    for path in survey.misnamed {
        output.warn(format!("'{}' is ignored: its name is no container's", path.display()));
    }
    let definitions: Vec<_> = survey.names.iter().map(|name| (name, config::load(root, name))).collect();
    let known = definitions
        .iter()
        .filter_map(|(name, definition)| Some(((*name).clone(), definition.as_ref().ok()?.settings.clone())));
    let order = Order::of(root, &known.collect());
    for (name, definition) in definitions {
        output.machine(root, name, definition, &order);
    }
    Ok(output)
}

/// The files and messages of [`write`], as text for a person.
pub fn dry_run(root: &Root) -> Result<String> {
    let output = generate(root)?;
    let mut text = String::new();
    for (level, message) in &output.messages {
        writeln!(text, "# {}: {message}", level.as_str().to_ascii_lowercase()).ok();
    }
    for (path, entry) in &output.tree {
        match entry {
            Entry::File(content) => writeln!(text, "--- {} ---\n{content}", path.display()).ok(),
            Entry::Link(target) => writeln!(text, "--- {} -> {} ---", path.display(), target.display()).ok(),
        };
    }
    Ok(text)
}

impl Output {
    /// A broken definition still has its slice and its alias: starting the unit then says what is wrong.
    fn machine(&mut self, root: &Root, name: &MachineName, definition: Result<Definition>, order: &Order) {
        let source = Sources::find(root, name).ok().map(|sources| root.host_path(&sources.main));
        let settings = match definition {
            Ok(definition) => {
                definition.warnings.iter().for_each(|warning| self.warn(warning.to_string()));
                Some(definition.settings)
            }
            Err(error) => {
                self.messages.push((log::Level::Error, error.to_string()));
                None
            }
        };
        let drop_ins = units::drop_ins(root, name, source.as_deref(), settings.as_ref(), order);
        self.tree.extend(drop_ins.into_iter().map(|(path, text)| (path, Entry::File(text))));
        let install = settings.as_ref().map(|settings| links::install(name, settings)).unwrap_or_default();
        self.tree.extend(install);
        let alias = self.alias(root, name);
        self.tree.extend(alias);
    }

    fn alias(&mut self, root: &Root, name: &MachineName) -> Option<(PathBuf, Entry)> {
        match links::owned_by_nspawn(root, name) {
            None => Some(links::alias(name)),
            Some(path) => {
                let path = root.host_path(&path);
                self.warn(format!(
                    "'{}' exists: machinectl start {name} is left to systemd-nspawn",
                    path.display()
                ));
                None
            }
        }
    }

    fn warn(&mut self, message: String) {
        self.messages.push((log::Level::Warn, message));
    }
}
