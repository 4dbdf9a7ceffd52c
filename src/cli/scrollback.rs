//! The recorded output of a console, printed by `containerctl console --log`.
//!
//! A pipe or a file gets the bytes as they are. A terminal gets the text alone: a terminal answers some sequences by
//! typing, and here nobody but the user's shell would read that.

use std::io::{ErrorKind, IsTerminal, Write, stdout};

use super::output;
use crate::error::{Context, Result};
use crate::machine::inspect::scrollback::Lines;

/// Prints the recorded output.
pub fn print(content: &[u8]) -> Result<()> {
    if stdout().is_terminal() { output::print(&readable(content)) } else { write(content) }
}

fn readable(content: &[u8]) -> String {
    let mut lines = Lines::default();
    let mut all = lines.push(content);
    all.extend(lines.rest());
    all.iter()
        .map(|line| line.split('\t').map(output::escape).collect::<Vec<_>>().join("\t") + "\n")
        .collect()
}

fn write(content: &[u8]) -> Result<()> {
    match stdout().write_all(content).and_then(|()| stdout().flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result.context(|| "failed to write the scrollback"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_not_steered() {
        let shown = readable(b"\x1b[31mred\x1b[0m\ttab\r\n\x1b[6n\xe2\x80\xaeend");
        assert_eq!(shown, "red\ttab\n\\u{202e}end\n");
    }
}
