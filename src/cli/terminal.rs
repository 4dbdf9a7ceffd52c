//! The user's own terminal while somebody else writes to it: raw, and put in order again at the end.

use std::io::{IsTerminal, Write, stdin, stdout};

use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};

use crate::error::{Context, Result};

/// Resets modes that a program may have left set: colours, a hidden cursor, mouse reports, bracketed paste.
const RESET: &[u8] = b"\x1b[0m\x1b[?25h\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?2004l";
/// Leaves the alternate screen. Only where it was entered: elsewhere it moves the cursor.
const LEAVE_ALTERNATE: &[u8] = b"\x1b[?1049l";

/// A terminal in raw mode, until it is dropped.
pub struct RawTerminal {
    before: Termios,
    screen: Screen,
}

impl RawTerminal {
    /// None where standard input is no terminal.
    pub fn enter() -> Result<Option<RawTerminal>> {
        if !stdin().is_terminal() {
            return Ok(None);
        }
        let failed = || "failed to set up the terminal";
        let before = tcgetattr(stdin()).context(failed)?;
        let mut raw = before.clone();
        cfmakeraw(&mut raw);
        tcsetattr(stdin(), SetArg::TCSANOW, &raw).context(failed)?;
        Ok(Some(RawTerminal { before, screen: Screen::default() }))
    }

    /// Takes note of what is shown on it.
    pub fn shows(&mut self, bytes: &[u8]) {
        self.screen.shows(bytes);
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        if stdout().is_terminal() {
            let leave = if self.screen.alternate { LEAVE_ALTERNATE } else { b"" };
            let _ = stdout().write_all(&[RESET, leave].concat());
            let _ = stdout().flush();
        }
        let _ = tcsetattr(stdin(), SetArg::TCSAFLUSH, &self.before);
    }
}

/// Which screen a terminal shows, judged by what was written to it: `ESC [ ? … h` and `l` of the modes 47, 1047 and 1049.
#[derive(Default)]
struct Screen {
    alternate: bool,
    /// The sequence so far, from after its ESC on; none outside of one.
    sequence: Option<Vec<u8>>,
}

impl Screen {
    /// Longer ones are of no interest.
    const LONGEST: usize = 32;

    fn shows(&mut self, bytes: &[u8]) {
        for byte in bytes {
            match (self.sequence.take(), *byte) {
                (_, 0x1b) => self.sequence = Some(Vec::new()),
                (Some(sequence), b'h' | b'l') => self.alternate = self.after(&sequence, *byte == b'h'),
                (Some(mut sequence), b'[' | b'?' | b';' | b'0'..=b'9') if sequence.len() < Self::LONGEST => {
                    sequence.push(*byte);
                    self.sequence = Some(sequence);
                }
                _ => {}
            }
        }
    }

    fn after(&self, sequence: &[u8], set: bool) -> bool {
        let modes = sequence.strip_prefix(b"[?").unwrap_or_default().split(|byte| *byte == b';');
        let switches = |mode: &[u8]| matches!(mode, b"47" | b"1047" | b"1049");
        if modes.into_iter().any(switches) { set } else { self.alternate }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alternate_screen_is_noticed_and_nothing_else_taken_for_it() {
        let mut screen = Screen::default();
        screen.shows(b"\x1b[?25h1049h\x1b]0;?1049h\x07\x1b[1049h");
        assert!(!screen.alternate);
        screen.shows(b"\x1b[?10");
        screen.shows(b"49h text");
        assert!(screen.alternate);
        screen.shows(b"\x1b[?25;1049l");
        assert!(!screen.alternate);
    }
}
