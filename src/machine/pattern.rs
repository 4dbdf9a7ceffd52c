//! Patterns that name several machines, as those of systemctl(1) name units: `*`, `?` and `[…]` of glob(7).

use crate::error::{Error, Result};

/// A checked pattern; one without wildcards is a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(Vec<Piece>);

/// A piece of a pattern, which matches one character or any number of them.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    /// `*`.
    Many,
    /// `?`.
    Any,
    /// The character itself.
    Exactly(char),
    /// `[a-z]`: within one of the ranges; `[!a-z]`: in none of them.
    Within(Vec<(char, char)>, bool),
}

impl Pattern {
    /// Checks `text`. What no machine's name could match is refused.
    pub fn new(text: &str) -> Result<Pattern> {
        let wrong = || {
            Error::config(format!("'{}' is not a pattern for names of containers", text.escape_debug()))
                .hint("'*', '?' and '[a-z]' stand for parts of a name")
        };
        let mut rest = text;
        let mut pieces = Vec::new();
        while let Some(c) = rest.chars().next() {
            rest = &rest[c.len_utf8()..];
            pieces.push(match c {
                '*' => Piece::Many,
                '?' => Piece::Any,
                '[' => {
                    let (set, after) = rest.split_once(']').ok_or_else(wrong)?;
                    rest = after;
                    within(set).ok_or_else(wrong)?
                }
                c if c.is_ascii_alphanumeric() || "-_.".contains(c) => Piece::Exactly(c),
                _ => return Err(wrong()),
            });
        }
        if pieces.is_empty() { Err(wrong()) } else { Ok(Pattern(pieces)) }
    }

    /// Whether the whole of `name` fits.
    pub fn matches(&self, name: impl AsRef<str>) -> bool {
        let name: Vec<char> = name.as_ref().chars().collect();
        // The positions in the name that the pieces so far can have led to; never more than it is long.
        let mut reached = vec![true];
        reached.resize(name.len() + 1, false);
        for piece in &self.0 {
            reached = step(piece, &name, &reached);
        }
        reached[name.len()]
    }
}

/// The positions that `piece` reaches from `reached`.
fn step(piece: &Piece, name: &[char], reached: &[bool]) -> Vec<bool> {
    let mut next = vec![false; reached.len()];
    for at in 0..reached.len() {
        next[at] = match piece {
            Piece::Many => reached[at] || at > 0 && next[at - 1],
            piece => at > 0 && reached[at - 1] && fits(piece, name[at - 1]),
        };
    }
    next
}

fn fits(piece: &Piece, c: char) -> bool {
    match piece {
        Piece::Many | Piece::Any => true,
        Piece::Exactly(own) => *own == c,
        Piece::Within(ranges, inside) => {
            ranges.iter().any(|(from, to)| (*from..=*to).contains(&c)) == *inside
        }
    }
}

/// The content of `[…]`.
fn within(set: &str) -> Option<Piece> {
    let (set, inside) = set.strip_prefix(['!', '^']).map_or((set, true), |set| (set, false));
    let set: Vec<char> = set.chars().collect();
    let mut ranges = Vec::new();
    let mut at = 0;
    while let Some(from) = set.get(at) {
        let to = set.get(at + 2).filter(|_| set.get(at + 1) == Some(&'-'));
        at += if to.is_some() { 3 } else { 1 };
        ranges.push((*from, *to.unwrap_or(from)));
    }
    (!ranges.is_empty()).then_some(Piece::Within(ranges, inside))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn wildcards_stand_for_parts_of_a_name() {
        for (pattern, name, fits) in [
            ("p1", "p1", true),
            ("p1", "p11", false),
            ("p*", "p", true),
            ("*-db", "web-db", true),
            ("*-db", "web-dbx", false),
            ("w?b", "web", true),
            ("w[a-f]b", "web", true),
            ("w[!a-f]b", "web", false),
            ("[wx]*[0-9]", "x-9", true),
            ("*", "a.b", true),
        ] {
            assert_eq!(Pattern::new(pattern).unwrap().matches(name), fits, "{pattern} {name}");
        }
    }

    #[test]
    fn what_no_name_could_match_is_refused() {
        for text in ["", "a/b", "[a", "[]", "[!]", "a b", "ü", "\x1b[2J"] {
            assert!(Pattern::new(text).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn a_name_matches_itself_and_itself_cut_short(name in "[a-z0-9.-]{1,30}", at in 0_usize..30) {
            let at = at.min(name.len());
            prop_assert!(Pattern::new(&name).unwrap().matches(&name));
            let cut = format!("{}*", &name[..at]);
            prop_assert!(Pattern::new(&cut).unwrap().matches(&name));
        }

        #[test]
        fn many_stars_take_no_time(stars in 0_usize..40) {
            let pattern = Pattern::new(&"*a".repeat(stars + 1)).unwrap();
            prop_assert!(!pattern.matches("b".repeat(64)));
        }
    }
}
