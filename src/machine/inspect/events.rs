//! Changes of containers' states, as systemd signals them; nothing is polled.

use std::collections::{BTreeSet, HashMap};
use std::os::fd::{AsFd, OwnedFd};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use nix::poll::{PollFd, PollFlags};
use serde::Serialize;

use crate::cancellation::cancelled;
use crate::error::{Context, Error, Kind, Result};
use crate::machine::background::{Background, Received, Reporter};
use crate::machine::{Host, Machine};
use crate::name::{MachineName, UnitOf};
use crate::runtime::run_state::{RunState, Scope, Service};
use crate::sys::poll::poll;
use crate::systemd::{
    self, Bus,
    watch::{Change, Watch},
};

/// The units that make up containers.
const PATTERNS: [&str; 2] = ["container@*.service", "machine-*.scope"];
/// Time for which a bus that went away is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// A change of a container's state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Event {
    /// The container.
    pub name: String,
    /// The new state.
    pub state: RunState,
    /// The state before.
    pub previous: RunState,
    /// The time at which the change was signalled, in microseconds since 1970.
    pub time_usec: u64,
}

impl Machine {
    /// Waits until the container is in one of `states`, and returns that one. Fails with kind `TimedOut` after `limit`.
    pub fn wait(&self, states: &[RunState], limit: Option<Duration>) -> Result<RunState> {
        self.host().require_systemd()?;
        let (host, wanted) = (self.host().clone(), self.name.clone());
        let follow = move |reporter: &_| follow(reporter, &host, &|name| *name == wanted);
        self.wait_for(states, limit, Background::start(self.host().cancellation(), follow)?)
    }

    /// As [`Machine::wait`], given up as soon as nobody reads from the pipe any more.
    pub fn wait_for_reader(
        &self,
        states: &[RunState],
        limit: Option<Duration>,
        pipe: &OwnedFd,
    ) -> Result<RunState> {
        self.host().require_systemd()?;
        let pipe = pipe.try_clone().context(|| "failed to copy a descriptor")?;
        let (host, wanted) = (self.host().clone(), self.name.clone());
        let follow = move |reporter: &_| follow(reporter, &host, &|name| *name == wanted);
        let await_close = move |reporter: &Reporter<Result<Notice>>| {
            // A pipe without a reader is in error, which poll(2) always reports.
            let mut fds = [PollFd::new(pipe.as_fd(), PollFlags::empty())];
            let _ = poll(&mut fds, None);
            reporter.report(Err(cancelled()));
        };
        let background = Background::start_two(self.host().cancellation(), follow, await_close)?;
        self.wait_for(states, limit, background)
    }

    fn wait_for(
        &self,
        states: &[RunState],
        limit: Option<Duration>,
        mut background: Background<Result<Notice>>,
    ) -> Result<RunState> {
        let deadline = limit.map(|limit| Instant::now() + limit);
        let mut state = RunState::default();
        loop {
            match background.next(deadline)? {
                Received::Report(Ok(Notice::Found(_, found))) => {
                    state = found;
                    continue;
                }
                Received::Report(Ok(Notice::Changed(event))) => state = event.state,
                Received::Report(Ok(Notice::Looked)) => {}
                Received::Report(Ok(Notice::Defined(_) | Notice::Undefined(_))) => continue,
                Received::Report(Err(error)) => return Err(error),
                Received::Cancelled => return Err(cancelled()),
                Received::Late => return Err(late(&self.name, state)),
                Received::End => return Err(lost()),
            }
            if states.contains(&state) {
                return Ok(state);
            }
        }
    }
}

fn late(name: &MachineName, state: RunState) -> Error {
    Error::new(Kind::TimedOut, format!("waited long enough, container '{name}' is {state}"))
        .hint(format!("see 'containerctl info {name}'"))
}

impl Host {
    /// Passes every change of the containers that `wants` picks to `receive`, until `receive` returns false or the
    /// operation is cancelled.
    pub fn monitor(
        &self,
        wants: impl Fn(&MachineName) -> bool + Send + 'static,
        mut receive: impl FnMut(&Event) -> Result<bool>,
    ) -> Result<()> {
        self.watch(wants, |notice| match notice {
            Notice::Changed(event) => receive(&event),
            _ => Ok(true),
        })
    }

    /// Passes notices of the containers that `wants` picks to `receive`: first of those that are there, up to
    /// [`Notice::Looked`], then of their changes, until `receive` returns false or the operation is cancelled.
    pub fn watch(
        &self,
        wants: impl Fn(&MachineName) -> bool + Send + 'static,
        mut receive: impl FnMut(Notice) -> Result<bool>,
    ) -> Result<()> {
        self.require_systemd()?;
        let host = self.clone();
        let follow = move |reporter: &_| {
            let wanted = |name: &MachineName| wants(name) && Machine::new(&host, name).file().is_some();
            follow(reporter, &host, &wanted);
        };
        let mut background = Background::start(self.cancellation(), follow)?;
        loop {
            match background.next(None)? {
                Received::Report(notice) => {
                    if !receive(notice?)? {
                        return Ok(());
                    }
                }
                Received::Late => {}
                Received::Cancelled => return Ok(()),
                Received::End => return Err(lost()),
            }
        }
    }
}

