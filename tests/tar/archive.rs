//! Archives as no tar would write them: headers of 512 bytes with whatever one wants in them.

/// One archive, grown entry by entry.
#[derive(Clone, Default)]
pub struct Archive(Vec<u8>);

/// The fields of a ustar header that the tests bend.
#[derive(Clone, Copy)]
pub struct Entry<'a> {
    pub name: &'a [u8],
    pub kind: u8,
    pub mode: u32,
    pub uid: u32,
    pub link: &'a str,
    pub data: &'a [u8],
    /// The size field as text; the data's own where it is `None`.
    pub size: Option<&'a [u8; 12]>,
}

impl Default for Entry<'_> {
    fn default() -> Self {
        Entry { name: b"x", kind: b'0', mode: 0o644, uid: 0, link: "", data: b"", size: None }
    }
}

impl Archive {
    pub fn add(mut self, entry: Entry) -> Archive {
        let mut header = [0u8; 512];
        let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &entry.name[..entry.name.len().min(100)]);
        put(100, format!("{:07o}\0", entry.mode).as_bytes());
        put(108, format!("{:07o}\0", entry.uid).as_bytes());
        put(116, b"0000000\0");
        put(124, entry.size.unwrap_or(&size(entry.data.len())));
        put(136, b"00000000000\0");
        put(156, &[entry.kind]);
        put(157, entry.link.as_bytes());
        put(257, b"ustar\x0000");
        put(329, b"0000001\0");
        put(337, b"0000003\0");
        put(148, b"        ");
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.0.extend_from_slice(&header);
        self.0.extend_from_slice(entry.data);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    pub fn file(self, name: &str, data: &[u8]) -> Archive {
        self.add(Entry { name: name.as_bytes(), data, ..Entry::default() })
    }

    pub fn directory(self, name: &str) -> Archive {
        self.add(Entry { name: name.as_bytes(), kind: b'5', mode: 0o755, ..Entry::default() })
    }

    pub fn symlink(self, name: &str, link: &str) -> Archive {
        self.add(Entry { name: name.as_bytes(), kind: b'2', link, ..Entry::default() })
    }

    pub fn hardlink(self, name: &str, link: &str) -> Archive {
        self.add(Entry { name: name.as_bytes(), kind: b'1', link, ..Entry::default() })
    }

    /// A pax header for the next entry.
    pub fn pax(self, key: &str, value: &[u8]) -> Archive {
        let body = key.len() + value.len() + 3;
        let length =
            (body..body + 12).find(|length| length.to_string().len() + body == *length).unwrap_or(body);
        let record = [format!("{length} {key}=").as_bytes(), value, b"\n"].concat();
        self.add(Entry { name: b"pax", kind: b'x', data: &record, ..Entry::default() })
    }

    /// Ends the archive.
    pub fn end(mut self) -> Vec<u8> {
        self.0.extend_from_slice(&[0u8; 1024]);
        self.0
    }
}

fn size(bytes: usize) -> [u8; 12] {
    let mut field = [0u8; 12];
    field[..11].copy_from_slice(format!("{bytes:011o}").as_bytes());
    field
}
