//! What is written about the program, held to what it does: README.md, the manual pages below contrib/man, and the
//! comments of the source. `UPDATE_EXPECTED=1 cargo test --test docs` writes the parts that are made from tables.

#![allow(clippy::unwrap_used)]

mod bus;
mod comments;
mod hacking;
mod keys;
mod pages;
mod readme;
#[path = "../../contrib/man/roff.rs"]
mod roff;
mod verbs;

use std::fs;
use std::io::{Write, stderr};
use std::path::{Path, PathBuf};

/// A file of the repository.
fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: &str) -> String {
    fs::read_to_string(repository(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Asserts that the text between the marks of `part` is `text`, or writes it there.
fn assert_part(file: &str, part: &str, text: &str) {
    let (begin, end) = (format!("<!-- begin {part} -->\n"), format!("<!-- end {part} -->"));
    let page = read(file);
    let (before, rest) = page.split_once(&begin).unwrap_or_else(|| panic!("{file}: no '{begin}'"));
    let (now, after) = rest.split_once(&end).unwrap_or_else(|| panic!("{file}: no '{end}'"));
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        fs::write(repository(file), format!("{before}{begin}{text}{end}{after}")).unwrap();
    } else {
        assert!(now == text, "{file} is stale: UPDATE_EXPECTED=1 cargo test --test docs\n{text}");
    }
}

/// Reports a skipped test, on standard error and in the list that `tests/run` prints at its end.
fn skip(reason: &str) {
    let name = std::thread::current().name().unwrap_or("docs").to_string();
    let line = format!("SKIPPED {name}: {reason}\n");
    let _ = stderr().write_all(line.as_bytes());
    if let Some(path) = std::env::var_os("CONTAINERCTL_SKIPPED") {
        let list = fs::OpenOptions::new().create(true).append(true).open(path);
        let _ = list.and_then(|mut list| list.write_all(line.as_bytes()));
    }
}
