//! Manual pages: Markdown to roff with the macros of man(7).
//!
//! A page uses headings of two levels, paragraphs, lists, definition lists, tables, code and emphasis. Anything else
//! ends the build.

use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};

/// A whole page. `date` is the one in its footer.
pub fn page(name: &str, section: &str, date: &str, markdown: &str) -> String {
    let mut writer = Writer::default();
    let options = Options::ENABLE_TABLES | Options::ENABLE_DEFINITION_LIST;
    Parser::new_ext(markdown, options).for_each(|event| writer.event(event));
    // The first line asks man(1) for the table preprocessor.
    let preprocessor = if writer.has_tables { "'\\\" t\n" } else { "" };
    let (title, version) = (literal(&name.to_uppercase()), env!("CARGO_PKG_VERSION"));
    // No word is divided: most of those that would be are names of units, files and options.
    format!(
        "{preprocessor}.TH {title} {section} {date} \"containerctl {version}\"\n.nh\n.ad l\n{}",
        writer.text
    )
}

/// A day as `2026-01-31`, in the proleptic Gregorian calendar and UTC.
pub fn date(unix_seconds: u64) -> String {
    let (mut days, mut year) = (unix_seconds / 86400, 1970);
    let is_leap =
        |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let mut month = 1;
    for length in [31, 28 + u64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    format!("{year}-{month:02}-{:02}", days + 1)
}

/// The macro that begins the next paragraph.
#[derive(Clone, Copy, Default, PartialEq)]
enum Paragraph {
    /// None: the text follows a heading or a tag.
    #[default]
    None,
    /// At the left margin.
    Plain,
    /// At the indentation of the list's item.
    Indented,
}

#[derive(Default)]
struct Writer {
    text: String,
    next: Paragraph,
    /// Numbers of the lists that are open, `None` for bullets.
    lists: Vec<Option<u64>>,
    is_code: bool,
    /// Where the line of a heading or a term begins; it has no line breaks.
    line: Option<usize>,
    has_tables: bool,
}

impl Writer {
    fn event(&mut self, event: Event) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) if self.is_code => self.code_block(&text),
            // Only the heading NAME comes before the page's name and what it is, which whatis(1) finds by this dash.
            Event::Text(text) if self.text == ".SH NAME\n" => {
                self.push(&prose(&text).replacen(" - ", " \\- ", 1))
            }
            Event::Text(text) => self.push(&prose(&text)),
            Event::Code(text) => self.push(&format!("\\fB{}\\fR", literal(&text))),
            Event::SoftBreak if self.line.is_some() => self.text.push(' '),
            Event::SoftBreak => self.text.push('\n'),
            // Comments mark the parts that are generated.
            Event::Html(_) | Event::InlineHtml(_) => {}
            other => panic!("a manual page has no {other:?}"),
        }
    }

    fn start(&mut self, tag: Tag) {
        match tag {
            Tag::Heading { level: HeadingLevel::H1, .. } => self.begin_line(".SH "),
            Tag::Heading { level: HeadingLevel::H2, .. } => self.begin_line(".SS "),
            Tag::Paragraph => self.paragraph(),
            Tag::CodeBlock(_) => self.begin_code(),
            Tag::List(first) => self.begin_list(first),
            Tag::Item => self.begin_item(),
            Tag::DefinitionListTitle => self.begin_line(".TP\n"),
            Tag::DefinitionListDefinition => self.lists.push(None),
            Tag::Strong => self.push("\\fB"),
            Tag::Emphasis => self.push("\\fI"),
            Tag::Table(alignments) => self.begin_table(alignments.len()),
            Tag::TableCell => self.text.push_str("T{\n"),
            Tag::DefinitionList | Tag::TableHead | Tag::TableRow | Tag::HtmlBlock | Tag::Link { .. } => {}
            other => panic!("a manual page has no {other:?}"),
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Heading(_) | TagEnd::DefinitionListTitle => self.end_line(),
            TagEnd::Paragraph => self.end_paragraph(),
            TagEnd::CodeBlock => self.end_code(),
            TagEnd::List(_) => self.end_list(),
            TagEnd::Item => self.end_item(),
            TagEnd::DefinitionListDefinition => self.end_definition(),
            TagEnd::Strong | TagEnd::Emphasis => self.text.push_str("\\fR"),
            TagEnd::TableCell => self.text.push_str("\nT}|"),
            TagEnd::TableHead | TagEnd::TableRow => self.end_row(),
            TagEnd::Table => self.text.push_str(".TE\n"),
            _ => {}
        }
    }

    /// Adds text. A line that would be taken for a macro is protected.
    fn push(&mut self, text: &str) {
        if (self.text.is_empty() || self.text.ends_with('\n')) && text.starts_with(['.', '\'']) {
            self.text.push_str("\\&");
        }
        self.text.push_str(text);
    }

    fn begin_line(&mut self, start: &str) {
        self.fresh_line();
        self.text.push_str(start);
        self.line = Some(self.text.len());
    }

    fn end_line(&mut self) {
        self.line = None;
        self.text.push('\n');
        self.next = Paragraph::None;
    }

    fn fresh_line(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with('\n') {
            self.text.push('\n');
        }
    }

    fn paragraph(&mut self) {
        self.fresh_line();
        self.text.push_str(match self.next {
            Paragraph::None => "",
            Paragraph::Plain => ".PP\n",
            Paragraph::Indented => ".IP\n",
        });
    }

    fn end_paragraph(&mut self) {
        self.fresh_line();
        self.next = if self.lists.is_empty() { Paragraph::Plain } else { Paragraph::Indented };
    }

    fn begin_code(&mut self) {
        self.paragraph();
        self.text.push_str(if self.lists.is_empty() { ".RS 4\n.nf\n" } else { ".nf\n" });
        self.is_code = true;
    }

    fn code_block(&mut self, text: &str) {
        for line in text.split_inclusive('\n') {
            self.push(&literal(line));
        }
    }

    fn end_code(&mut self) {
        self.is_code = false;
        self.fresh_line();
        self.text.push_str(if self.lists.is_empty() { ".fi\n.RE\n" } else { ".fi\n" });
        self.end_paragraph();
    }

    fn begin_list(&mut self, first: Option<u64>) {
        self.fresh_line();
        if !self.lists.is_empty() {
            self.text.push_str(".RS\n");
        }
        self.lists.push(first);
    }

    fn begin_item(&mut self) {
        self.fresh_line();
        match self.lists.last_mut() {
            Some(Some(number)) => {
                self.text.push_str(&format!(".IP {number}. 4\n"));
                *number += 1;
            }
            _ => self.text.push_str(".IP \\(bu 2\n"),
        }
        self.next = Paragraph::None;
    }

    fn end_item(&mut self) {
        self.fresh_line();
    }

    fn end_list(&mut self) {
        self.lists.pop();
        if !self.lists.is_empty() {
            self.text.push_str(".RE\n");
        }
        self.end_paragraph();
    }

    fn end_definition(&mut self) {
        self.lists.pop();
        self.end_paragraph();
    }

    fn begin_table(&mut self, columns: usize) {
        self.fresh_line();
        if self.next != Paragraph::None {
            self.text.push_str(".PP\n");
        }
        self.has_tables = true;
        // The last column takes what the others leave of the line.
        let row = |format: &str| format!("{}x", [format].repeat(columns).join(" "));
        self.text.push_str(&format!(".TS\ntab(|);\n{}\n{}.\n", row("lb"), row("l")));
        self.next = Paragraph::Plain;
    }

    fn end_row(&mut self) {
        self.text.truncate(self.text.trim_end_matches('|').len());
        self.text.push('\n');
    }
}

/// Text of a sentence.
fn prose(text: &str) -> String {
    text.chars().map(|c| escaped(c).unwrap_or_else(|| c.to_string())).collect()
}

/// Text to be typed or read by programs: a dash is a minus, an apostrophe is straight.
fn literal(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '-' => "\\-".to_string(),
            '\'' => "\\(aq".to_string(),
            '`' => "\\(ga".to_string(),
            _ => escaped(c).unwrap_or_else(|| c.to_string()),
        })
        .collect()
}

/// A character that roff or its output devices take for something else.
fn escaped(c: char) -> Option<String> {
    match c {
        '\\' => Some("\\e".into()),
        '~' => Some("\\(ti".into()),
        '^' => Some("\\(ha".into()),
        '…' => Some("\\&...".into()),
        c if !c.is_ascii() => Some(format!("\\[u{:04X}]", c as u32)),
        _ => None,
    }
}
