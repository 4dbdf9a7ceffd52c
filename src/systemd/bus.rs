//! The system bus: connecting, and its errors in our words and kinds.

use std::time::{Duration, Instant};

use crate::error::{Cause, Error, Kind, Result};

/// Time limit for a bus that is being restarted.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);

fn is_restarting(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionRefused, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionRefused | ConnectionReset | UnexpectedEof)
}

/// Connects to the system bus.
pub(crate) async fn connect() -> Result<zbus::Connection> {
    let began = Instant::now();
    let connected = loop {
        match zbus::Connection::system().await {
            // A bus that is just being restarted; where there is none, there is no socket either.
            Err(zbus::Error::InputOutput(error)) if is_restarting(&error) && began.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(100));
            }
            connected => break connected,
        }
    };
    connected.map_err(|error| {
        Error::new(Kind::Unsupported, format!("failed to connect to the system bus: {}", error.cause()))
            .hint("start dbus.service")
    })
}

/// Whether `error` is the bus's error `name`.
pub(super) fn is(error: &zbus::Error, name: &str) -> bool {
    matches!(error, zbus::Error::MethodError(found, _, _) if found.as_str() == name)
}

/// Whether the bus or who was asked has gone away, as both do when they are restarted: asked again, they answer.
pub(super) fn is_lost(error: &zbus::Error) -> bool {
    let gone = ["NoReply", "Disconnected", "ServiceUnknown", "NameHasNoOwner"];
    match error {
        zbus::Error::MethodError(name, _, _) => {
            let name = name.as_str().strip_prefix("org.freedesktop.DBus.Error.");
            name.is_some_and(|name| gone.contains(&name))
        }
        zbus::Error::FDO(error) => matches!(
            **error,
            zbus::fdo::Error::NoReply(_)
                | zbus::fdo::Error::Disconnected(_)
                | zbus::fdo::Error::ServiceUnknown(_)
                | zbus::fdo::Error::NameHasNoOwner(_)
        ),
        zbus::Error::InputOutput(_) => true,
        _ => false,
    }
}

/// Puts the operation in front of an error of the bus, with the kind that fits.
pub(super) fn told(what: &str, error: &zbus::Error) -> Error {
    let name = match error {
        zbus::Error::MethodError(name, _, _) => name.as_str(),
        zbus::Error::FDO(error) => match &**error {
            zbus::fdo::Error::AccessDenied(_)
            | zbus::fdo::Error::AuthFailed(_)
            | zbus::fdo::Error::InteractiveAuthorizationRequired(_) => "AccessDenied",
            zbus::fdo::Error::NoReply(_) | zbus::fdo::Error::Timeout(_) => "Timeout",
            _ => "",
        },
        _ => "",
    };
    let kind = match name {
        "AccessDenied" => Kind::Denied,
        "Timeout" => Kind::TimedOut,
        "org.freedesktop.systemd1.NoSuchUnit" => Kind::NotFound,
        // The last: something else was asked of it while it was being frozen.
        "org.freedesktop.systemd1.TransactionIsDestructive"
        | "org.freedesktop.systemd1.UnitBusy"
        | "org.freedesktop.systemd1.FreezeCancelled" => Kind::Busy,
        _ => Kind::Failed,
    };
    Error::new(kind, format!("{what}: {}", error.cause()))
}

impl Cause for zbus::Error {
    fn cause(&self) -> String {
        let text = match self {
            zbus::Error::MethodError(_, Some(text), _) => text.clone(),
            zbus::Error::FDO(error) => match &**error {
                zbus::fdo::Error::AccessDenied(text)
                | zbus::fdo::Error::AuthFailed(text)
                | zbus::fdo::Error::InteractiveAuthorizationRequired(text)
                | zbus::fdo::Error::NoReply(text)
                | zbus::fdo::Error::Timeout(text) => text.clone(),
                other => other.to_string(),
            },
            zbus::Error::InputOutput(error) => error.to_string(),
            other => other.to_string(),
        };
        text.trim_end_matches('.').to_string()
    }
}
