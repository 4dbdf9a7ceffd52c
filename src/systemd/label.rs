//! One part of an object path (sd_bus_path_encode(3)): `web-1` becomes `web_2d1`.

/// Encodes every byte but letters, and digits after the first place, as `_` and two hexadecimal digits.
pub fn encode(name: &str) -> String {
    let mut label = String::with_capacity(name.len());
    for (i, byte) in name.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' => label.push(byte.into()),
            b'0'..=b'9' if i > 0 => label.push(byte.into()),
            _ => label.push_str(&format!("_{byte:02x}")),
        }
    }
    // An empty part is not allowed.
    if label.is_empty() { "_".to_string() } else { label }
}

/// The inverse of [`encode`]; `None` for what it does not write, so that a thing has one path only.
pub fn decode(label: &str) -> Option<String> {
    let mut name = Vec::new();
    let mut rest = if label == "_" { "" } else { label };
    while let Some(first) = rest.chars().next() {
        let (byte, length) = match first {
            '_' => (u8::from_str_radix(rest.get(1..3)?, 16).ok()?, 3),
            _ => (u8::try_from(first).ok()?, 1),
        };
        name.push(byte);
        rest = rest.get(length..)?;
    }
    String::from_utf8(name).ok().filter(|name| encode(name) == label)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_units_path_is_systemds() {
        assert_eq!(encode(r"machine-web\x2d1.scope"), "machine_2dweb_5cx2d1_2escope");
        assert_eq!(decode("container_40p1_2eservice").as_deref(), Some("container@p1.service"));
        assert_eq!(decode("a_4"), None);
    }

    #[test]
    fn a_thing_has_one_path() {
        for label in ["_61", "a_2D", "1", "_zz", "_2", "é"] {
            assert_eq!(decode(label), None, "{label}");
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_comes_back(name in ".*") {
            prop_assert_eq!(decode(&encode(&name)), Some(name));
        }
    }
}
