//! Imports between the rooms of `src/`, held to the table in `src/lib.rs`.

mod promises;
mod toolchain;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Modules that every room may import.
const BASE: [&str; 7] = ["cancellation", "error", "name", "paths", "progress", "replace", "warning"];

type Imports = BTreeMap<String, BTreeSet<String>>;

/// The table of `src/lib.rs`: a room and the rooms that it may import.
fn allowed() -> Imports {
    let text = fs::read_to_string("src/lib.rs").expect("src/lib.rs");
    let rows = text.lines().filter_map(|line| line.strip_prefix("//! | `"));
    let row = |row: &str| {
        let mut names = row.split(['`', '|', ' ']).filter(|word| !word.is_empty()).map(str::to_string);
        (names.next().expect("a room"), names.collect())
    };
    rows.map(row).collect()
}

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("directory").map(|entry| entry.expect("entry").path()) {
        if entry.is_dir() {
            sources(&entry, found);
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            found.push(entry);
        }
    }
}

/// The code of a file without comments and without its tests.
fn code(text: &str) -> String {
    let product = text.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = product.lines().map(|line| line.split("//").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

/// The first segments of all paths that begin with `crate::`, also of those in braces.
fn rooms(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            Some(list) => found.extend(first_segments(list)),
            None => found.extend(segment(rest)),
        }
    }
    found
}

/// The first segment of each path in a list up to its closing brace.
fn first_segments(list: &str) -> Vec<String> {
    let (mut depth, mut starts, mut found) = (0, true, Vec::new());
    for (at, character) in list.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => starts = true,
            character if starts && !character.is_whitespace() => {
                found.extend(segment(&list[at..]));
                starts = false;
            }
            _ => {}
        }
    }
    found
}

fn segment(path: &str) -> Option<String> {
    let end = path.find(|c: char| !c.is_ascii_lowercase() && !c.is_ascii_digit() && c != '_')?;
    (end > 0).then(|| path[..end].to_string())
}

/// Imports of each room from others, with the files that have them.
fn imports() -> BTreeMap<String, BTreeMap<String, Vec<String>>> {
    let mut files = Vec::new();
    sources(Path::new("src"), &mut files);
    let mut all: BTreeMap<String, BTreeMap<String, Vec<String>>> = BTreeMap::new();
    for file in files.iter().filter(|file| !file.starts_with("src/bin")) {
        let below = file.strip_prefix("src").expect("below src");
        let first = below.iter().next().expect("a name").to_string_lossy();
        let room = first.trim_end_matches(".rs").to_string();
        if room == "lib" || room == "main" || file.ends_with("tests.rs") {
            continue;
        }
        let text = fs::read_to_string(file).expect("source");
        for imported in rooms(&code(&text)).into_iter().filter(|imported| *imported != room) {
            let files = all.entry(room.clone()).or_default().entry(imported).or_default();
            files.push(file.display().to_string());
        }
    }
    all
}

#[test]
fn every_import_is_in_the_map() {
    let allowed = allowed();
    let mut wrong = Vec::new();
    for (room, imported) in imports() {
        let base = BASE.contains(&room.as_str());
        for (other, files) in imported {
            let known = BASE.contains(&other.as_str());
            let listed = allowed.get(&room).is_some_and(|rooms| rooms.contains(&other));
            if !(known || !base && listed) {
                wrong.push(format!("{room} imports {other}: {}", files.join(", ")));
            }
        }
    }
    assert!(wrong.is_empty(), "not in the table of src/lib.rs:\n{}", wrong.join("\n"));
}

#[test]
fn the_map_lists_no_import_that_is_gone() {
    let imports = imports();
    let is_used = |room: &str, other: &str| imports.get(room).is_some_and(|rooms| rooms.contains_key(other));
    for (room, others) in allowed() {
        assert!(Path::new("src").join(&room).is_dir(), "there is no room '{room}'");
        let unused: Vec<_> = others.iter().filter(|other| !is_used(&room, other)).collect();
        assert!(unused.is_empty(), "{room} no longer imports {unused:?}");
    }
}

#[test]
fn no_room_reaches_itself_through_others() {
    let allowed = allowed();
    for room in allowed.keys() {
        let (mut waiting, mut seen) = (vec![room], BTreeSet::new());
        while let Some(at) = waiting.pop() {
            for other in allowed.get(at).into_iter().flatten() {
                assert_ne!(other, room, "{room} imports {at}, which leads back to it");
                if seen.insert(other) {
                    waiting.push(other);
                }
            }
        }
    }
}

#[test]
fn imports_are_read_as_the_compiler_reads_them() {
    let code =
        code("use crate::{a::{b, c}, d}; // crate::x\nlet y = crate::e::f();\n#[cfg(test)]\nuse crate::z;");
    assert_eq!(rooms(&code).into_iter().collect::<Vec<_>>(), ["a", "d", "e"]);
}
