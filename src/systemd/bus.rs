//! The system bus: one connection for all calls of a host, and its errors in our words and kinds.

use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use nix::sys::signal::SigSet;

use super::manager::Manager;
use crate::error::{Cause, Context, Error, Kind, Result};

/// The system bus. The connection is made by the first call, and again by the next call after it was lost. Clones share
/// it, also between threads; it is closed with the last of them.
#[derive(Clone, Default)]
pub struct Bus(Arc<Shared>);

#[derive(Default)]
struct Shared {
    connection: Mutex<Option<zbus::Connection>>,
    /// Whether the connection is another's, and stays open.
    borrowed: bool,
}

impl Bus {
    /// The connection, which is open as far as is known.
    pub(crate) async fn connection(&self) -> Result<zbus::Connection> {
        let mut known = self.0.connection.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(connection) = known.as_ref().filter(|connection| !connection.is_closed()) {
            return Ok(connection.clone());
        }
        let connection = connect_in_thread()?;
        *known = Some(connection.clone());
        Ok(connection)
    }

    /// systemd's manager on this bus.
    pub async fn manager(&self) -> Result<Manager> {
        Manager::on(&self.connection().await?).await
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let connection = self.connection.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(connection) = connection.filter(|_| !self.borrowed) {
            let _ = zbus::block_on(connection.close());
        }
    }
}

impl From<zbus::Connection> for Bus {
    fn from(connection: zbus::Connection) -> Bus {
        Bus(Arc::new(Shared { connection: Mutex::new(Some(connection)), borrowed: true }))
    }
}

/// Connects in a thread that does the connection's work until it is closed. The thread takes no signals: zbus would start
/// one that does, and the program's own threads could not block them for the process.
fn connect_in_thread() -> Result<zbus::Connection> {
    let failed = || "failed to start a thread for the system bus";
    let (sender, receiver) = mpsc::channel();
    let work = move || {
        let _ = SigSet::all().thread_block();
        zbus::block_on(async {
            match connect().await {
                Ok(connection) => {
                    let _ = sender.send(Ok(connection.clone()));
                    connection.closed().await;
                }
                Err(error) => _ = sender.send(Err(error)),
            }
        });
    };
    std::thread::Builder::new().spawn(work).context(failed)?;
    receiver.recv().unwrap_or_else(|_| Err(Error::failed(failed())))
}

impl std::fmt::Debug for Bus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Bus")
    }
}

/// Time for which a bus that is being restarted is waited for.
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

/// Whether the bus or the called service has gone away. Both do when they are restarted, and answer when they are called
/// again.
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
pub(super) fn failure(what: &str, error: &zbus::Error) -> Error {
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
