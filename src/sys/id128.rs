//! 128-bit ids as systemd writes them (sd-id128(3)).

use crate::error::{Context, Result};

/// A random 128-bit id as 32 hexadecimal digits, marked as a version 4 UUID like sd_id128_randomize(3).
pub fn random() -> Result<String> {
    let path = "/proc/sys/kernel/random/uuid";
    let uuid = std::fs::read_to_string(path).context(|| format!("failed to read '{path}'"))?;
    Ok(uuid.trim().replace('-', ""))
}

/// Writes a 128-bit id the long way, with dashes.
pub fn dashed(id: &str) -> String {
    [0..8, 8..12, 12..16, 16..20, 20..32].map(|range| id.get(range).unwrap_or_default()).join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_dashed_as_a_uuid() {
        assert_eq!(dashed("0123456789abcdef0123456789abcdef"), "01234567-89ab-cdef-0123-456789abcdef");
    }
}
