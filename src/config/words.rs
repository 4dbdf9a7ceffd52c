//! Lists of words, quoted as in a shell, and environment variables.
//!
//! The rules are systemd.syntax(7)'s: white space separates, single and double quotes join (also in the middle of
//! a word), and `\` escapes as in C, inside quotes too.

use super::values::{Parsed, Wrong};

/// Words that need no quotes, each with its offset.
pub fn plain(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let start = text.as_ptr().addr();
    text.split_whitespace().map(move |word| (word.as_ptr().addr() - start, word))
}

/// Words with quotes and escapes resolved.
pub fn quoted(text: &str) -> Parsed<Vec<String>> {
    Ok(split(text)?.into_iter().map(|(_, word)| word).collect())
}

/// `NAME=VALUE` words, as `Environment=` has them.
pub fn environment(text: &str) -> Parsed<Vec<(String, String)>> {
    split(text)?
        .into_iter()
        .map(|(offset, word)| variable(&word).map_err(|wrong| wrong.shifted(offset)))
        .collect()
}

fn variable(word: &str) -> Parsed<(String, String)> {
    let Some((name, value)) = word.split_once('=') else {
        return Err(Wrong::new(format!("'{word}' is not NAME=VALUE")));
    };
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if !starts_well || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        return Err(Wrong::new(format!("'{name}' is not the name of a variable")));
    }
    if value.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
        return Err(Wrong::new(format!("the value of '{name}' has a control character")));
    }
    Ok((name.to_string(), value.to_string()))
}

fn split(text: &str) -> Parsed<Vec<(usize, String)>> {
    let mut words = Vec::new();
    let mut word: Option<(usize, String)> = None;
    let mut quote: Option<(usize, char)> = None;
    let mut rest = text.char_indices();
    while let Some((offset, c)) = rest.next() {
        if quote.is_none() && c.is_whitespace() {
            words.extend(word.take());
            continue;
        }
        let (_, word) = word.get_or_insert((offset, String::new()));
        match (c, quote) {
            ('\\', _) => word.push(escape(&mut rest).map_err(|wrong| wrong.shifted(offset))?),
            (c, Some((_, open))) if c == open => quote = None,
            ('"' | '\'', None) => quote = Some((offset, c)),
            (c, _) => word.push(c),
        }
    }
    if let Some((offset, open)) = quote {
        return Err(Wrong { offset, why: format!("{open} is not closed") });
    }
    words.extend(word);
    Ok(words)
}

/// The character of an escape sequence after `\`; NUL is refused, since no argument can hold it.
fn escape(rest: &mut std::str::CharIndices) -> Parsed<char> {
    let letter = rest.next().map(|(_, c)| c);
    let c = match letter {
        Some('a') => Some('\x07'),
        Some('b') => Some('\x08'),
        Some('f') => Some('\x0c'),
        Some('n') => Some('\n'),
        Some('r') => Some('\r'),
        Some('t') => Some('\t'),
        Some('v') => Some('\x0b'),
        Some('s') => Some(' '),
        Some(c @ ('\\' | '"' | '\'')) => Some(c),
        // Bytes from 0x80 on would be no UTF-8 by themselves.
        Some('x') => digits(rest, 2, 16).filter(char::is_ascii),
        Some('u') => digits(rest, 4, 16),
        Some('U') => digits(rest, 8, 16),
        Some(first @ '0'..='3') => octal(rest, first),
        _ => None,
    };
    match c {
        Some(c) if c != '\0' => Ok(c),
        _ => Err(Wrong::new("'\\' begins no escape here; write '\\\\' for a backslash")),
    }
}

fn octal(rest: &mut std::str::CharIndices, first: char) -> Option<char> {
    let low = digits(rest, 2, 8)?;
    char::from_u32(first.to_digit(8)? * 64 + u32::from(low)).filter(char::is_ascii)
}

fn digits(rest: &mut std::str::CharIndices, count: usize, radix: u32) -> Option<char> {
    let mut code: u32 = 0;
    for _ in 0..count {
        let (_, digit) = rest.next()?;
        code = code.checked_mul(radix)? + digit.to_digit(radix)?;
    }
    char::from_u32(code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quotes_join_and_white_space_separates() {
        for (text, words) in [
            ("", vec![]),
            ("foo", vec!["foo"]),
            ("  foo \t bar ", vec!["foo", "bar"]),
            ("\"foo bar\" 'bar baz'", vec!["foo bar", "bar baz"]),
            ("a\"b c\"d'e f'", vec!["ab cde f"]),
            ("'' \"\"", vec!["", ""]),
            ("'a\"b' \"c'd\"", vec!["a\"b", "c'd"]),
            ("a\\sb \\x41\\u00e4\\101 \\\\ \\\"", vec!["a b", "AäA", "\\", "\""]),
        ] {
            assert_eq!(quoted(text), Ok(words.into_iter().map(String::from).collect()), "{text}");
        }
    }

    #[test]
    fn wrong_words_are_pointed_at() {
        for (text, offset) in
            [("a \"b", 2), ("ab \\q", 3), ("\\x00", 0), ("\\400", 0), ("a \\", 2), ("\\xff", 0)]
        {
            assert_eq!(quoted(text).map_err(|wrong| wrong.offset), Err(offset), "{text}");
        }
        assert_eq!(environment("A=b 1C=d").map_err(|wrong| wrong.offset), Err(4));
        assert_eq!(environment("A=b C").map_err(|wrong| wrong.offset), Err(4));
    }

    #[test]
    fn variables_may_be_quoted_as_a_whole() {
        let expected = vec![("A".to_string(), "b c".to_string()), ("D".to_string(), "e=f".to_string())];
        assert_eq!(environment("\"A=b c\" D=e=f"), Ok(expected));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC*|[ab'\"\\\\xuU0 ]{0,20}") {
            let _ = (quoted(&text), environment(&text));
        }

        #[test]
        fn quoted_words_come_back(words in prop::collection::vec("[^\u{0}]{0,6}", 0..5)) {
            let escape = |word: &String| format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""));
            let text: Vec<String> = words.iter().map(escape).collect();
            prop_assert_eq!(quoted(&text.join(" ")), Ok(words));
        }
    }
}
