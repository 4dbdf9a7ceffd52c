//! The numbers of a container's terminals beside its console.

use std::fmt;

/// As many as a machine has (`MAX_NR_CONSOLES` of the kernel).
pub const MOST: u8 = 63;

/// One of the terminals, from 1 to [`MOST`]; shown as `tty1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tty(u8);

impl Tty {
    /// The one of this number, if there may be one.
    pub fn new(number: u8) -> Option<Tty> {
        (1..=MOST).contains(&number).then_some(Tty(number))
    }

    /// The first `count`.
    pub fn first(count: u8) -> impl Iterator<Item = Tty> {
        (1..=count.min(MOST)).map(Tty)
    }

    /// The number of the terminal.
    pub fn number(self) -> u8 {
        self.0
    }
}

/// Names of `count` terminals, for messages.
pub fn names(count: u8) -> String {
    match count {
        0 => "none".to_string(),
        1 => "tty1".to_string(),
        last => format!("tty1 to tty{last}"),
    }
}

impl fmt::Display for Tty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tty{}", self.0)
    }
}
