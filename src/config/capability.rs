//! Lists of capabilities, as `Capability=` takes them.

use super::values::{Parsed, Wrong};
use super::words;
use crate::sys::capabilities::{self, Mask};

/// A list of names or numbers, or `all`, as a bit mask.
pub fn mask(text: &str) -> Parsed<Mask> {
    words::plain(text).try_fold(0, |mask, (offset, word)| {
        let bits =
            bits(word).ok_or_else(|| Wrong { offset, why: format!("'{word}' is not a capability") })?;
        Ok(mask | bits)
    })
}

fn bits(word: &str) -> Option<Mask> {
    match word {
        "all" => Some(capabilities::all()),
        _ => capabilities::bit(word).or_else(|| capabilities::numbered(word.parse().ok()?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_make_a_mask() {
        assert_eq!(mask("CAP_CHOWN cap_net_admin 39"), Ok(1 | 1 << 12 | 1 << 39));
        assert_eq!(mask("all"), Ok((1 << 41) - 1));
        assert_eq!(mask("CAP_CHECKPOINT_RESTORE"), Ok(1 << 40));
    }

    #[test]
    fn what_is_no_capability_is_pointed_at() {
        assert_eq!(mask("CAP_CHOWN CAP_FLY").map_err(|wrong| wrong.offset), Err(10));
        assert!(mask("41").is_err());
        assert!(mask("-1").is_err());
    }
}
