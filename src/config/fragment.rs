//! The first stage of a definition: one file, read and split into assignments with their places.
//!
//! [`lines::check`] decides what is accepted and where it stands; rust-ini reads what it accepted. Both see the
//! same assignments in the same order, and a difference is an error, not a guess.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use ini::{Ini, ParseOption};

use super::lines::{self, Item, Line, Place, Value};
use crate::error::{Cause, Context, Error, Kind, Result};

/// Definitions are short; what is longer is something else.
const MAX_BYTES: u64 = 1 << 20;

/// One file.
#[derive(Debug)]
pub struct Fragment {
    /// The path of the file.
    pub path: PathBuf,
    /// `[Section]` headers in order.
    pub sections: Vec<(String, Place)>,
    /// Assignments in order.
    pub assignments: Vec<Assignment>,
}

/// One `key=value`.
#[derive(Debug)]
pub struct Assignment {
    /// Name of the section it stands in.
    pub section: String,
    /// Left of `=`.
    pub key: String,
    /// Right of `=`, joined and trimmed.
    pub text: String,
    /// The position of the key.
    pub place: Place,
    value: Value,
}

impl Assignment {
    /// The position of the byte at `offset` of [`Assignment::text`].
    pub fn value_place(&self, offset: usize) -> Place {
        self.value.place(offset)
    }
}

impl Fragment {
    /// Reads `path`, which must be a regular file of UTF-8 text.
    pub fn read(path: &Path) -> Result<Fragment> {
        Fragment::parse(path, &text(path)?)
    }

    /// Splits `text`; `path` is for messages.
    pub fn parse(path: &Path, text: &str) -> Result<Fragment> {
        let lines = lines::check(text).map_err(|fault| error(path, fault.place, &fault.why))?;
        let mut fragment =
            Fragment { path: path.to_path_buf(), sections: Vec::new(), assignments: Vec::new() };
        let mut read = read_ini(path, &lines)?.into_iter();
        for Line { place, item, .. } in lines {
            match item {
                Item::Nothing => {}
                Item::Section(name) => fragment.sections.push((name, place)),
                Item::Assignment(key, value) => {
                    let Some((section, _)) = fragment.sections.last() else {
                        return Err(error(path, place, &format!("'{key}=' stands before the first section")));
                    };
                    match read.next() {
                        Some((s, k, text)) if s == *section && k == key && text == value.as_str() => {
                            fragment.assignments.push(Assignment { section: s, key, text, place, value });
                        }
                        _ => return Err(error(path, place, &format!("'{key}=' is read in two ways"))),
                    }
                }
            }
        }
        Ok(fragment)
    }
}

/// A configuration error as compilers print it: `FILE:LINE:COLUMN: why`.
pub fn error(path: &Path, place: Place, why: &str) -> Error {
    Error::config(format!("{}:{}:{}: {why}", path.display(), place.line, place.column))
}

/// Reads a text file, which is to be regular, short and UTF-8.
pub(crate) fn text(path: &Path) -> Result<String> {
    // Without O_NONBLOCK the opening of a FIFO would wait for its writer.
    let opened = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path);
    text_of(opened.map_err(|cause| not_opened(path, cause))?, path)
}

/// As [`text`], of a file that is open and that messages call `path`.
pub(crate) fn text_of(file: File, path: &Path) -> Result<String> {
    let reading = || format!("failed to read '{}'", path.display());
    if !file.metadata().context(reading)?.is_file() {
        return Err(Error::config(format!("'{}' is not a regular file", path.display())));
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).context(reading)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Error::config(format!("'{}' is longer than 1 MiB", path.display())));
    }
    String::from_utf8(bytes).map_err(|fault| {
        let before =
            String::from_utf8_lossy(&fault.as_bytes()[..fault.utf8_error().valid_up_to()]).into_owned();
        let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count());
        let place = Place { line: 1 + before.matches('\n').count(), column: column + 1 };
        error(path, place, "not UTF-8")
    })
}

