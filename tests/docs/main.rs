//! What is written about the program and what it does: README.md and the manual pages. `UPDATE_EXPECTED=1` writes the
//! parts of the README that are made from tables.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::io::{Write, stderr};
use std::path::{Path, PathBuf};
use std::process::Command;

use containerctl::config::{directives, key, verbatim};
use containerctl::error::Kind;

fn readme() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")
}

fn read_readme() -> String {
    fs::read_to_string(readme()).unwrap()
}

/// The directory of all pages, as `contrib/install` gets them.
fn pages() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let written =
        Command::new(env!("CARGO_BIN_EXE_containerctl")).arg("manual").arg(dir.path()).status().unwrap();
    assert!(written.success());
    dir
}

/// The text between two marks of the README is `text`, or becomes it.
fn assert_readme_part(part: &str, text: &str) {
    let (begin, end) = (format!("<!-- begin {part} -->\n"), format!("<!-- end {part} -->"));
    let readme = read_readme();
    let (before, rest) = readme.split_once(&begin).unwrap_or_else(|| panic!("no '{begin}'"));
    let (now, after) = rest.split_once(&end).unwrap_or_else(|| panic!("no '{end}'"));
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        fs::write(self::readme(), format!("{before}{begin}{text}{end}{after}")).unwrap();
    } else {
        assert!(now == text, "README.md is stale: UPDATE_EXPECTED=1 cargo test --test docs\n{text}");
    }
}

/// A cell of a table, of text that is no Markdown.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;").replace('*', "\\*").replace('~', "\\~")
}

fn key_table() -> String {
    let mut table = String::from("| section | key | meaning |\n|---|---|---|\n");
    for row in directives::TABLE {
        let key = format!("`{}={}`", row.key, row.value.replace('|', "\\|"));
        table.push_str(&format!("| `[{}]` | {key} | {} |\n", key::title(row.section), cell(row.doc)));
    }
    let list = |keys: &[&str]| keys.iter().map(|key| format!("`{key}=`")).collect::<Vec<_>>().join(" ");
    for (section, keys, unit, manual) in [
        ("Resources", &verbatim::RESOURCES[..], "slice", "systemd.resource-control(5)"),
        ("Unit", &verbatim::UNIT[..], "service", "systemd.unit(5)"),
    ] {
        let keys = list(keys);
        table.push_str(&format!(
            "| `[{section}]` | {keys} | Passed to the container's {unit} as written, see {manual}. |\n"
        ));
    }
    table
}

#[test]
fn the_readme_has_every_key() {
    assert_readme_part("keys", &key_table());
}

#[test]
fn the_readme_has_every_exit_code() {
    let readme = read_readme();
    for kind in Kind::ALL {
        assert!(readme.contains(&format!("\n| {} | ", kind.exit_code())), "{kind:?}");
    }
}

#[test]
fn the_readme_leads_nowhere_else() {
    let readme = read_readme();
    let mut targets = BTreeSet::new();
    for (index, _) in readme.match_indices("](") {
        targets.insert(readme[index + 2..].split(')').next().unwrap());
    }
    for target in targets.iter().filter(|target| !target.contains("://") && !target.starts_with('#')) {
        assert!(readme_neighbour(target).exists(), "'{target}' is linked and not there");
    }
    assert!(!targets.is_empty());
}

fn readme_neighbour(target: &str) -> PathBuf {
    readme().with_file_name(target.split('#').next().unwrap())
}

#[test]
fn the_readme_names_only_verbs_that_there_are() {
    let readme = read_readme();
    let named: BTreeSet<&str> = readme
        .split("`containerctl ")
        .skip(1)
        .filter_map(|rest| rest.split(|c: char| !c.is_ascii_lowercase()).next())
        .filter(|verb| !verb.is_empty())
        .collect();
    assert!(named.len() > 20, "{named:?}");
    for verb in named {
        let help = Command::new(env!("CARGO_BIN_EXE_containerctl")).args([verb, "--help"]).output().unwrap();
        assert!(help.status.success(), "'containerctl {verb}' is in README.md and is no verb");
    }
}

