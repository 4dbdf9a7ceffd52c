//! Changes of units as systemd tells them, without asking again and again.
//!
//! Listening comes before looking, and what was told before the look is left out by its place in the stream: no change
//! is missed and none is seen twice.

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::Pin;

use futures_core::Stream;
use zbus::message::Sequence;
use zbus::{MatchRule, Message, MessageStream, ObjectPath, Variant};

use super::bus::{Bus, failure};
use super::jobs::QUEUE;
use super::label;
use super::manager::{ListedUnit, Manager, SystemdManagerProxy, UnitState};
use crate::error::{Error, Result};

/// Everything that systemd says of its units and of itself.
const RULE: &str =
    "type='signal',sender='org.freedesktop.systemd1',path_namespace='/org/freedesktop/systemd1'";
/// The object path prefix of units.
const UNITS: &str = "/org/freedesktop/systemd1/unit/";

/// A change that systemd signals.
#[derive(Debug, PartialEq, Eq)]
pub enum Change {
    /// Properties of a unit that are strings, by their names; of those that have changed.
    Unit {
        /// The unit.
        name: String,
        /// The properties.
        properties: HashMap<String, String>,
    },
    /// systemd has forgotten a unit.
    Gone(String),
    /// All units were loaded anew: look again.
    Reloaded,
}

/// A listener.
pub struct Watch {
    connection: zbus::Connection,
    stream: MessageStream,
    /// Signals up to this one are already part of the reply.
    seen: Sequence,
}

impl Watch {
    /// Listens from now on.
    pub async fn begin(bus: &Bus) -> Result<Watch> {
        Watch::on(bus.connection().await?).await
    }

    /// Listens on this connection from now on.
    pub(super) async fn on(connection: zbus::Connection) -> Result<Watch> {
        let failed = |error| failure("failed to listen to systemd", &error);
        let rule = MatchRule::try_from(RULE).map_err(failed)?;
        let stream = MessageStream::for_match_rule(rule, &connection, Some(QUEUE)).await.map_err(failed)?;
        Manager::on(&connection).await?.subscribe().await.map_err(failed)?;
        Ok(Watch { connection, stream, seen: Sequence::default() })
    }

    /// The loaded units that match one of `patterns`, as they are now.
    pub async fn look(&mut self, patterns: &[&str]) -> Result<Vec<UnitState>> {
        let failed = |error| failure("failed to list units", &error);
        let manager = SystemdManagerProxy::new(&self.connection).await.map_err(failed)?;
        let states: &[&str] = &[];
        let reply = manager.inner().call_method("ListUnitsByPatterns", &(states, patterns)).await;
        let reply = reply.map_err(failed)?;
        let units: Vec<ListedUnit> = reply.body().deserialize().map_err(failed)?;
        self.seen = reply.recv_position();
        Ok(units.into_iter().map(UnitState::from).collect())
    }

    /// `FreezerState` of a unit, as it is now; empty if the unit is gone.
    pub async fn freezer(&self, unit: &str) -> String {
        let path = format!("{UNITS}{}", label::encode(unit));
        let arguments = ("org.freedesktop.systemd1.Unit", "FreezerState");
        let (name, interface) = ("org.freedesktop.systemd1", "org.freedesktop.DBus.Properties");
        let reply = self.connection.call_method(Some(name), path, Some(interface), "Get", &arguments).await;
        let text = |reply: Message| {
            let body = reply.body();
            let value: Variant<'_> = body.deserialize().ok()?;
            <&str>::try_from(&value).ok().map(str::to_string)
        };
        reply.ok().and_then(text).unwrap_or_default()
    }

    /// Waits for the next change.
    pub async fn next(&mut self) -> Result<Change> {
        loop {
            let message = poll_fn(|context| Pin::new(&mut self.stream).poll_next(context)).await;
            let message = match message {
                Some(Ok(message)) => message,
                Some(Err(_)) | None => return Err(Error::failed("the system bus went away")),
            };
            if message.recv_position() > self.seen
                && let Some(change) = read(&message)
            {
                return Ok(change);
            }
        }
    }
}

/// The change in a signal; `None` if it is not about a unit's state.
fn read(message: &Message) -> Option<Change> {
    let (header, body) = (message.header(), message.body());
    match header.member()?.as_str() {
        "PropertiesChanged" => {
            let name = label::decode(header.path()?.as_str().strip_prefix(UNITS)?)?;
            let (interface, changed, _): (&str, HashMap<&str, Variant<'_>>, Vec<&str>) =
                body.deserialize().ok()?;
            let text = |(key, value): (&str, Variant<'_>)| {
                Some((key.to_string(), <&str>::try_from(&value).ok()?.to_string()))
            };
            let properties = changed.into_iter().filter_map(text).collect();
            (interface == "org.freedesktop.systemd1.Unit").then_some(Change::Unit { name, properties })
        }
        "UnitRemoved" => {
            let (name, _): (String, ObjectPath<'_>) = body.deserialize().ok()?;
            Some(Change::Gone(name))
        }
        "Reloading" => {
            let begins: bool = body.deserialize().ok()?;
            (!begins).then_some(Change::Reloaded)
        }
        _ => None,
    }
}
