//! What a console has shown: asked of the machine's supervisor, and emptied there.

use std::os::fd::AsFd;

use crate::error::{Error, Kind, Result};
use crate::name::MachineName;
use crate::runtime::control::{self, Answer, CHUNK, Request};
use crate::sys::scm;

pub use crate::runtime::control::Scrollback;

/// Asks the supervisor behind `connection`; what it sends.
pub fn fetch(name: &MachineName, connection: impl AsFd, wanted: Scrollback) -> Result<Vec<u8>> {
    hear(connection, wanted).ok_or_else(|| hung_up(name))
}

/// What the supervisor sends; `None` if it hangs up before it is done.
fn hear(connection: impl AsFd, wanted: Scrollback) -> Option<Vec<u8>> {
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
        assert_eq!(hear(&ours, Scrollback::Show), Some(Vec::new()));
        scm::send(&theirs, &control::encode(Answer::Output(b"half")), None).expect("sent");
        drop(theirs);
        assert_eq!(hear(&ours, Scrollback::Show), None);
    }
}
