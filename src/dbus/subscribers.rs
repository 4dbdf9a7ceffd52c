//! Callers that subscribed to signals, and the signals that they get.
//!
//! Signals are sent to subscribers alone, who were allowed to look when they subscribed: a broadcast would reach everyone.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::mpsc::{self, SyncSender};
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
use crate::error::{Context, Error, Result};
use crate::machine::RunState;
use crate::machine::inspect::events::{Event, Notice};
use crate::systemd::block_on;

/// The bus's signal that a connection has ended.
const LEFT: &str = "type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged',arg2=''";
/// The sender of signals of the bus itself; nobody else can use the name.
const DRIVER: &str = "org.freedesktop.DBus";

/// The subscribers.
#[derive(Default)]
pub struct Subscribers {
    /// Their unique names.
    names: Mutex<BTreeSet<String>>,
    /// Whether changes are followed, which begins with the first subscription.
    follows: Mutex<bool>,
}

impl Subscribers {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        lock(&self.names).is_empty()
    }

    /// Adds or removes the caller.
    pub async fn change(
        self: Arc<Self>,
        service: &Arc<Service>,
        call: &Header<'_>,
        change: Subscription,
    ) -> std::result::Result<(), Fault> {
        let Some(sender) = call.sender() else { return Ok(()) };
        if change == Subscription::End {
            lock(&self.names).remove(sender.as_str());
            return Ok(());
        }
        let begun = service.clone();
        zruntime::unblock(move || begun.subscribers.begin(&begun)).await?;
        lock(&self.names).insert(sender.to_string());
        // The end of a caller that left before this was not noticed.
        if !is_there(service, sender).await {
            lock(&self.names).remove(sender.as_str());
        }
        Ok(())
    }

    /// Follows changes from the first subscription on. Returns once none can be missed.
    fn begin(&self, service: &Arc<Service>) -> Result<()> {
        let mut follows = lock(&self.follows);
        if *follows {
            return Ok(());
        }
        let listened = block_on(ask_driver(service, "AddMatch", LEFT));
        listened.context(|| "failed to listen for callers that leave")?;
        follow_containers(service)?;
        members::follow(service)?;
        *follows = true;
        Ok(())
    }

    /// Takes in a signal of the bus: a caller that has left is no subscriber any more.
    pub fn receive(&self, message: &Message) {
        let header = message.header();
        let sender = header.sender().map(|sender| sender.as_str());
        let member = header.member().map(|member| member.as_str());
        if (sender, member) == (Some(DRIVER), Some("NameOwnerChanged"))
            && let Ok((name, _, _)) = message.body().deserialize::<(String, String, String)>()
        {
            lock(&self.names).remove(&name);
        }
    }

    /// Signals to all that are there now.
    pub fn signals<'a>(&self, service: &'a Service) -> Signals<'a> {
        Signals { service, subscribers: lock(&self.names).iter().cloned().collect() }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn is_there(service: &Service, name: &UniqueName<'_>) -> bool {
    let answer = ask_driver(service, "NameHasOwner", name.as_str()).await;
    answer.and_then(|answer| answer.body().deserialize()).unwrap_or(false)
}

/// Calls the bus itself.
async fn ask_driver(service: &Service, method: &str, argument: &str) -> zbus::Result<Message> {
    let driver = Some(DRIVER);
    service.bus.call_method(driver, "/org/freedesktop/DBus", driver, method, &argument).await
}

/// Follows containers in a thread, for as long as the service is there. Returns once all were looked at.
fn follow_containers(service: &Arc<Service>) -> Result<()> {
    let (looked, wait) = mpsc::sync_channel::<Result<()>>(1);
    let service = service.clone();
    let follow = move || {
        let mut known = Known { looked: Some(looked), states: BTreeMap::new() };
        let followed = service.host.watch(
            |_| true,
            |notice| {
                if let Some(signal) = known.update(notice) {
                    service.subscribers.signals(&service).send_change(&signal);
                }
                Ok(true)
            },
        );
        match (followed, known.looked.take()) {
            (Err(error), Some(looked)) => _ = looked.send(Err(error)),
            // The next subscription begins anew.
            _ => *lock(&service.subscribers.follows) = false,
        }
    };
    std::thread::Builder::new().spawn(follow).context(|| "failed to start a thread")?;
    wait.recv().unwrap_or_else(|_| Err(Error::failed("failed to follow the containers")))
}

