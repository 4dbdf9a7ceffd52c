//! org.containerctl1(5), the contract in dbus-interfaces, and the tree of verbs.

use std::collections::BTreeSet;

use super::{assert_part, read, verbs};

const PAGE: &str = "contrib/man/org.containerctl1.5.md";
/// Interfaces, and the prefixes of their methods in the table of verbs.
const INTERFACES: [(&str, &str); 3] = [("Manager", "Manager."), ("Container", ""), ("Network", "Network.")];

#[test]
fn every_verb_is_on_the_bus_and_every_method_behind_a_verb() {
    let page = read(PAGE);
    let table = page.split_once("<!-- begin bus -->").unwrap().1.split_once("<!-- end bus -->").unwrap().0;
    let quoted = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_string).collect::<Vec<_>>();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `")?.split_once(" | "));
    let (mut verbs, mut methods) = (BTreeSet::new(), BTreeSet::new());
    for (left, right) in rows {
        verbs.extend(quoted(&format!("`{left}")));
        methods.extend(quoted(right).into_iter().filter(|word| !word.starts_with('-')));
    }
    assert_eq!(verbs, verbs::all().into_iter().collect(), "verbs of the table in {PAGE}, and all verbs");
    assert_eq!(methods, all_methods(), "methods of the table in {PAGE}, and all methods");
}

/// Methods of the contract, with the name of the interface unless it is the container's.
fn all_methods() -> BTreeSet<String> {
    let mut methods = BTreeSet::new();
    for (interface, prefix) in INTERFACES {
        let text = contract(interface);
        let names = text.split("<method name=\"").skip(1).filter_map(|rest| rest.split('"').next());
        methods.extend(names.map(|name| format!("{prefix}{name}")));
    }
    methods
}

fn contract(interface: &str) -> String {
    read(&format!("dbus-interfaces/org.containerctl1.{interface}.xml"))
}

#[test]
fn the_manual_has_every_member_of_the_bus() {
    let mut text = String::from("\n");
    for (interface, _) in INTERFACES {
        text.push_str(&format!("# {} INTERFACE\n\n", interface.to_uppercase()));
        for (heading, element) in [("Methods", "method"), ("Properties", "property"), ("Signals", "signal")] {
            let members = members(&contract(interface), element);
            if !members.is_empty() {
                text.push_str(&format!("## {heading} of org.containerctl1.{interface}\n\n{members}"));
            }
        }
    }
    assert_part(PAGE, "members", &text);
}

/// A definition list of the members of one kind. Each has its description in the comment before it.
fn members(contract: &str, element: &str) -> String {
    let mut text = String::new();
    let mut lines = contract.lines();
    let mut comment = String::new();
    while let Some(line) = lines.next() {
        if let Some(first) = line.strip_prefix("  <!-- ") {
            comment = format!("{first}\n");
            while !comment.trim_end().ends_with("-->") {
                comment.push_str(lines.next().unwrap());
                comment.push('\n');
            }
        } else if let Some(rest) = line.trim_start().strip_prefix(&format!("<{element} ")) {
            let arguments = if line.ends_with("/>") { String::new() } else { arguments(&mut lines) };
            text.push_str(&format!("{}\n{}\n", title(rest, &arguments), definition(&comment)));
        }
    }
    text
}

/// The lines up to the end of the element, as a list of arguments.
fn arguments<'a>(lines: &mut impl Iterator<Item = &'a str>) -> String {
    let inner = lines.take_while(|line| !line.starts_with("  </"));
    let arguments = inner.filter(|line| line.contains("<arg ")).map(|line| {
        let (kind, name) = (attribute(line, "type").unwrap(), attribute(line, "name").unwrap());
        let direction =
            attribute(line, "direction").map(|direction| format!("{direction} ")).unwrap_or_default();
        format!("{direction}{kind} *{}*", name.replace('_', "\\_"))
    });
    arguments.collect::<Vec<_>>().join(", ")
}

fn attribute<'a>(element: &'a str, name: &str) -> Option<&'a str> {
    element.split_once(&format!("{name}=\""))?.1.split('"').next()
}

/// A method or signal with its arguments, a property with its type.
fn title(element: &str, arguments: &str) -> String {
    let name = element.split('"').nth(1).unwrap();
    match attribute(element, "type") {
        Some(kind) => format!("`{name}` ({kind})"),
        None => format!("`{name}`({arguments})"),
    }
}

/// A comment as the body of a definition: its sentences, and each block of options as a list.
fn definition(comment: &str) -> String {
    let comment = comment.trim_end().trim_end_matches("-->").trim_end();
    let mut text = String::from(": ");
    let mut is_list = false;
    for line in comment.lines() {
        let trimmed = line.trim_start();
        // Options stand deeper than sentences; what they go on with, deeper still.
        let indent = line.len() - trimmed.len();
        if indent == 9 {
            let mut words = trimmed.splitn(3, "  ").map(str::trim);
            let (names, rest) = (words.next().unwrap(), words.collect::<Vec<_>>().join(" "));
            let (kind, meaning) = rest.trim().split_once(' ').unwrap_or((rest.trim(), ""));
            text.push_str(&format!(
                "{}  - `{names}` ({kind}): {}\n",
                if is_list { "" } else { "\n" },
                meaning.trim()
            ));
        } else if is_list && indent > 9 {
            text.push_str(&format!("    {trimmed}\n"));
        } else {
            let lead = if text.len() == 2 { "" } else { "  " };
            text.push_str(&format!("{}{lead}{trimmed}\n", if is_list { "\n" } else { "" }));
        }
        is_list = indent == 9 || is_list && indent > 9;
    }
    text.replace('_', "\\_")
}
