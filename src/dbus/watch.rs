//! Who is told of changes, and what changes there are.
//!
//! systemd's signals are only the hint to look; what is told is what `machine` says then. It is told to those who
//! subscribed, and were allowed to look when they did, for a broadcast would reach everyone.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use zbus::message::{Header, Message};
use zbus::names::UniqueName;
use zbus::{DynamicType, Variant};

use super::fault::Fault;
use super::interface::Subscription;
use super::node::path_of;
use super::service::Service;
use super::{NAME, PATH, container, members};
use crate::error::{Context, Result};
use crate::machine::Host;
use crate::machine::inspect::registry::Filter;
use crate::name::MachineName;
use crate::systemd::{Bus, block_on, label};

/// What we ask the bus for: units that change, definitions that were read anew, callers that leave.
const RULES: [&str; 3] = [
    "type='signal',sender='org.freedesktop.systemd1',path_namespace='/org/freedesktop/systemd1/unit',\
     interface='org.freedesktop.DBus.Properties',member='PropertiesChanged'",
    "type='signal',sender='org.freedesktop.systemd1',path='/org/freedesktop/systemd1',\
     interface='org.freedesktop.systemd1.Manager',member='Reloading'",
    "type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged',arg2=''",
];

/// Who sends what the bus itself has to say; nobody else can.
const DRIVER: &str = "org.freedesktop.DBus";

/// Subscribers, and the states that they know.
#[derive(Default)]
pub struct Watch {
    subscribers: Mutex<BTreeSet<String>>,
    /// States by name; none before somebody subscribes. Held while a change is told, so that changes stay in order.
    known: Mutex<Option<BTreeMap<String, String>>>,
}

impl Watch {
    /// Nobody wants to be told.
    pub fn is_unwatched(&self) -> bool {
        lock(&self.subscribers).is_empty()
    }

    /// A caller wants to be told, or not any more.
    pub async fn change(
        self: Arc<Self>,
        service: &Arc<Service>,
        call: &Header<'_>,
        what: Subscription,
    ) -> std::result::Result<(), Fault> {
        let Some(sender) = call.sender() else { return Ok(()) };
        if what == Subscription::End {
            lock(&self.subscribers).remove(sender.as_str());
            return Ok(());
        }
        let begun = service.clone();
        zruntime::unblock(move || begun.watch.begin(&begun)).await?;
        lock(&self.subscribers).insert(sender.to_string());
        // Who left before will not leave again.
        if !is_there(service, sender).await {
            lock(&self.subscribers).remove(sender.as_str());
        }
        Ok(())
    }

    /// The first time: listens, and only then looks.
    fn begin(&self, service: &Arc<Service>) -> Result<()> {
        let mut known = lock(&self.known);
        if known.is_some() {
            return Ok(());
        }
        block_on(async {
            for rule in RULES {
                add_match(service, rule).await?;
            }
            // systemd tells only where somebody asked it to.
            Bus::from(service.bus.clone()).subscribe().await
        })?;
        *known = Some(states(&service.host)?);
        members::follow(service)
    }

    /// A signal came.
    pub fn note(&self, service: &Arc<Service>, message: &Message) {
        let header = message.header();
        let sender = header.sender().map(|sender| sender.as_str());
        match (sender, header.member().map(|member| member.as_str())) {
            (Some(DRIVER), Some("NameOwnerChanged")) => {
                if let Ok((name, _, _)) = message.body().deserialize::<(String, String, String)>() {
                    lock(&self.subscribers).remove(&name);
                }
                return;
            }
            (_, Some("PropertiesChanged" | "Reloading")) => {}
            _ => return,
        }
        let unit =
            header.path().and_then(|path| path.as_str().strip_prefix("/org/freedesktop/systemd1/unit/"));
        let name = unit.map(machine_of);
        if name == Some(None) || self.is_unwatched() {
            return;
        }
        let service = service.clone();
        // It is done whether or not anybody waits for it.
        drop(zruntime::unblock(move || service.watch.look(&service, name.flatten())));
    }

    /// Looks at one machine, or which there are, and tells what is new.
    fn look(&self, service: &Service, name: Option<MachineName>) {
        let mut known = lock(&self.known);
        let Some(known) = &mut *known else { return };
        let found = match name {
            Some(name) if !known.contains_key(name.as_str()) => return,
            Some(name) => service.host.handles(std::slice::from_ref(&name))[0].state().map(|state| {
                let mut found = known.clone();
                found.insert(name.to_string(), state.to_string());
                found
            }),
            None => states(&service.host),
        };
        // It cannot be told now; the next change tries again.
        let Ok(found) = found else { return };
        let tell = self.telling(service);
        for change in changes(known, &found) {
            tell.change(&change);
        }
        *known = found;
    }

