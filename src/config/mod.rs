//! Definitions: INI files read in three stages, fragment → merged → [`settings::Settings`].
//!
//! `fragment` reads one file, `merge` finds which files count, [`directives`] is the one table of keys by which
//! [`load`] turns them into settings. Below them: parsers of values, which know no keys.

/// The one table of keys.
pub mod directives;
/// Changes to a definition's text that keep the rest of it.
pub mod edit;
/// One key: who may set it.
pub mod key;
/// `[Network]` and `[Interface NAME]`.
pub mod network;
/// In what order containers start.
pub mod order;
/// Values of `[Resources]`.
pub mod resources;
/// The typed end.
pub mod settings;
/// Numbers of terminals.
pub mod tty;
/// Keys that are systemd's own.
pub mod verbatim;

mod capability;
mod definition;
mod fragment;
mod lines;
mod merge;
mod mounts;
mod quantity;
mod signal;
mod values;
mod words;

pub(crate) use fragment::{text as read_text, text_of};

use crate::error::{Error, Result};

/// The number of a signal, as a definition or a command line names it.
pub fn signal_number(text: &str) -> Result<i32> {
    signal::signal(text).map_err(|wrong| Error::config(wrong.why))
}

pub use definition::{Assigned, Definition, Diagnostic, load, load_with, parse};
pub use merge::{Sources, Survey, names};