fn not_opened(path: &Path, cause: std::io::Error) -> Error {
    let kind = match cause.kind() {
        std::io::ErrorKind::NotFound => Kind::NotFound,
        std::io::ErrorKind::PermissionDenied => Kind::Denied,
        _ => Kind::Failed,
    };
    Error::new(kind, format!("failed to open '{}': {}", path.display(), cause.cause()))
}

/// Parses the checked lines with rust-ini into section, key and value, in order.
fn read_ini(path: &Path, lines: &[Line]) -> Result<Vec<(String, String, String)>> {
    let options = ParseOption { enabled_quote: false, enabled_escape: false, ..ParseOption::default() };
    let ini = Ini::load_from_str_opt(&normal_form(lines), options)
        .map_err(|fault| Error::config(format!("failed to parse '{}': {fault}", path.display())))?;
    let mut read = Vec::new();
    for (section, properties) in ini.iter() {
        for (key, value) in properties.iter() {
            read.push((section.unwrap_or_default().to_string(), key.to_string(), value.to_string()));
        }
    }
    Ok(read)
}

/// One physical line for each section and assignment; nothing else.
fn normal_form(lines: &[Line]) -> String {
    let mut text = String::new();
    for line in lines {
        match &line.item {
            Item::Nothing => {}
            Item::Section(name) => text.push_str(&format!("[{name}]\n")),
            Item::Assignment(key, value) => text.push_str(&format!("{key}={}\n", value.as_str())),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<Fragment> {
        Fragment::parse(Path::new("/etc/p1.conf"), text)
    }

    #[test]
    fn repeated_sections_and_keys_keep_their_order() {
        let fragment = parse("[A]\nx=1\n[B]\nx=2\n[A]\nx=3\nx=\n").expect("parsed");
        let read: Vec<_> = fragment.assignments.iter().map(|a| (&a.section[..], &a.text[..])).collect();
        assert_eq!(read, [("A", "1"), ("B", "2"), ("A", "3"), ("A", "")]);
    }

    #[test]
    fn quotes_backslashes_colons_and_comment_signs_in_values_stay() {
        for value in ["\"a b\" 'c'", "a\\x2db", "a:b=c", "#x", "; y", "a\\\\", "[x]", "\"unclosed"] {
            let fragment = parse(&format!("[A]\nk={value}\nl=1\n")).expect(value);
            assert_eq!(fragment.assignments[0].text, value);
            assert_eq!(fragment.assignments[1].text, "1");
        }
    }

    #[test]
    fn errors_name_file_line_and_column() {
        let error = parse("[Exec]\n what\n").expect_err("refused");
        assert_eq!(error.message(), "/etc/p1.conf:2:2: 'what' is no section, no key=value and no comment");
        let error = parse("Boot=yes\n").expect_err("refused");
        assert_eq!(error.message(), "/etc/p1.conf:1:1: 'Boot=' stands before the first section");
    }

    #[test]
    fn files_that_are_no_text_are_refused() {
        let dir = tempfile::tempdir().expect("directory");
        let path = dir.path().join("x.conf");
        std::fs::write(&path, b"[A]\nb=\xff").expect("written");
        assert!(Fragment::read(&path).expect_err("refused").message().ends_with("x.conf:2:3: not UTF-8"));
        assert!(
            Fragment::read(dir.path()).expect_err("refused").message().ends_with("is not a regular file")
        );
    }

    proptest! {
        #[test]
        fn what_the_check_accepts_rust_ini_reads_alike(
            text in "\\[S\\]\n((\\[T\\]|[ab] ?=[ \t]?[^\u{0}-\u{8}\u{a}-\u{1f}\u{7f}-\u{9f}]{0,8}|[#;] x|)(\r?\n|\\\\\n)){0,12}"
        ) {
            if lines::check(&text).is_ok() {
                prop_assert!(parse(&text).is_ok(), "{:?}", parse(&text));
            }
        }

        #[test]
        fn no_text_panics(text in any::<String>()) {
            let _ = parse(&text);
        }
    }
}
