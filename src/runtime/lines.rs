//! Lines as the journal gets them: text, without the sequences that steer a terminal.
//!
//! The ring and the attached clients get the bytes as they are; a journal is read by pagers and programs.

/// A line longer than this is cut into several.
const LIMIT: usize = 4096;

/// Splits a stream into lines.
#[derive(Default)]
pub struct Lines {
    partial: Vec<u8>,
}

impl Lines {
    /// Adds bytes and returns the lines that are complete; empty ones are left out.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            for piece in part.chunks(LIMIT) {
                self.partial.extend_from_slice(piece);
                if piece.last() == Some(&b'\n') || self.partial.len() >= LIMIT {
                    lines.extend(self.rest());
                }
            }
        }
        lines
    }

    /// Whether a line has begun and not ended.
    pub fn is_partial(&self) -> bool {
        !self.partial.is_empty()
    }

    /// The unfinished last line.
    pub fn rest(&mut self) -> Option<String> {
        let text = plain(&self.partial);
        self.partial.clear();
        let text = text.trim_end();
        (!text.is_empty()).then(|| text.to_string())
    }
}

/// Whether a character acts on the terminal, or on the order of the text beside it.
pub fn is_control(c: char) -> bool {
    c.is_control() || is_bidirectional(c)
}

/// The controls of bidirectional text (Unicode Standard Annex 9), by which a line reads as another one.
fn is_bidirectional(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The text in `bytes`: escape sequences (ECMA-48) and control characters are left out, except tabs; what turns
/// the direction of text is told by its number.
fn plain(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => skip_sequence(&mut chars),
            '\t' => plain.push('\t'),
            c if c.is_control() => {}
            c if is_bidirectional(c) => plain.extend(c.escape_unicode()),
            c => plain.push(c),
        }
    }
    plain
}

fn skip_sequence(chars: &mut std::iter::Peekable<std::str::Chars>) {
    match chars.next() {
        // Control sequences end with a letter or its kin.
        Some('[') => while chars.next_if(|c| !('@'..='~').contains(c)).is_some() {},
        // Strings end with BEL or ESC \.
        Some(']' | 'P' | 'X' | '^' | '_') => {
            while chars.next_if(|c| *c != '\u{7}' && *c != '\u{1b}').is_some() {}
            if chars.next() == Some('\u{1b}') {
                chars.next();
            }
            return;
        }
        // A character set is named by one more character.
        Some('(' | ')' | '*' | '+' | '#' | '%' | ' ') => {}
        _ => return,
    }
    chars.next();
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_coloured_line_of_systemd_reads_as_text() {
        let mut lines = Lines::default();
        let printed = b"[\x1b[0;32m  OK  \x1b[0m] Started \x1b[0;1;39mcron\x1b[0m.\r\n";
        assert_eq!(lines.push(printed), ["[  OK  ] Started cron."]);
    }

    #[test]
    fn titles_and_queries_leave_nothing_behind() {
        assert_eq!(plain(b"\x1b]0;title\x07a\x1b]52;c;x\x1b\\b\x1b[6nc\x1b(Bd\x1b=e"), "abcde");
    }

    #[test]
    fn no_line_reads_backwards() {
        assert_eq!(plain("ok\u{202e}\u{200f}deliaf".as_bytes()), "ok\\u{202e}\\u{200f}deliaf");
    }

    #[test]
    fn a_line_may_come_in_pieces() {
        let mut lines = Lines::default();
        assert!(lines.push(b"hel").is_empty());
        assert_eq!(lines.push(b"lo\nwor"), ["hello"]);
        assert_eq!(lines.rest().as_deref(), Some("wor"));
        assert_eq!(lines.rest(), None);
    }

    proptest! {
        #[test]
        fn no_control_character_reaches_the_journal(bytes in prop::collection::vec(any::<u8>(), 0..20_000)) {
            let mut lines = Lines::default();
            let mut all = lines.push(&bytes);
            all.extend(lines.rest());
            for line in all {
                prop_assert!(line.chars().all(|c| c == '\t' || !is_control(c)));
                prop_assert!(line.len() <= 3 * LIMIT);
            }
        }
    }
}
