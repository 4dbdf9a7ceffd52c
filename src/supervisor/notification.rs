//! Notifications of the payload's PID 1 (sd_notify(3), and systemd's own `X_SYSTEMD_…` fields).
//!
//! Anybody inside can write to the socket. A message counts only if the kernel says that the leader sent it.

use std::os::fd::AsFd;

use nix::errno::Errno;

use crate::runtime::lines::is_control;
use crate::sys::scm;

/// A longer message is not one of ours; systemd itself takes as much.
const LIMIT: usize = 4096;
/// Messages that are taken before somebody else has a turn.
const AT_A_TIME: usize = 32;
/// A longer status is cut.
const STATUS_LIMIT: usize = 200;

/// The content of one message.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Notification {
    /// `READY=1`.
    pub ready: bool,
    /// `STATUS=`, made printable.
    pub status: Option<String>,
    /// `X_SYSTEMD_SIGNALS_LEVEL=2`: the real-time signals are taken (systemd 256).
    pub takes_signals: bool,
    /// `X_SYSTEMD_SHUTDOWN=`: reboot, poweroff, halt, … is under way.
    pub shutdown: Option<String>,
}

impl Notification {
    /// Reads the lines of a message; what is unknown is passed over.
    pub fn parse(message: &[u8]) -> Notification {
        let text = String::from_utf8_lossy(message);
        let mut notification = Notification::default();
        for (key, value) in text.lines().filter_map(|line| line.split_once('=')) {
            match key {
                "READY" => notification.ready |= value == "1",
                "STATUS" => notification.status = Some(printable(value)),
                "X_SYSTEMD_SIGNALS_LEVEL" => {
                    notification.takes_signals |= value.parse::<u32>().is_ok_and(|level| level >= 2);
                }
                "X_SYSTEMD_SHUTDOWN" => notification.shutdown = Some(printable(value)),
                _ => {}
            }
        }
        notification
    }
}

fn printable(text: &str) -> String {
    text.chars().filter(|c| !is_control(*c)).take(STATUS_LIMIT).collect()
}

/// New messages of the leader; messages of others are discarded. Takes a bounded number of messages at a time, since
/// whoever floods the socket must not keep us from everything else.
pub fn receive(socket: impl AsFd, leader: i32) -> Vec<Notification> {
    let mut notifications = Vec::new();
    for _ in 0..AT_A_TIME {
        let mut message = [0; LIMIT];
        match scm::receive_from(&socket, &mut message) {
            Ok((len, Some(sender))) if sender == leader => {
                notifications.push(Notification::parse(&message[..len]));
            }
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => break,
        }
    }
    notifications
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_fields_of_systemd_are_understood() {
        let message =
            b"X_SYSTEMD_SIGNALS_LEVEL=2\nREADY=1\nSTATUS=Up\x1b[31m.\nX_SYSTEMD_SHUTDOWN=reboot\nODD\n";
        let expected = Notification {
            ready: true,
            status: Some("Up[31m.".to_string()),
            takes_signals: true,
            shutdown: Some("reboot".to_string()),
        };
        assert_eq!(Notification::parse(message), expected);
    }

    #[test]
    fn a_flood_has_its_turn_and_no_more() {
        let dir = tempfile::tempdir().expect("tempdir");
        let socket = std::os::unix::net::UnixDatagram::bind(dir.path().join("notify")).expect("bind");
        socket.set_nonblocking(true).expect("flags");
        nix::sys::socket::setsockopt(&socket, nix::sys::socket::sockopt::PassCred, &true).expect("option");
        let writer = std::os::unix::net::UnixDatagram::unbound().expect("socket");
        writer.set_nonblocking(true).expect("flags");
        writer.connect(dir.path().join("notify")).expect("connect");
        let flood = || while writer.send(b"READY=1").is_ok() {};
        flood();
        let us = std::process::id() as i32;
        let heard = receive(&socket, us).len();
        assert!(heard > 0 && heard <= AT_A_TIME, "{heard}");
        while !receive(&socket, us).is_empty() {}
        flood();
        assert!(receive(&socket, us + 1).is_empty());
    }

    proptest! {
        #[test]
        fn no_message_panics_or_passes_control_characters_on(message in prop::collection::vec(any::<u8>(), 0..5000)) {
            let status = Notification::parse(&message).status.unwrap_or_default();
            prop_assert!(status.chars().count() <= STATUS_LIMIT && !status.chars().any(is_control));
        }
    }
}
