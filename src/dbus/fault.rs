//! The error reply of a failed call: an error name and a sentence.

use crate::error::{Error, Kind};

/// An error reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// `org.containerctl1.Error.NotFound`, or one of D-Bus' own.
    pub name: String,
    /// For a person.
    pub text: String,
}

impl Fault {
    /// One of `org.freedesktop.DBus.Error.*`.
    pub fn standard(name: &str, text: impl Into<String>) -> Fault {
        Fault { name: format!("org.freedesktop.DBus.Error.{name}"), text: text.into() }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Fault {
        let text = error.to_string();
        match name(error.kind()) {
            "AccessDenied" => Fault::standard("AccessDenied", text),
            name => Fault { name: format!("{}.Error.{name}", super::NAME), text },
        }
    }
}

/// The last part of the name. Programs branch on it as scripts do on the exit codes.
fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Failed => "Failed",
        Kind::NotFound => "NotFound",
        Kind::Denied => "AccessDenied",
        Kind::Busy => "Busy",
        Kind::Unsupported => "Unsupported",
        Kind::Stuck => "Stuck",
        Kind::TimedOut => "TimedOut",
        Kind::Config => "Config",
        Kind::Interrupted => "Interrupted",
    }
}