    /// To those who subscribed.
    pub fn telling<'a>(&self, service: &'a Service) -> Telling<'a> {
        Telling { service, subscribers: lock(&self.subscribers).iter().cloned().collect() }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn add_match(service: &Service, rule: &str) -> Result<()> {
    ask_driver(service, "AddMatch", rule).await.map(drop).context(|| "failed to listen for changes")
}

async fn is_there(service: &Service, name: &UniqueName<'_>) -> bool {
    let answer = ask_driver(service, "NameHasOwner", name.as_str()).await;
    answer.and_then(|answer| answer.body().deserialize()).unwrap_or(false)
}

/// Asks the bus itself.
async fn ask_driver(service: &Service, method: &str, argument: &str) -> zbus::Result<Message> {
    let driver = Some(DRIVER);
    service.bus.call_method(driver, "/org/freedesktop/DBus", driver, method, &argument).await
}

fn states(host: &Host) -> Result<BTreeMap<String, String>> {
    Ok(host
        .list(&Filter::default())?
        .into_iter()
        .map(|entry| (entry.name, entry.state.to_string()))
        .collect())
}

/// The machine that a unit belongs to, of the last part of the unit's object path.
fn machine_of(part: &str) -> Option<MachineName> {
    MachineName::of_unit(&label::decode(part)?).map(|(name, _)| name)
}

/// Something that happened.
#[derive(Debug, PartialEq, Eq)]
enum Change {
    New(String),
    Removed(String),
    State(String, String),
}

/// From what was known to what was found.
fn changes(known: &BTreeMap<String, String>, found: &BTreeMap<String, String>) -> Vec<Change> {
    let removed = known.keys().filter(|name| !found.contains_key(*name)).cloned().map(Change::Removed);
    let new = found.keys().filter(|name| !known.contains_key(*name)).cloned().map(Change::New);
    let state = found.iter().filter(|(name, state)| known.get(*name).is_some_and(|before| before != *state));
    removed.chain(new).chain(state.map(|(name, state)| Change::State(name.clone(), state.clone()))).collect()
}

/// Tells the subscribers.
pub struct Telling<'a> {
    service: &'a Service,
    subscribers: Vec<String>,
}

impl Telling<'_> {
    fn change(&self, change: &Change) {
        let manager = format!("{NAME}.Manager");
        let object = |name: &str| zbus::OwnedObjectPath::try_from(path_of(name)).unwrap_or_default();
        match change {
            Change::New(name) => self.send(PATH, &manager, "ContainerNew", &(name, object(name))),
            Change::Removed(name) => self.send(PATH, &manager, "ContainerRemoved", &(name, object(name))),
            Change::State(name, state) => {
                self.send(PATH, &manager, "StateChanged", &(name, object(name), state));
                let changed = HashMap::from([("State", Variant::from(state.as_str()))]);
                self.properties(&path_of(name), container::NAME, &changed);
            }
        }
    }

    /// New values of properties.
    pub fn properties(&self, path: &str, interface: &str, changed: &HashMap<&str, Variant<'_>>) {
        let body = (interface, changed, Vec::<&str>::new());
        self.send(path, "org.freedesktop.DBus.Properties", "PropertiesChanged", &body);
    }

    /// A subscriber who has gone is no error.
    pub fn send<B: Serialize + DynamicType>(&self, path: &str, interface: &str, member: &str, body: &B) {
        block_on(async {
            for subscriber in
                self.subscribers.iter().filter_map(|name| UniqueName::try_from(name.as_str()).ok())
            {
                let _ = self.service.bus.emit_signal(Some(subscriber), path, interface, member, body).await;
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_change_is_told_once() {
        let map = |list: &[(&str, &str)]| list.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect();
        let known = map(&[("a", "active"), ("b", "inactive"), ("c", "active")]);
        let found = map(&[("a", "active"), ("b", "active"), ("d", "inactive")]);
        let told = [
            Change::Removed("c".into()),
            Change::New("d".into()),
            Change::State("b".into(), "active".into()),
        ];
        assert_eq!(changes(&known, &found), told);
        assert_eq!(changes(&found, &found), []);
    }

    #[test]
    fn only_units_of_ours_are_looked_at() {
        assert_eq!(machine_of("container_40web_2d1_2eservice").unwrap().as_str(), "web-1");
        assert_eq!(machine_of("dbus_2eservice"), None);
        assert_eq!(machine_of("container_40p1_2eservice_2ed"), None);
    }
}
