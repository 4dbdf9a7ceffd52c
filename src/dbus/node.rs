//! Object paths. A path says what is asked for, never whether there is such a container.

/// What a path stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// `/` and `/org`: only a way to the manager.
    Above(&'static str),
    /// `/org/containerctl1`.
    Manager,
    /// `/org/containerctl1/container`, below which the containers are.
    Containers,
    /// A container by its name, which need not be a valid one.
    Container(String),
}

impl Node {
    /// The node at `path`; `None` where nothing can be.
    pub fn of(path: &str) -> Option<Node> {
        match path {
            "/" => Some(Node::Above("org")),
            "/org" => Some(Node::Above("containerctl1")),
            _ => match path.strip_prefix(super::PATH)? {
                "" => Some(Node::Manager),
                "/container" => Some(Node::Containers),
                rest => unescape(rest.strip_prefix("/container/")?).map(Node::Container),
            },
        }
    }

    /// The container's name, where there is one.
    pub fn container(&self) -> &str {
        match self {
            Node::Container(name) => name,
            _ => "",
        }
    }
}

/// The path of a container.
pub fn path_of(name: &str) -> String {
    format!("{}/container/{}", super::PATH, escape(name))
}

/// One part of an object path, as systemd escapes it: `web-1` becomes `web_2d1`.
pub fn escape(name: &str) -> String {
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

/// The inverse of [`escape`]; `None` for what it does not write, so that a container has one path only.
pub fn unescape(label: &str) -> Option<String> {
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
    String::from_utf8(name).ok().filter(|name| escape(name) == label)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paths_are_those_that_systemd_would_write() {
        assert_eq!(path_of("web-1"), "/org/containerctl1/container/web_2d1");
        assert_eq!(path_of("1a.b"), "/org/containerctl1/container/_31a_2eb");
        assert_eq!(Node::of("/org/containerctl1/container/web_2d1"), Some(Node::Container("web-1".into())));
        assert_eq!(Node::of("/org/containerctl1"), Some(Node::Manager));
        for path in ["/org/containerctl", "/org/containerctl1x", "/org/containerctl1/container/a/b", "/x"] {
            assert_eq!(Node::of(path), None, "{path}");
        }
    }

    #[test]
    fn a_container_has_one_path() {
        for label in ["_61", "a_2D", "1", "_zz", "_2", "é"] {
            assert_eq!(unescape(label), None, "{label}");
        }
    }

    proptest! {
        #[test]
        fn every_name_comes_back(name in ".*") {
            prop_assert_eq!(unescape(&escape(&name)), Some(name));
        }

        #[test]
        fn no_path_panics(path in ".*") {
            let _ = Node::of(&path);
            let _ = Node::of(&format!("/org/containerctl1/container/{path}"));
        }
    }
}
