//! Changes to a definition's text. Comments, order and everything else that is not meant stay as they are.
//!
//! Pure: text in, text out. Refused are texts that the line check refuses, and names and values that would not
//! be read back as given.

use super::lines::{self, Item, Line};
use crate::error::{Error, Result};

/// Makes `key=value` the only assignment of `key` in `[section]`: in the place of the last one, or at the
/// section's end, or in a new section.
pub fn set(text: &str, section: &str, key: &str, value: &str) -> Result<String> {
    let line = assignment(section, key, value)?;
    let mut document = Document::parse(text)?;
    let matching = document.matching(section, key);
    match matching.last() {
        Some(last) => document.replace(*last, &line),
        None => document.append(section, &line),
    }
    matching.iter().rev().skip(1).for_each(|earlier| document.remove(*earlier));
    Ok(document.text())
}

/// Adds `key=value` to what `[section]` has of `key`.
pub fn add(text: &str, section: &str, key: &str, value: &str) -> Result<String> {
    let line = assignment(section, key, value)?;
    let mut document = Document::parse(text)?;
    document.append(section, &line);
    Ok(document.text())
}

/// Removes every assignment of `key` in `[section]`.
pub fn unset(text: &str, section: &str, key: &str) -> Result<String> {
    let mut document = Document::parse(text)?;
    document.matching(section, key).into_iter().for_each(|at| document.remove(at));
    Ok(document.text())
}

fn assignment(section: &str, key: &str, value: &str) -> Result<String> {
    if !lines::is_section(section) || !lines::is_key(key) {
        return Err(Error::config(format!("'[{section}] {key}=' is not a key")));
    }
    if value != value.trim()
        || value.chars().any(|c| c.is_control() && c != '\t')
        || lines::is_continued(value)
    {
        return Err(Error::config(format!("'{}' is not a value for '{key}='", value.escape_debug()))
            .hint("white space around it, control characters and a '\\' at its end cannot be written"));
    }
    Ok(format!("{key}={value}"))
}

/// A text as logical lines, each with its physical ones.
struct Document {
    lines: Vec<(Line, String)>,
    line_end: &'static str,
}

impl Document {
    fn parse(text: &str) -> Result<Document> {
        let checked = lines::check(text).map_err(|fault| {
            Error::config(format!("{}:{}: {}", fault.place.line, fault.place.column, fault.why))
        })?;
        let line_end = if text.contains("\r\n") { "\r\n" } else { "\n" };
        let mut physical = text.split_inclusive('\n');
        let covered = |line: Line| {
            let text = physical.by_ref().take(line.count).collect();
            (line, text)
        };
        let mut document = Document { lines: checked.into_iter().map(covered).collect(), line_end };
        document.finish();
        Ok(document)
    }

    /// Ends the last line, so that another can follow it; twice where it ends in a `\`.
    fn finish(&mut self) {
        let Some((line, text)) = self.lines.last_mut() else { return };
        if !text.ends_with('\n') {
            text.push_str(self.line_end);
        }
        let unfinished = text.lines().rfind(|line| !is_comment(line)).is_some_and(lines::is_continued);
        if unfinished && matches!(line.item, Item::Assignment(..)) {
            text.push_str(self.line_end);
        }
    }

    /// Indices of the assignments to `key` in `section`, in order.
    fn matching(&self, section: &str, key: &str) -> Vec<usize> {
        let mut inside = false;
        let mut found = Vec::new();
        for (at, (line, _)) in self.lines.iter().enumerate() {
            match &line.item {
                Item::Section(name) => inside = name == section,
                Item::Assignment(name, _) if inside && name == key => found.push(at),
                _ => {}
            }
        }
        found
    }

    fn replace(&mut self, at: usize, line: &str) {
        self.remove(at);
        self.lines[at].1.push_str(&format!("{line}{}", self.line_end));
    }

    /// Leaves the comments that stood between the lines of the assignment.
    fn remove(&mut self, at: usize) {
        let text = &mut self.lines[at].1;
        *text = text.split_inclusive('\n').filter(|line| is_comment(line)).collect();
    }

    /// Puts `line` behind the last assignment of the last `[section]`.
    fn append(&mut self, section: &str, line: &str) {
        let line = format!("{line}{}", self.line_end);
        let header =
            self.lines.iter().rposition(|(line, _)| matches!(&line.item, Item::Section(s) if s == section));
        let Some(header) = header else {
            return self.append_section(section, &line);
        };
        let rest = self.lines.iter().enumerate().skip(header + 1);
        let own = rest.take_while(|(_, (line, _))| !matches!(line.item, Item::Section(_)));
        let last = own.filter(|(_, (line, _))| matches!(line.item, Item::Assignment(..))).last();
        let last = last.map_or(header, |(at, _)| at);
        self.lines[last].1.push_str(&line);
    }

