//! Object paths. A path says what is asked for, never whether there is such a container.

use super::interface::Interface;
use super::{container, manager, network};
use crate::systemd::label;

/// The object of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// `/` and `/org`: only a way to the manager.
    Above(&'static str),
    /// `/org/containerctl1`.
    Manager,
    /// `/org/containerctl1/network`.
    Network,
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
                "/network" => Some(Node::Network),
                "/container" => Some(Node::Containers),
                rest => label::decode(rest.strip_prefix("/container/")?).map(Node::Container),
            },
        }
    }

    /// The container's name, where there is one.
    pub fn container(&self) -> Option<&str> {
        match self {
            Node::Container(name) => Some(name),
            _ => None,
        }
    }

    /// The interfaces of the object.
    pub fn interfaces(&self) -> Vec<Interface> {
        match self {
            Node::Manager => manager::interfaces(),
            Node::Network => network::interfaces(),
            Node::Container(_) => container::interfaces(),
            Node::Above(_) | Node::Containers => Vec::new(),
        }
    }
}

/// The path of a container.
pub fn path_of(name: &str) -> String {
    format!("{}/container/{}", super::PATH, label::encode(name))
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

    proptest! {
        #[test]
        fn no_path_panics(path in ".*") {
            let _ = Node::of(&path);
            let _ = Node::of(&format!("/org/containerctl1/container/{path}"));
        }
    }
}