/// What the program prints.
fn help(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_containerctl")).args(arguments).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// Those that its help shows.
fn all_verbs() -> Vec<String> {
    let all = help(&["--help"]);
    // A group's verbs stand in a column of their own, behind its title.
    let groups = all.lines().filter(|line| line.starts_with("  ")).filter_map(|line| line.get(13..));
    let verbs: Vec<String> = groups.flat_map(str::split_whitespace).map(str::to_string).collect();
    assert!(verbs.len() >= 12, "{all}");
    verbs
}

#[test]
fn every_verb_is_in_the_manual_with_its_options() {
    let page = fs::read_to_string(pages().path().join("containerctl.1")).unwrap().replace('\\', "");
    for verb in all_verbs() {
        assert!(page.contains(&format!("containerctl {verb}")), "{verb}");
        for option in help(&[&verb, "--help"]).split_whitespace().filter(|word| word.starts_with("--")) {
            let option = option.trim_end_matches([',', '.']);
            assert!(["--help", "--"].contains(&option) || page.contains(option), "{verb} {option}");
        }
    }
}

/// What a verb's help lists as its own verbs; none of one that has none.
fn verbs_of(help: &str) -> impl Iterator<Item = &str> {
    let list = help.split_once("\nCommands:\n").map_or("", |(_, list)| list);
    list.lines().take_while(|line| !line.is_empty()).filter_map(|line| {
        line.strip_prefix("  ").filter(|line| !line.starts_with(' '))?.split_whitespace().next()
    })
}

#[test]
fn every_verb_is_on_the_bus_and_every_method_behind_a_verb() {
    let readme = read_readme();
    let table = readme.split_once("<!-- begin bus -->").unwrap().1.split_once("<!-- end bus -->").unwrap().0;
    let quoted = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_string).collect::<Vec<_>>();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `")?.split_once(" | "));
    let (mut verbs, mut methods) = (BTreeSet::new(), BTreeSet::new());
    for (left, right) in rows {
        verbs.extend(quoted(&format!("`{left}")));
        methods.extend(quoted(right).into_iter().filter(|word| !word.starts_with('-')));
    }
    let mut there = BTreeSet::new();
    for verb in all_verbs() {
        let below: Vec<String> =
            verbs_of(&help(&[&verb, "--help"])).map(|sub| format!("{verb} {sub}")).collect();
        there.extend(if below.is_empty() { vec![verb] } else { below });
    }
    assert_eq!(verbs, there, "verbs of the table in README.md, and those that there are");
    assert_eq!(methods, all_methods(), "methods of the table in README.md, and those that there are");
}

/// Of the contract, with the name of the interface unless it is the container's.
fn all_methods() -> BTreeSet<String> {
    let mut methods = BTreeSet::new();
    for (interface, prefix) in [("Container", ""), ("Manager", "Manager."), ("Network", "Network.")] {
        let file = readme().with_file_name(format!("dbus-interfaces/org.containerctl1.{interface}.xml"));
        let text = fs::read_to_string(file).unwrap();
        let names = text.split("<method name=\"").skip(1).filter_map(|rest| rest.split('"').next());
        methods.extend(names.map(|name| format!("{prefix}{name}")));
    }
    methods
}

#[test]
fn mandoc_finds_no_error_in_any_page() {
    let dir = pages();
    let mut pages: Vec<PathBuf> = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    pages.sort();
    let names: Vec<_> = pages.iter().map(|page| page.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names, ["containerctl-supervisor.8", "containerctl.1", "containerctl.conf.5"]);
    let Ok(lint) = Command::new("mandoc").args(["-T", "lint", "-W", "error"]).args(&pages).output() else {
        return skip("mandoc is missing");
    };
    assert!(lint.status.success(), "{}", String::from_utf8_lossy(&lint.stdout));
}

/// Says so where the test runner captures nothing, and in the list that `tests/run` prints at its end.
fn skip(reason: &str) {
    let name = std::thread::current().name().unwrap_or("docs").to_string();
    let line = format!("SKIPPED {name}: {reason}\n");
    let _ = stderr().write_all(line.as_bytes());
    if let Some(path) = std::env::var_os("CONTAINERCTL_SKIPPED") {
        let list = fs::OpenOptions::new().create(true).append(true).open(path);
        let _ = list.and_then(|mut list| list.write_all(line.as_bytes()));
    }
}
