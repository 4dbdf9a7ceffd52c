//! Output of verbs: tables for people, JSON for programs. Nothing that a container or a file chose reaches
//! the terminal as it is.

use std::io::{ErrorKind, Write};

use serde::Serialize;

use crate::error::{Context, Result};

/// For whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// People.
    Table,
    /// Programs.
    Json,
}

impl Format {
    /// By the flag `--json`.
    pub fn new(json: bool) -> Format {
        if json { Format::Json } else { Format::Table }
    }
}

/// Escapes whatever moves, hides or reverses text on a terminal: control, format and bidi characters.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '\'' | '"' => escaped.push(c),
            c => escaped.extend(c.escape_debug()),
        }
    }
    escaped
}

/// Columns two spaces apart, no wider than they need be.
pub fn table<const N: usize>(head: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    columns(&head, rows.into_iter().map(Vec::from))
}

/// As [`table`], of columns that were chosen; each row has as many cells as the head.
pub fn columns(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let rows: Vec<Vec<String>> =
        rows.into_iter().map(|row| row.iter().map(|cell| escape(cell)).collect()).collect();
    let mut widths: Vec<usize> = head.iter().map(|cell| cell.len()).collect();
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: Vec<&str>| {
        let padded: Vec<String> =
            cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        format!("{}\n", padded.join("  ").trim_end())
    };
    let mut text = line(head.to_vec());
    for row in &rows {
        text.push_str(&line(row.iter().map(String::as_str).collect()));
    }
    text
}

/// `NAME: value` lines, the names aligned; what is empty is left out.
pub fn fields(fields: &[(&str, String)]) -> String {
    let shown = || fields.iter().filter(|(_, value)| !value.is_empty());
    let width = shown().map(|(name, _)| name.len()).max().unwrap_or(0);
    shown().map(|(name, value)| format!("{name:>width$}: {}\n", escape(value))).collect()
}

/// Prints to standard output; that the reader has gone is no error.
pub fn print(text: &str) -> Result<()> {
    offer(text).map(drop)
}

/// Whether somebody reads what is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// As far as can be told.
    There,
    /// It has closed its end.
    Gone,
}

/// As [`print`], for who goes on printing as long as there is a reader.
pub fn offer(text: &str) -> Result<Reader> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(Reader::Gone),
        result => result.context(|| "failed to write to standard output").map(|()| Reader::There),
    }
}

/// Prints JSON and a newline.
pub fn print_json(value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value).map_err(std::io::Error::from);
    print(&(text.context(|| "failed to write JSON")? + "\n"))
}

/// JSON on one line.
pub fn json_line(value: &impl Serialize) -> Result<String> {
    let text = serde_json::to_string(value).map_err(std::io::Error::from);
    Ok(text.context(|| "failed to write JSON")? + "\n")
}

/// Says something beside the result, to standard error.
pub fn warn(warnings: &[String]) {
    for warning in warnings {
        eprintln!("containerctl: warning: {}", escape(warning));
    }
}

/// Bytes as people read them, `-` for none.
pub fn bytes(count: Option<u64>) -> String {
    let Some(count) = count else { return dash() };
    let units = ["B", "K", "M", "G", "T"];
    let mut value = count as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < units.len() {
        (value, unit) = (value / 1024.0, unit + 1);
    }
    if unit == 0 { format!("{count}B") } else { format!("{value:.1}{}", units[unit]) }
}

/// The two largest units of a time.
pub fn duration(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}min {}s", seconds % 60),
        (0, ..) => format!("{hours}h {minutes}min"),
        _ => format!("{days}d {hours}h"),
    }
}

/// Microseconds of processor time, which is short where a machine has just begun.
pub fn cpu_time(usec: u64) -> String {
    if usec < 60_000_000 { format!("{:.2}s", usec as f64 / 1e6) } else { duration(usec / 1_000_000) }
}

/// Items joined by commas, or `-` for none.
pub fn list(items: impl IntoIterator<Item = impl ToString>) -> String {
    let text = items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(", ");
    if text.is_empty() { dash() } else { text }
}

/// A value, or `-`.
pub fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(dash, |value| value.to_string())
}

/// A flag, as definitions have it.
pub fn yes_no(flag: bool) -> String {
    if flag { "yes" } else { "no" }.to_string()
}

fn dash() -> String {
    "-".to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_can_move_the_cursor_or_turn_the_text() {
        assert_eq!(escape("a\x1b[2J\u{202e}\u{200b}\n\u{9b}b"), "a\\u{1b}[2J\\u{202e}\\u{200b}\\n\\u{9b}b");
        assert_eq!(escape("machine-web\\x2d1.slice 'é' \"x\""), "machine-web\\x2d1.slice 'é' \"x\"");
    }

    #[test]
    fn columns_are_aligned_and_end_clean() {
        let rows = [["p1".to_string(), "x".to_string()], ["longer".to_string(), String::new()]];
        assert_eq!(table(["NAME", "B"], rows), "NAME    B\np1      x\nlonger\n");
    }

    #[test]
    fn bytes_are_short() {
        assert_eq!(bytes(Some(512)), "512B");
        assert_eq!(bytes(Some(1536)), "1.5K");
        assert_eq!(bytes(None), "-");
    }
}