    fn append_section(&mut self, section: &str, line: &str) {
        let gap = if self.lines.is_empty() { "" } else { self.line_end };
        let text = format!("{gap}[{section}]{}{line}", self.line_end);
        let place = lines::Place { line: 0, column: 1 };
        self.lines.push((Line { place, count: 0, item: Item::Nothing }, text));
    }

    fn text(self) -> String {
        self.lines.into_iter().map(|(_, text)| text).collect()
    }
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with(['#', ';'])
}

#[cfg(test)]
mod tests {
    use super::super::fragment::Fragment;
    use super::*;
    use proptest::prelude::*;
    use std::path::Path;

    fn edited(result: Result<String>) -> String {
        result.expect("edited")
    }

    /// Section, key and value of each assignment.
    fn read(text: &str) -> Vec<(String, String, String)> {
        let fragment = Fragment::parse(Path::new("x"), text).expect("readable");
        fragment.assignments.into_iter().map(|a| (a.section, a.key, a.text)).collect()
    }

    #[test]
    fn comments_and_order_stay() {
        let text = "# mine\n[Exec]\n; one\nBoot=yes\n\nHostname=a\n# end\n\n[Files]\nBind=/a\n";
        assert_eq!(edited(set(text, "Exec", "Boot", "no")), text.replace("Boot=yes", "Boot=no"));
        assert_eq!(edited(unset(text, "Exec", "Hostname")), text.replace("Hostname=a\n", ""));
        assert_eq!(edited(add(text, "Files", "Bind", "/b")), format!("{text}Bind=/b\n"));
        let added = text.replace("Hostname=a\n", "Hostname=a\nNotifyReady=yes\n");
        assert_eq!(edited(set(text, "Exec", "NotifyReady", "yes")), added);
    }

    #[test]
    fn a_missing_section_is_made() {
        assert_eq!(edited(set("", "Exec", "Boot", "no")), "[Exec]\nBoot=no\n");
        assert_eq!(edited(set("[A]\nb=c", "Exec", "Boot", "no")), "[A]\nb=c\n\n[Exec]\nBoot=no\n");
    }

    #[test]
    fn only_one_assignment_is_left() {
        let text = "[A]\nk=1\n[B]\nk=2\n[A]\nk=3\\\n# why\n 4\nl=5\n";
        assert_eq!(edited(set(text, "A", "k", "6")), "[A]\n[B]\nk=2\n[A]\n# why\nk=6\nl=5\n");
    }

    #[test]
    fn line_ends_stay_as_they_are() {
        assert_eq!(edited(set("[A]\r\nk=1\r\n", "A", "l", "2")), "[A]\r\nk=1\r\nl=2\r\n");
    }

    #[test]
    fn what_would_not_be_read_back_is_refused() {
        for value in ["a\nb=c", " a", "a ", "a\\", "\0"] {
            assert!(set("", "Exec", "Boot", value).is_err(), "{value:?}");
        }
        assert!(set("", "Ex]ec", "Boot", "").is_err());
        assert!(set("", "Exec", "a:b", "").is_err());
        assert!(set("nonsense", "Exec", "Boot", "no").is_err());
    }

    proptest! {
        #[test]
        fn a_set_value_is_read_back_and_nothing_else_changes(
            text in "\\[S\\]\n((\\[[ST]\\]|[ab]=[c\\\\ ]{0,3}|[#;] x|)(\r?\n|\\\\\n)){0,10}",
            value in "[a-z\\\\ #=\"]{0,5}",
        ) {
            let Ok(after) = set(&text, "S", "a", &value) else { return Ok(()) };
            let mut others = read(&text);
            others.retain(|(section, key, _)| section != "S" || key != "a");
            let (ours, rest): (Vec<_>, Vec<_>) = read(&after).into_iter().partition(|(s, k, _)| s == "S" && k == "a");
            prop_assert_eq!(ours, [("S".to_string(), "a".to_string(), value.clone())]);
            prop_assert_eq!(rest, others);
            prop_assert_eq!(&edited(set(&after, "S", "a", &value)), &after);
            prop_assert!(read(&edited(unset(&after, "S", "a"))).iter().all(|(s, k, _)| s != "S" || k != "a"));
        }

        #[test]
        fn comments_survive_every_edit(text in "(\\[S\\]\n)((a=[c\\\\]{0,2}|# [xyz])(\n|\\\\\n)){0,10}") {
            let comments = |text: &str| text.lines().filter(|l| is_comment(l)).map(String::from).collect::<Vec<_>>();
            if let Ok(after) = set(&text, "S", "a", "new") {
                prop_assert_eq!(comments(&after), comments(&text));
            }
        }
    }
}
