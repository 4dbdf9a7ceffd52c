//! Compression of an archive, detected by its first bytes and never by its name.

use serde::{Deserialize, Serialize};

/// The closed list of compressors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Compression {
    /// Not compressed, as far as one can see; tar knows what is no archive at all.
    None,
    /// gzip(1).
    Gzip,
    /// bzip2(1).
    Bzip2,
    /// xz(1).
    Xz,
    /// zstd(1).
    Zstd,
}

impl Compression {
    /// Bytes of the longest magic.
    pub const MAGIC: usize = 6;

    /// Detects the compression by the first [`Self::MAGIC`] bytes.
    pub fn of(start: &[u8]) -> Compression {
        let magics: [(&[u8], Compression); 4] = [
            (b"\x1f\x8b", Compression::Gzip),
            (b"BZh", Compression::Bzip2),
            (b"\xfd7zXZ\0", Compression::Xz),
            (b"\x28\xb5\x2f\xfd", Compression::Zstd),
        ];
        magics.into_iter().find(|(magic, _)| start.starts_with(magic)).map_or(Compression::None, |(_, is)| is)
    }

    /// The option by which tar(1) starts the right program.
    pub fn option(self) -> Option<&'static str> {
        match self {
            Compression::None => None,
            Compression::Gzip => Some("--gzip"),
            Compression::Bzip2 => Some("--bzip2"),
            Compression::Xz => Some("--xz"),
            Compression::Zstd => Some("--zstd"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_decide() {
        assert_eq!(Compression::of(b"\x1f\x8b\x08\0\0\0"), Compression::Gzip);
        assert_eq!(Compression::of(b"\xfd7zXZ\0"), Compression::Xz);
        assert_eq!(Compression::of(b"./\0\0\0\0"), Compression::None);
        assert_eq!(Compression::of(b""), Compression::None);
    }
}