fn lost() -> Error {
    Error::failed("the system bus went away").hint("see 'systemctl status dbus.service'")
}

/// A notice about a container, or about all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// It is defined: at the first look, or from now on.
    Defined(MachineName),
    /// The definition was removed.
    Undefined(MachineName),
    /// The state at the first look, if it is not stopped.
    Found(MachineName, RunState),
    /// The state changed.
    Changed(Event),
    /// All containers were looked at.
    Looked,
}

/// In the thread: follows the containers, also over a restart of the bus.
fn follow(reporter: &Reporter<Result<Notice>>, host: &Host, wants: &dyn Fn(&MachineName) -> bool) {
    let mut machines =
        Machines { host, wants, defined: BTreeSet::new(), known: HashMap::new(), looked: None };
    loop {
        let Err(error) = systemd::block_on(listen(reporter, host.bus(), &mut machines)) else { return };
        // The first connection must come about; a later one is waited for.
        if machines.looked.is_none_or(|looked| looked.elapsed() > PATIENCE) {
            reporter.report(Err(error));
            return;
        }
        sleep(Duration::from_millis(100));
    }
}

/// Fails when the bus goes away; returns when nobody receives reports any more.
async fn listen(reporter: &Reporter<Result<Notice>>, bus: &Bus, machines: &mut Machines<'_>) -> Result<()> {
    let mut watch = Watch::begin(bus).await?;
    machines.look(&mut watch, reporter).await?;
    loop {
        let change = watch.next().await;
        machines.looked = Some(Instant::now());
        let goes_on = match change? {
            Change::Reloaded => machines.look(&mut watch, reporter).await?,
            // It may have ended, or only be loaded anew.
            Change::Gone(unit) if machines.has(&unit) => machines.look(&mut watch, reporter).await?,
            Change::Gone(_) => true,
            Change::Unit { name, properties } => machines.update(reporter, &name, &properties),
        };
        if !goes_on {
            return Ok(());
        }
    }
}

/// The units of one container.
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

/// The known units of the containers that are followed.
struct Machines<'a> {
    host: &'a Host,
    defined: BTreeSet<MachineName>,
    wants: &'a dyn Fn(&MachineName) -> bool,
    known: HashMap<MachineName, Units>,
    looked: Option<Instant>,
}

impl Machines<'_> {
    /// Looks at all of them, and reports changes; false once nobody receives.
    async fn look(&mut self, watch: &mut Watch, reporter: &Reporter<Result<Notice>>) -> Result<bool> {
        let (gone, new) = self.update_definitions(self.host.names());
        new.into_iter().for_each(|notice| _ = reporter.report(Ok(notice)));
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
        let ended: Vec<_> = self.known.keys().filter(|name| !seen.contains_key(name)).cloned().collect();
        seen.extend(ended.into_iter().map(|name| (name, Units::default())));
        for (name, units) in seen {
            let (previous, state) =
                (self.known.get(&name).map(Units::state).unwrap_or_default(), units.state());
            self.known.insert(name.clone(), units);
            if previous != state {
                let notice = match first {
                    true => Notice::Found(name, state),
                    false => Notice::Changed(event(&name, previous, state)),
                };
                reporter.report(Ok(notice));
            }
        }
        gone.into_iter().for_each(|notice| _ = reporter.report(Ok(notice)));
        Ok(reporter.report(Ok(Notice::Looked)))
    }

    /// Takes in the names of all definitions. Returns notices of those that are gone, and of those that are new.
    fn update_definitions(&mut self, names: Vec<MachineName>) -> (Vec<Notice>, Vec<Notice>) {
        let defined: BTreeSet<MachineName> = names.into_iter().filter(|name| (self.wants)(name)).collect();
        let gone = self.defined.difference(&defined).cloned().map(Notice::Undefined).collect();
        let new = defined.difference(&self.defined).cloned().map(Notice::Defined).collect();
        self.defined = defined;
        (gone, new)
    }

    fn has(&self, unit: &str) -> bool {
        MachineName::of_unit(unit).is_some_and(|(name, _)| self.known.contains_key(&name))
    }

    /// Takes in changed properties of a unit, and reports a change of state; false once nobody receives.
    fn update(
        &mut self,
        reporter: &Reporter<Result<Notice>>,
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
        previous == state || reporter.report(Ok(Notice::Changed(event(&name, previous, state))))
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
    fn a_definition_is_noticed_once_when_it_comes_and_when_it_goes() {
        let host = Host::new(crate::paths::Root::at("/nonexistent"));
        let (defined, known, wants) = (BTreeSet::new(), HashMap::new(), |_: &MachineName| true);
        let mut machines = Machines { host: &host, wants: &wants, defined, known, looked: None };
        let name = |name: &str| MachineName::new(name).unwrap();
        let mut update =
            |names: &[&str]| machines.update_definitions(names.iter().map(|one| name(one)).collect());
        assert_eq!(update(&["a", "c"]).1, [Notice::Defined(name("a")), Notice::Defined(name("c"))]);
        assert_eq!(
            update(&["a", "d"]),
            (vec![Notice::Undefined(name("c"))], vec![Notice::Defined(name("d"))])
        );
        assert_eq!(update(&["a", "d"]), (vec![], vec![]));
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
