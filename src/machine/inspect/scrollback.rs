//! The recorded output of a console: the supervisor sends it, and empties it.

use std::os::fd::AsFd;

use crate::error::{Error, Kind, Result};
use crate::machine::Machine;
use crate::name::MachineName;
use crate::runtime::control::{self, Answer, CHUNK, Request};
use crate::sys::scm;

pub use crate::runtime::control::Scrollback;
pub use crate::runtime::lines::Lines;

impl Machine {
    /// The recorded output of the console, as its supervisor sends it; emptied there, if that is wanted.
    pub fn scrollback(&self, wanted: Scrollback) -> Result<Vec<u8>> {
        receive(self.console(None)?, wanted).ok_or_else(|| hung_up(&self.name))
    }
}

/// The content that the supervisor sends; `None` if it hangs up before the end.
fn receive(connection: impl AsFd, wanted: Scrollback) -> Option<Vec<u8>> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_supervisor_that_hangs_up_is_told_from_an_empty_scrollback() {
        let (ours, theirs) = scm::pair().expect("pair");
        scm::send(&theirs, &control::encode(Answer::Done), None).expect("sent");
        assert_eq!(receive(&ours, Scrollback::Show), Some(Vec::new()));
        scm::send(&theirs, &control::encode(Answer::Output(b"half")), None).expect("sent");
        drop(theirs);
        assert_eq!(receive(&ours, Scrollback::Show), None);
    }
}
