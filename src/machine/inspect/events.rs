//! What machines do from now on, as systemd tells it; nothing is asked again and again.

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use nix::poll::{PollFd, PollFlags};
use serde::Serialize;

use super::registry;
use crate::error::{Context, Error, Kind, Result};
use crate::machine::conversation::{Conversation, Heard, Teller};
use crate::machine::lifecycle::unit::require_systemd;
use crate::name::{MachineName, UnitOf};
use crate::paths::Root;
use crate::runtime::run_state::{RunState, Scope, Service};
use crate::sys::interrupt::interrupted;
use crate::sys::poll::poll;
use crate::systemd::{
    self,
    watch::{Change, Watch},
};

/// The units that make up machines.
const PATTERNS: [&str; 2] = ["container@*.service", "machine-*.scope"];
/// How long a bus that went away is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// A machine does something else than before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Event {
    /// The machine.
    pub name: String,
    /// What it does now.
    pub state: RunState,
    /// What it did before.
    pub previous: RunState,
    /// When we heard of it, in microseconds since 1970.
    pub time_usec: u64,
}

/// Waits until the machine is in one of `states`, and says in which.
pub fn wait(
    root: &Root,
    name: &MachineName,
    states: &[RunState],
    limit: Option<Duration>,
) -> Result<RunState> {
    registry::require(root, name)?;
    require_systemd(root)?;
    let wanted = name.clone();
    let conversation = Conversation::begin(move |teller| follow(teller, &|name| *name == wanted))?;
    hear_of(name, conversation, states, limit)
}

/// The same, given up as soon as nobody reads from the pipe any more.
pub fn wait_for_reader(
    root: &Root,
    name: &MachineName,
    states: &[RunState],
    limit: Option<Duration>,
    pipe: &OwnedFd,
) -> Result<RunState> {
    registry::require(root, name)?;
    require_systemd(root)?;
    let pipe = pipe.try_clone().context(|| "failed to copy a descriptor")?;
    let wanted = name.clone();
    let conversation = Conversation::begin_both(
        move |teller| follow(teller, &|name| *name == wanted),
        move |teller| {
            // A pipe without a reader is an error, which is always told.
            let mut fds = [PollFd::new(pipe.as_fd(), PollFlags::empty())];
            let _ = poll(&mut fds, None);
            teller.tell(Err(interrupted()));
        },
    )?;
    hear_of(name, conversation, states, limit)
}

fn hear_of(
    name: &MachineName,
    mut conversation: Conversation<Result<Told>>,
    states: &[RunState],
    limit: Option<Duration>,
) -> Result<RunState> {
    let end = limit.map(|limit| Instant::now() + limit);
    let mut state = RunState::default();
    loop {
        match conversation.next(end)? {
            Heard::News(Ok(Told::Found(found))) => {
                state = found;
                continue;
            }
            Heard::News(Ok(Told::Looked)) => {}
            Heard::News(Ok(Told::Changed(event))) => state = event.state,
            Heard::News(Err(error)) => return Err(error),
            Heard::Interrupted => return Err(interrupted()),
            Heard::Late => return Err(late(name, state)),
            Heard::End => return Err(lost()),
        }
        if states.contains(&state) {
            return Ok(state);
        }
    }
}

fn late(name: &MachineName, state: RunState) -> Error {
    Error::new(Kind::TimedOut, format!("waited long enough, container '{name}' is {state}"))
        .hint(format!("see 'containerctl info {name}'"))
}

/// Tells of every change of the machines that `wants` picks, until `tell` returns false or the user interrupts.
pub fn monitor(
    root: &Root,
    wants: impl Fn(&MachineName) -> bool + Send + 'static,
    mut tell: impl FnMut(&Event) -> Result<bool>,
) -> Result<()> {
    require_systemd(root)?;
    let root = root.clone();
    let wanted = move |name: &MachineName| wants(name) && registry::definition(&root, name).is_some();
    let mut conversation = Conversation::begin(move |teller| follow(teller, &wanted))?;
    loop {
        match conversation.next(None)? {
            Heard::News(Ok(Told::Changed(event))) => {
                if !tell(&event)? {
                    return Ok(());
                }
            }
            Heard::News(Ok(Told::Found(_) | Told::Looked)) | Heard::Late => {}
            Heard::News(Err(error)) => return Err(error),
            Heard::Interrupted => return Ok(()),
            Heard::End => return Err(lost()),
        }
    }
}

fn lost() -> Error {
    Error::failed("the system bus went away").hint("see 'systemctl status dbus.service'")
}

/// What the thread tells.
enum Told {
    /// What a machine does when the thread looks for the first time, if it is not stopped.
    Found(RunState),
    /// All of them were looked at.
    Looked,
    /// One does something else.
    Changed(Event),
}

/// In the thread: follows the machines, also over a restart of the bus.
fn follow(teller: &Teller<Result<Told>>, wants: &dyn Fn(&MachineName) -> bool) {
    let mut machines = Machines { wants, known: HashMap::new(), looked: None };
    loop {
        let Err(error) = systemd::block_on(listen(teller, &mut machines)) else { return };
        // The first connection must come about; a later one is waited for.
        if machines.looked.is_none_or(|looked| looked.elapsed() > PATIENCE) {
            teller.tell(Err(error));
            return;
        }
        sleep(Duration::from_millis(100));
    }
}

