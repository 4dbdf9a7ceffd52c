//! Openings of doc comments: a comment begins with the item's noun or verb, not with a clause about it.

use std::fs;
use std::path::Path;

use super::{read, repository};

/// Words that begin a clause instead of naming the item.
const OPENINGS: [&str; 11] =
    ["What", "How", "Who", "Whose", "Whom", "Where", "One that", "Those", "Its", "Tells", "Decides"];

#[test]
fn no_doc_comment_begins_with_a_clause() {
    let mut lines = Vec::new();
    visit("src", &mut lines);
    assert!(lines.is_empty(), "{lines:#?}");
}

/// Adds the places of such comments below `path`.
fn visit(path: &str, found: &mut Vec<String>) {
    if repository(path).is_dir() {
        let entries = fs::read_dir(repository(path)).unwrap().map(|entry| entry.unwrap().file_name());
        entries.for_each(|name| visit(&format!("{path}/{}", name.to_str().unwrap()), found));
    } else if Path::new(path).extension().is_some_and(|extension| extension == "rs") {
        let lines = openings(&read(path)).into_iter();
        found.extend(lines.map(|(number, line)| format!("{path}:{number}: {line}")));
    }
}

/// First lines of doc comments that begin with one of [`OPENINGS`], with their numbers.
fn openings(source: &str) -> Vec<(usize, String)> {
    let mut lines = Vec::new();
    let mut goes_on = false;
    for (index, line) in source.lines().enumerate() {
        let text = line.trim_start();
        let comment = text.strip_prefix("///").or_else(|| text.strip_prefix("//!"));
        if let Some(comment) = comment.filter(|_| !goes_on) {
            let comment = comment.trim_start();
            let begins = |word: &str| {
                comment.strip_prefix(word).is_some_and(|rest| !rest.starts_with(char::is_alphanumeric))
            };
            if OPENINGS.iter().any(|word| begins(word)) {
                lines.push((index + 1, comment.to_string()));
            }
        }
        goes_on = comment.is_some();
    }
    lines
}

#[test]
fn an_opening_is_found_in_the_first_line_only() {
    let source =
        "/// What it is.\n/// How so.\nfn a() {}\n    //! Its name.\n/// Whatever.\n/// The\n/// Those\n";
    assert_eq!(openings(source), [(1, "What it is.".to_string()), (4, "Its name.".to_string())]);
}
