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

use super::bus::{self, told};
use super::jobs::QUEUE;
use super::manager::{ListedUnit, SystemdManagerProxy, UnitState};
use crate::error::{Error, Result};

/// Everything that systemd says of its units and of itself.
const RULE: &str =
    "type='signal',sender='org.freedesktop.systemd1',path_namespace='/org/freedesktop/systemd1'";
/// Where the objects of units are.
const UNITS: &str = "/org/freedesktop/systemd1/unit/";

/// What has changed.
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
    /// What was told up to here is part of what was seen.
    seen: Sequence,
}

impl Watch {
    /// Listens from now on.
    pub async fn begin() -> Result<Watch> {
        let connection = bus::connect().await?;
        let failed = |error| told("failed to listen to systemd", &error);
        let rule = MatchRule::try_from(RULE).map_err(failed)?;
        let stream = MessageStream::for_match_rule(rule, &connection, Some(QUEUE)).await.map_err(failed)?;
        let manager = SystemdManagerProxy::new(&connection).await.map_err(failed)?;
        manager.subscribe().await.map_err(failed)?;
        Ok(Watch { connection, stream, seen: Sequence::default() })
    }

    /// The loaded units that match one of `patterns`, as they are now.
    pub async fn look(&mut self, patterns: &[&str]) -> Result<Vec<UnitState>> {
        let failed = |error| told("failed to list units", &error);
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
        let path = format!("{UNITS}{}", label(unit));
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

/// What a signal says; `None` if it is not about a unit's state.
fn read(message: &Message) -> Option<Change> {
    let (header, body) = (message.header(), message.body());
    match header.member()?.as_str() {
        "PropertiesChanged" => {
            let name = unlabel(header.path()?.as_str().strip_prefix(UNITS)?)?;
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

/// The last part of a unit's object path: what is no letter or digit as `_` and two hexadecimal digits
/// (sd_bus_path_encode(3)).
fn label(unit: &str) -> String {
    let mut label = String::new();
    for (index, byte) in unit.bytes().enumerate() {
        match byte {
            b'0'..=b'9' if index > 0 => label.push(byte.into()),
            b'a'..=b'z' | b'A'..=b'Z' => label.push(byte.into()),
            _ => label.push_str(&format!("_{byte:02x}")),
        }
    }
    label
}

fn unlabel(label: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(label.len());
    let mut rest = label.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'_' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_units_path_is_systemds() {
        assert_eq!(label(r"machine-web\x2d1.scope"), "machine_2dweb_5cx2d1_2escope");
        assert_eq!(unlabel("container_40p1_2eservice").as_deref(), Some("container@p1.service"));
        assert_eq!(unlabel("a_4"), None);
    }

    proptest! {
        #[test]
        fn what_is_labelled_can_be_read_again(name in "[a-zA-Z0-9:_.@\\\\-]{1,40}") {
            prop_assert_eq!(unlabel(&label(&name)), Some(name));
        }
    }
}
