//! The strict line check: what may stand in a definition at all, and where.
//!
//! The syntax is that of unit files (systemd.syntax(7)): sections, `key=value`, comments that begin with `#` or
//! `;`, and `\` at a line's end that goes on with the next one. Anything else is refused here, since the INI
//! reader behind this check would glue it to its neighbour. It is no parser of values.

/// A place in a file: line and column, counted in characters from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Line.
    pub line: usize,
    /// Column.
    pub column: usize,
}

/// Why a text is refused, and where.
#[derive(Debug, PartialEq, Eq)]
pub struct Fault {
    /// The position of the mistake.
    pub place: Place,
    /// The mistake, as the end of a sentence.
    pub why: String,
}

/// One logical line: a physical one with those that continue it.
#[derive(Debug)]
pub struct Line {
    /// The position of its first byte.
    pub place: Place,
    /// The number of physical lines that it covers.
    pub count: usize,
    /// The content.
    pub item: Item,
}

/// The content of a logical line.
#[derive(Debug)]
pub enum Item {
    /// Empty, or a comment.
    Nothing,
    /// `[Name]`.
    Section(String),
    /// `key=value`.
    Assignment(String, Value),
}

/// A value joined from its lines, which remembers where each part stood.
#[derive(Clone, Debug, Default)]
pub struct Value {
    joined: String,
    /// Offset into `joined` and where that stood; ascending.
    parts: Vec<(usize, Place)>,
}

impl Value {
    /// The value without the white space around it.
    pub fn as_str(&self) -> &str {
        self.joined.trim()
    }

    /// The position in the file of the byte at `offset` of [`Value::as_str`].
    pub fn place(&self, offset: usize) -> Place {
        let skipped = self.joined.len() - self.joined.trim_start().len();
        let offset = skipped + offset;
        let part = self.parts.iter().rev().find(|(start, _)| *start <= offset);
        let Some((start, place)) = part.copied() else {
            return Place { line: 1, column: 1 };
        };
        let before = self.joined.get(start..offset).map_or(0, |text| text.chars().count());
        Place { column: place.column + before, ..place }
    }

    fn push(&mut self, text: &str, place: Place) {
        self.parts.push((self.joined.len(), place));
        self.joined.push_str(text);
    }
}

/// Splits `text` into logical lines that together cover it, or refuses it.
pub fn check(text: &str) -> Result<Vec<Line>, Fault> {
    let physical: Vec<&str> = text.strip_prefix('\u{feff}').unwrap_or(text).lines().collect();
    let mut lines = Vec::new();
    let mut at = 0;
    while let Some(line) = physical.get(at) {
        let place = Place { line: at + 1, column: 1 + indent(line) };
        let (item, count) = match line.trim_start().chars().next() {
            None | Some('#' | ';') => (Item::Nothing, refuse_control(line, at).map(|()| 1)?),
            Some('[') => (Item::Section(section(line, at)?), 1),
            Some(_) => assignment(&physical, at)?,
        };
        lines.push(Line { place, count, item });
        at += count;
    }
    Ok(lines)
}

/// Whether `name` can stand left of `=`. No `:`, which the INI reader would take for `=`.
pub fn is_key(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
}

/// Whether `name` can stand between `[` and `]`.
pub fn is_section(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.ends_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_. ".contains(c))
}

/// Whether `value` ends in a `\` that would continue it on the next line.
pub fn is_continued(value: &str) -> bool {
    value.bytes().rev().take_while(|b| *b == b'\\').count() % 2 == 1
}

fn section(line: &str, at: usize) -> Result<String, Fault> {
    refuse_control(line, at)?;
    let name = line.trim().strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match name {
        Some(name) if is_section(name) => Ok(name.to_string()),
        _ => Err(fault(at, indent(line), format!("'{}' is not a section like '[Exec]'", line.trim()))),
    }
}

/// A `key=value` that begins on line `at`, and how many lines it covers.
fn assignment(physical: &[&str], at: usize) -> Result<(Item, usize), Fault> {
    let first = physical[at];
    refuse_control(first, at)?;
    let Some((key, rest)) = first.split_once('=') else {
        let why = format!("'{}' is no section, no key=value and no comment", first.trim());
        return Err(fault(at, indent(first), why));
    };
    if !is_key(key.trim()) {
        return Err(fault(at, indent(first), format!("'{}' is not a key", key.trim())));
    }
    let (value, count) = joined(physical, at, first.len() - rest.len())?;
    if is_continued(value.as_str()) {
        let place = value.place(value.as_str().len() - 1);
        return Err(Fault { place, why: "white space follows the '\\' that ends the line".to_string() });
    }
    Ok((Item::Assignment(key.trim().to_string(), value), count))
}

