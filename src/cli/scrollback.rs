//! What `containerctl console` does with the scrollback when it does not attach: shows it, empties it, or both.
//!
//! A pipe or a file gets the bytes as they are. A terminal gets the text alone: a terminal answers some sequences by
//! typing, and here nobody but the user's shell would read that.

use std::io::{ErrorKind, IsTerminal, Write, stdout};
use std::os::fd::AsFd;

use super::output;
use crate::error::{Context, Error, Kind, Result};
use crate::name::MachineName;
use crate::supervisor::console::lines::Lines;
use crate::supervisor::control::{self, Answer, CHUNK, Request, Scrollback};
use crate::sys::scm;

/// Asks the supervisor behind `connection`, and prints what it sends.
pub fn ask(name: &MachineName, connection: impl AsFd, wanted: Scrollback) -> Result<()> {
    let content = fetch(&connection, wanted).ok_or_else(|| hung_up(name))?;
    if stdout().is_terminal() { output::print(&readable(&content)) } else { write(&content) }
}

/// What the supervisor sends; `None` if it hangs up before it is done.
fn fetch(connection: impl AsFd, wanted: Scrollback) -> Option<Vec<u8>> {
    scm::send(&connection, &control::encode_request(&Request::Scrollback(wanted)), None).ok()?;
    let (mut content, mut message) = (Vec::new(), [0; CHUNK + 1]);
    loop {
        let (len, _) = scm::receive(&connection, &mut message).ok()?;
        match control::decode(&message[..len])? {
            Answer::Output(bytes) => content.extend_from_slice(bytes),
            Answer::Done => return Some(content),
            Answer::Ended => return None,
        }
    }
}

fn hung_up(name: &MachineName) -> Error {
    let error = format!("the supervisor of '{name}' hung up: it ends, or is older than this program");
    Error::new(Kind::Unsupported, error).hint(format!(
        "'systemctl reload container@{name}' brings the installed one into use, and the container goes on"
    ))
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

    #[test]
    fn a_supervisor_that_hangs_up_is_told_from_an_empty_scrollback() {
        let (ours, theirs) = scm::pair().expect("pair");
        scm::send(&theirs, &control::encode(Answer::Done), None).expect("sent");
        assert_eq!(fetch(&ours, Scrollback::Show), Some(Vec::new()));
        scm::send(&theirs, &control::encode(Answer::Output(b"half")), None).expect("sent");
        drop(theirs);
        assert_eq!(fetch(&ours, Scrollback::Show), None);
    }
}