/// Fails when the bus goes away; ends well when nobody listens to us any more.
async fn listen(teller: &Teller<Result<Told>>, machines: &mut Machines<'_>) -> Result<()> {
    let mut watch = Watch::begin().await?;
    machines.look(&mut watch, teller).await?;
    loop {
        let change = watch.next().await;
        machines.looked = Some(Instant::now());
        let goes_on = match change? {
            Change::Reloaded => machines.look(&mut watch, teller).await?,
            // It may have ended, or only be loaded anew.
            Change::Gone(unit) if machines.has(&unit) => machines.look(&mut watch, teller).await?,
            Change::Gone(_) => true,
            Change::Unit { name, properties } => machines.update(teller, &name, &properties),
        };
        if !goes_on {
            return Ok(());
        }
    }
}

/// The units of one machine.
#[derive(Clone, Default)]
struct Units {
    service: Service,
    scope: String,
    freezer: String,
}

impl Units {
    fn state(&self) -> RunState {
        RunState::of(&self.service, Scope::of(&self.scope, &self.freezer))
    }

    fn take(&mut self, kind: UnitOf, properties: &HashMap<String, String>) {
        let set = |field: &mut String, key| {
            properties.get(key).into_iter().for_each(|value| field.clone_from(value))
        };
        match kind {
            UnitOf::Service => {
                set(&mut self.service.active, "ActiveState");
                set(&mut self.service.sub, "SubState");
            }
            UnitOf::Scope => {
                set(&mut self.scope, "ActiveState");
                set(&mut self.freezer, "FreezerState");
            }
        }
    }
}

/// What is known of all that are wanted.
struct Machines<'a> {
    wants: &'a dyn Fn(&MachineName) -> bool,
    known: HashMap<MachineName, Units>,
    looked: Option<Instant>,
}

impl Machines<'_> {
    /// Looks at all of them, and tells what is new; false once nobody listens.
    async fn look(&mut self, watch: &mut Watch, teller: &Teller<Result<Told>>) -> Result<bool> {
        let mut seen: HashMap<MachineName, Units> = HashMap::new();
        for unit in watch.look(&PATTERNS).await? {
            let Some((name, kind)) = MachineName::of_unit(&unit.name).filter(|(name, _)| (self.wants)(name))
            else {
                continue;
            };
            let units = seen.entry(name).or_default();
            match kind {
                UnitOf::Service => units.service = Service { active: unit.active, sub: unit.sub },
                UnitOf::Scope => {
                    units.freezer = watch.freezer(&unit.name).await;
                    units.scope = unit.active;
                }
            }
        }
        let first = self.looked.replace(Instant::now()).is_none();
        let gone = self.known.keys().filter(|name| !seen.contains_key(name)).cloned().collect::<Vec<_>>();
        seen.extend(gone.into_iter().map(|name| (name, Units::default())));
        for (name, units) in seen {
            let (previous, state) =
                (self.known.get(&name).map(Units::state).unwrap_or_default(), units.state());
            self.known.insert(name.clone(), units);
            if previous != state {
                let told =
                    if first { Told::Found(state) } else { Told::Changed(event(&name, previous, state)) };
                teller.tell(Ok(told));
            }
        }
        Ok(teller.tell(Ok(Told::Looked)))
    }

    fn has(&self, unit: &str) -> bool {
        MachineName::of_unit(unit).is_some_and(|(name, _)| self.known.contains_key(&name))
    }

    /// Takes in what has changed of a unit, and tells if that is another state; false once nobody listens.
    fn update(
        &mut self,
        teller: &Teller<Result<Told>>,
        unit: &str,
        properties: &HashMap<String, String>,
    ) -> bool {
        let Some((name, kind)) = MachineName::of_unit(unit) else { return true };
        if !(self.wants)(&name) {
            return true;
        }
        let units = self.known.entry(name.clone()).or_default();
        let previous = units.state();
        units.take(kind, properties);
        let state = units.state();
        previous == state || teller.tell(Ok(Told::Changed(event(&name, previous, state))))
    }
}

fn event(name: &MachineName, previous: RunState, state: RunState) -> Event {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Event { name: name.to_string(), state, previous, time_usec: now.as_micros() as u64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(units: &mut Units, kind: UnitOf, properties: &[(&str, &str)]) -> RunState {
        let properties = properties.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
        units.take(kind, &properties);
        units.state()
    }

    #[test]
    fn a_life_is_followed_by_what_changes_of_two_units() {
        use RunState::*;
        let mut units = Units::default();
        let mut step = |kind, properties: &[(&str, &str)]| changed(&mut units, kind, properties);
        let service = UnitOf::Service;
        assert_eq!(step(service, &[("ActiveState", "activating"), ("SubState", "start")]), Starting);
        assert_eq!(step(UnitOf::Scope, &[("ActiveState", "active"), ("FreezerState", "running")]), Starting);
        assert_eq!(step(service, &[("ActiveState", "active"), ("SubState", "running")]), Running);
        assert_eq!(step(UnitOf::Scope, &[("FreezerState", "frozen")]), Frozen);
        assert_eq!(step(UnitOf::Scope, &[("FreezerState", "running")]), Running);
        assert_eq!(step(service, &[("Result", "x")]), Running);
        assert_eq!(step(service, &[("ActiveState", "deactivating")]), Stopping);
        assert_eq!(step(UnitOf::Scope, &[("ActiveState", "inactive")]), Stopping);
        assert_eq!(step(service, &[("ActiveState", "inactive")]), Stopped);
    }
}
