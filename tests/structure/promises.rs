//! `tests/promises.txt` tells which promises have a test; `tests/run` prints those that have none.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The promises by number, with their mark: `!` no test, `-` no feature yet, else none.
fn promises() -> BTreeMap<String, Option<char>> {
    let text = fs::read_to_string("tests/promises.txt").expect("tests/promises.txt");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let promise = |line: &str| {
        let (number, claim) = line.split_once(' ').expect("a number and a claim");
        (number.to_string(), claim.chars().next().filter(|mark| ['!', '-'].contains(mark)))
    };
    lines.map(promise).collect()
}

/// Numbers in a text: `SEC-3`, and each of `SEC-8 to SEC-15`.
fn numbers(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for kind in ["SEC-", "REL-"] {
        let mut last: Option<(usize, u32)> = None;
        for (at, _) in text.match_indices(kind) {
            let digits: String = text[at + kind.len()..].chars().take_while(char::is_ascii_digit).collect();
            let Ok(number) = digits.parse::<u32>() else { continue };
            let first = match last {
                Some((end, first)) if text.get(end..at) == Some(" to ") => first,
                _ => number,
            };
            found.extend((first..=number).map(|number| format!("{kind}{number}")));
            last = Some((at + kind.len() + digits.len(), number));
        }
    }
    found
}

fn texts(directory: &Path, found: &mut Vec<PathBuf>) {
    for path in fs::read_dir(directory).expect("directory").map(|entry| entry.expect("entry").path()) {
        if path.is_dir() {
            texts(&path, found);
        } else {
            found.push(path);
        }
    }
}

fn carried() -> BTreeSet<String> {
    let mut files = Vec::new();
    ["src", "tests"].iter().for_each(|directory| texts(Path::new(directory), &mut files));
    let own = [Path::new("tests/promises.txt"), Path::new("tests/structure/promises.rs")];
    // Expected trees hold links that lead nowhere.
    let of = |path: PathBuf| numbers(&String::from_utf8_lossy(&fs::read(path).unwrap_or_default()));
    files.into_iter().filter(|path| !own.contains(&path.as_path())).flat_map(of).collect()
}

#[test]
fn every_promise_is_marked_as_the_tests_are() {
    let (promises, carried) = (promises(), carried());
    let unknown: Vec<_> = carried.iter().filter(|number| !promises.contains_key(*number)).collect();
    assert!(unknown.is_empty(), "not in tests/promises.txt: {unknown:?}");
    for (number, mark) in promises {
        match (mark, carried.contains(&number)) {
            (None, false) => panic!("no test carries {number}: mark it with '!' in tests/promises.txt"),
            (Some(mark), true) => panic!("{number} has a test: remove '{mark}' in tests/promises.txt"),
            _ => {}
        }
    }
}

#[test]
fn a_range_stands_for_each_of_its_numbers() {
    let found = numbers("SEC-8 to SEC-10, REL-3");
    assert_eq!(found.into_iter().collect::<Vec<_>>(), ["REL-3", "SEC-10", "SEC-8", "SEC-9"]);
}