/// Joins the value at byte `start` of line `at` with the lines that continue it. Each `\` becomes one space;
/// comments between are left out, as systemd does.
fn joined(physical: &[&str], at: usize, start: usize) -> Result<(Value, usize), Fault> {
    let mut value = Value::default();
    let mut start = start;
    for (next, line) in physical.iter().enumerate().skip(at) {
        refuse_control(line, next)?;
        if next > at {
            start = line.len() - line.trim_start().len();
            if line[start..].starts_with(['#', ';']) {
                continue;
            }
        }
        let place = Place { line: next + 1, column: 1 + line[..start].chars().count() };
        let text = &line[start..];
        if !is_continued(text) {
            value.push(text, place);
            return Ok((value, next + 1 - at));
        }
        value.push(&text[..text.len() - 1], place);
        value.joined.push(' ');
    }
    Ok((value, physical.len() - at))
}

fn refuse_control(line: &str, at: usize) -> Result<(), Fault> {
    match line.chars().position(|c| c.is_control() && c != '\t') {
        Some(column) => Err(fault(at, column, "a control character".to_string())),
        None => Ok(()),
    }
}

fn fault(at: usize, column: usize, why: String) -> Fault {
    Fault { place: Place { line: at + 1, column: column + 1 }, why }
}

fn indent(line: &str) -> usize {
    line.chars().take_while(|c| c.is_whitespace()).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn assignments(text: &str) -> Vec<(String, String)> {
        let lines = check(text).expect("accepted");
        let pairs = lines.into_iter().filter_map(|line| match line.item {
            Item::Assignment(key, value) => Some((key, value.as_str().to_string())),
            _ => None,
        });
        pairs.collect()
    }

    fn refused_at(text: &str) -> (usize, usize) {
        let place = check(text).expect_err(text).place;
        (place.line, place.column)
    }

    #[test]
    fn a_backslash_continues_as_one_space() {
        assert_eq!(assignments("A=b\\\nc\n  d=e\n"), [("A".into(), "b c".into()), ("d".into(), "e".into())]);
        assert_eq!(assignments("A=b \\\n# why\n  c\\"), [("A".into(), "b  c".into())]);
        assert_eq!(assignments("A=b\\\\\nC=d"), [("A".into(), "b\\\\".into()), ("C".into(), "d".into())]);
    }

    #[test]
    fn what_is_no_line_of_a_unit_file_is_refused_where_it_stands() {
        assert_eq!(refused_at("[Exec]\n  nonsense\n"), (2, 3));
        assert_eq!(refused_at("a:b=c"), (1, 1));
        assert_eq!(refused_at("a:b"), (1, 1));
        assert_eq!(refused_at("=c"), (1, 1));
        assert_eq!(refused_at("[Exec"), (1, 1));
        assert_eq!(refused_at("[Exec] x"), (1, 1));
        assert_eq!(refused_at("[]"), (1, 1));
        assert_eq!(refused_at("a=b\0"), (1, 4));
        assert_eq!(refused_at("a=b\rc=d"), (1, 4));
        assert_eq!(refused_at("# \x1b[2J"), (1, 3));
        assert_eq!(refused_at("a=ü \\ \nb"), (1, 5));
    }

    #[test]
    fn a_value_knows_where_its_parts_stood() {
        let lines = check("Key =  äb \\\n   cd").expect("accepted");
        let Item::Assignment(_, value) = &lines[0].item else { panic!("no assignment") };
        assert_eq!(value.as_str(), "äb  cd");
        assert_eq!(value.place(0), Place { line: 1, column: 8 });
        assert_eq!(value.place(2), Place { line: 1, column: 9 });
        assert_eq!(value.place(6), Place { line: 2, column: 5 });
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC*|(\\[?[a-zA:=\\\\#; \t\r\n\\]]){0,40}") {
            let _ = check(&text);
        }

        #[test]
        fn accepted_lines_cover_the_text(text in "([ab]=[c\\\\ #]{0,3}\n|# x\n|\\[S\\]\n|\n){0,12}") {
            if let Ok(lines) = check(&text) {
                prop_assert_eq!(lines.iter().map(|l| l.count).sum::<usize>(), text.lines().count());
            }
        }

        #[test]
        fn every_offset_has_a_place_in_the_text(text in "a=[bü \\\\\n]{0,20}") {
            for line in check(&text).unwrap_or_default() {
                let Item::Assignment(_, value) = line.item else { continue };
                for (offset, c) in value.as_str().char_indices() {
                    let place = value.place(offset);
                    let found = text.lines().nth(place.line - 1).and_then(|l| l.chars().nth(place.column - 1));
                    prop_assert!(found == Some(c) || (c == ' ' && found == Some('\\')), "{:?}", place);
                }
            }
        }
    }
}