/// The containers that subscribers know.
struct Known {
    /// Gets the end of the first look.
    looked: Option<SyncSender<Result<()>>>,
    states: BTreeMap<String, RunState>,
}

impl Known {
    /// Takes in a notice. Returns the signal that it causes; none before the end of the first look.
    fn update(&mut self, notice: Notice) -> Option<Change> {
        let change = match notice {
            Notice::Defined(name) => {
                self.states.entry(name.to_string()).or_default();
                Change::New(name.to_string())
            }
            Notice::Undefined(name) => {
                self.states.remove(name.as_str());
                Change::Removed(name.to_string())
            }
            Notice::Found(name, state) => {
                self.states.insert(name.to_string(), state);
                return None;
            }
            Notice::Changed(Event { name, state, .. }) => {
                // One that was defined since systemd read its files is reported when systemd reads them again.
                *self.states.get_mut(&name)? = state;
                Change::State(name, state.to_string())
            }
            Notice::Looked => {
                if let Some(looked) = self.looked.take() {
                    let _ = looked.send(Ok(()));
                }
                return None;
            }
        };
        self.looked.is_none().then_some(change)
    }
}

/// A change of a container.
#[derive(Debug, PartialEq, Eq)]
enum Change {
    New(String),
    Removed(String),
    State(String, String),
}

/// Signals to subscribers.
pub struct Signals<'a> {
    service: &'a Service,
    subscribers: Vec<String>,
}

impl Signals<'_> {
    fn send_change(&self, change: &Change) {
        let manager = format!("{NAME}.Manager");
        let object = |name: &str| zbus::OwnedObjectPath::try_from(path_of(name)).unwrap_or_default();
        match change {
            Change::New(name) => self.send(PATH, &manager, "ContainerNew", &(name, object(name))),
            Change::Removed(name) => self.send(PATH, &manager, "ContainerRemoved", &(name, object(name))),
            Change::State(name, state) => {
                self.send(PATH, &manager, "StateChanged", &(name, object(name), state));
                let changed = HashMap::from([("State", Variant::from(state.as_str()))]);
                self.send_properties(&path_of(name), container::NAME, &changed);
            }
        }
    }

    /// Sends new values of properties.
    pub fn send_properties(&self, path: &str, interface: &str, changed: &HashMap<&str, Variant<'_>>) {
        let body = (interface, changed, Vec::<&str>::new());
        self.send(path, "org.freedesktop.DBus.Properties", "PropertiesChanged", &body);
    }

    /// Sends a signal. A subscriber who has gone is no error.
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
    use crate::name::MachineName;

    #[test]
    fn every_change_after_the_first_look_is_signalled_once() {
        let name = |name: &str| MachineName::new(name).unwrap();
        let (looked, wait) = mpsc::sync_channel(1);
        let mut known = Known { looked: Some(looked), states: BTreeMap::new() };
        let changed = |name: &str, state| {
            Notice::Changed(Event { name: name.into(), state, previous: RunState::Stopped, time_usec: 0 })
        };
        for notice in [
            Notice::Defined(name("b")),
            Notice::Defined(name("c")),
            Notice::Found(name("c"), RunState::Running),
            Notice::Looked,
        ] {
            assert_eq!(known.update(notice), None);
        }
        wait.try_recv().unwrap().unwrap();
        assert_eq!(known.update(Notice::Undefined(name("c"))), Some(Change::Removed("c".into())));
        assert_eq!(known.update(Notice::Defined(name("d"))), Some(Change::New("d".into())));
        let running = known.update(changed("b", RunState::Running));
        assert_eq!(running, Some(Change::State("b".into(), RunState::Running.to_string())));
        assert_eq!(known.update(Notice::Looked), None);
        assert_eq!(known.update(changed("c", RunState::Running)), None, "nobody knows it");
    }
}
