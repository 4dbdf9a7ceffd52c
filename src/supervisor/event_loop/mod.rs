//! The poll loop: leader, terminals, notifications, control socket, signals, calls. One thread, nothing that blocks.

/// Calls that a program outside answers.
mod calls;
/// Clients of the control socket.
mod clients;
/// The address that a start waits for.
mod network;
/// Notifications of the payload's PID 1.
mod notifications;
/// Signals to us.
mod signals;
/// The descriptors of the loop.
mod sources;
/// The ways to a payload's end.
mod stopping;
/// Output and input of terminals.
mod terminals;

use std::convert::Infallible;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use nix::sys::signalfd::SignalFd;
use nix::time::{ClockId, clock_gettime};

pub use self::signals::block_signals;
use self::sources::{Interest, Source, Sources};
use crate::config;
use crate::config::settings::Readiness;
use crate::error::Result;
use crate::name::MachineName;
use crate::network::awaited::Awaited;
use crate::paths::Root;
use crate::runtime::directory::Runtime;
use crate::runtime::state::State;
use crate::runtime::state_file::StateFile;
use crate::supervisor::console::Console;
use crate::supervisor::console::client::Client;
use crate::supervisor::console::rate::RateLimit;
use crate::supervisor::console::ring::Ring;
use crate::supervisor::console::terminals::Terminals;
use crate::supervisor::end::{self, Outcome};
use crate::supervisor::intercept::Interceptor;
use crate::supervisor::intercept::proxy::Address;
use crate::supervisor::lifecycle::{Action, Event, Phase, decide, next_tick};
use crate::supervisor::stored_fds::StoredFds;
use crate::sys::{memory, pidfd};
use crate::systemd::journal::Journal;
use crate::systemd::notify;

/// Silence after which what a start has used of our program is given back.
const SETTLE: Duration = Duration::from_millis(100);
/// Silence after which a line without an end is journaled as it is: a prompt.
const PROMPT: Duration = Duration::from_secs(1);

/// The status text of a running container in `systemctl status`.
pub const STATUS: &str = "Container running.";

/// The status text after waiting for an address in vain.
const NO_ADDRESS: &str =
    "failed: no interface of the container had an address before it was stopped (NotifyReady=)";

/// A running container that was taken over.
pub struct Adopted {
    /// The machine.
    pub name: MachineName,
    /// The run-time directory.
    pub runtime: Runtime,
    /// The stored descriptors.
    pub stored: StoredFds,
    /// The recorded state.
    pub state: State,
}

/// The loop and what it holds.
pub struct EventLoop<'a> {
    name: MachineName,
    runtime: Runtime,
    leader: OwnedFd,
    terminals: Terminals,
    console: Console,
    clients: Vec<Client>,
    notifications: OwnedFd,
    control: OwnedFd,
    state: State,
    file: StateFile,
    signals: SignalFd,
    journal: &'a Journal,
    phase: Phase,
    takes_signals: bool,
    /// Signals that the leader had blocked when it was last looked at.
    blocked: u64,
    statuses: RateLimit,
    reload: bool,
    /// The address that the start waits for.
    awaited: Option<Awaited>,
    exit: Option<pidfd::Exit>,
    interceptor: Option<Interceptor>,
}

/// Time since boot, suspend included.
pub fn boottime() -> Duration {
    clock_gettime(ClockId::CLOCK_BOOTTIME).map(Duration::from).unwrap_or_default()
}

/// Time by which limits are kept.
pub fn monotonic() -> Duration {
    clock_gettime(ClockId::CLOCK_MONOTONIC).map(Duration::from).unwrap_or_default()
}

impl<'a> EventLoop<'a> {
    /// Watches over `running`.
    pub fn new(adopted: Adopted, signals: SignalFd, journal: &'a Journal) -> Result<EventLoop<'a>> {
        let Adopted { name, runtime, stored, mut state } = adopted;
        let StoredFds {
            leader,
            console,
            peer,
            ttys,
            ring,
            notifications,
            control,
            state: file,
            interception,
        } = stored;
        let interceptor =
            interception.map(|stored| Interceptor::new(stored, Address::of(&state), state.leader));
        let rate = RateLimit::new(Duration::from_micros(state.rate_interval_usec), state.rate_burst);
        let terminals = Terminals::new(console, peer, ttys, journal)?;
        let console = Console::new(Ring::from_fd(ring)?, rate);
        let file = StateFile::from_fd(file);
        (state.watched, state.ttys) = (true, terminals.ttys());
        file.write(&state)?;
        let phase = Phase::Running { ready: false };
        Ok(EventLoop {
            name,
            runtime,
            leader,
            terminals,
            console,
            clients: Vec::new(),
            notifications,
            control,
            state,
            file,
            signals,
            journal,
            phase,
            takes_signals: false,
            blocked: 0,
            statuses: RateLimit::new(Duration::from_secs(1), 10),
            reload: false,
            awaited: None,
            exit: None,
            interceptor: interceptor.transpose()?,
        })
    }

    /// Runs until the container has ended; the result is the process's exit code.
    pub fn run(mut self, root: &Root) -> Result<u8> {
        match self.state.readiness {
            _ if self.state.ready => self.handle(Event::Ready)?,
            Readiness::Started => self.handle(Event::Ready)?,
            Readiness::Told => {}
            Readiness::Network => self.await_network()?,
        }
        let watchdog = notify::watchdog_interval();
        let (mut fed, mut settled) = (Duration::ZERO, None);
        loop {
            let now = monotonic();
            if watchdog.is_some_and(|interval| now >= fed + interval / 2) {
                notify::watchdog();
                fed = now;
            }
            let settling = settled.is_none().then_some(SETTLE);
            let prompt = self.console.has_partial_line().then_some(PROMPT);
            let watchdog = watchdog.map(|interval| interval / 2);
            let tick = [next_tick(self.phase, now), watchdog, settling, prompt, self.call_limit(now)];
            if self.wait(tick.into_iter().flatten().min())? {
                return self.finish(root);
            }
            if prompt.is_some() && monotonic() >= now + PROMPT {
                self.console.end_line(self.journal, monotonic());
            }
            if settled.is_none() && monotonic() >= now + SETTLE {
                // A convenience for hosts with hundreds of us; what it fails for is not worth a word.
                settled = Some(memory::give_back_program());
            }
            if self.makes_way() && self.interceptor.as_ref().is_none_or(Interceptor::is_idle) {
                self.apply(root);
                match self.hand_over()? {}
            }
            if matches!(self.phase, Phase::Stopping { .. } | Phase::Asked { .. }) {
                self.thaw();
            }
            let able = self.can_take_stop_signal();
            self.handle(Event::Tick { able, init: self.state.init })?;
        }
    }

    /// Waits for something to happen and takes it in; true when the leader is gone.
    fn wait(&mut self, limit: Option<Duration>) -> Result<bool> {
        let happened = self.sources().wait(limit)?;
        // At once, before systemd has taken an adopted leader's status.
        if happened.at(Source::Leader) {
            self.exit = Some(pidfd::exit_status(&self.leader));
        }
        // Last words count: they are read before the leader's end is acted on.
        if happened.at(Source::Notifications) {
            self.take_notifications()?;
        }
        happened.terminals().for_each(|tty| self.relay(tty));
        if happened.at(Source::Leader) {
            return Ok(true);
        }
        self.serve_calls();
        if happened.at(Source::Control) {
            self.accept();
        }
        if happened.at(Source::Signals) {
            self.take_signals()?;
        }
        if happened.at(Source::Network) {
            self.look_for_address()?;
        }
        self.serve_clients(&happened)?;
        Ok(false)
    }

    /// Everything at which something may happen.
    fn sources(&self) -> Sources<'_> {
        let mut sources = Sources::default();
        let EventLoop { leader, terminals, clients, notifications, control, signals, .. } = self;
        sources.add(Source::Leader, leader.as_fd(), Interest::Read);
        for (tty, terminal) in terminals.iter() {
            let interest = Interest::with_output(terminal.wants_to_write());
            sources.add(Source::Terminal(tty), terminal.master(), interest);
        }
        sources.add(Source::Notifications, notifications.as_fd(), Interest::Read);
        sources.add(Source::Control, control.as_fd(), Interest::Read);
        sources.add(Source::Signals, signals.as_fd(), Interest::Read);
        if let Some(awaited) = &self.awaited {
            sources.add(Source::Network, awaited.as_fd(), Interest::Read);
        }
        self.add_calls(&mut sources);
        for (index, client) in clients.iter().enumerate() {
            let interest = Interest::with_output(client.wants_to_write());
            sources.add(Source::Client(index), client.fd(), interest);
        }
        sources
    }

    fn handle(&mut self, event: Event) -> Result<()> {
        let (phase, action) = decide(self.phase, event, monotonic());
        self.phase = phase;
        match action {
            Action::None => {}
            Action::TellReady => {
                notify::ready(STATUS);
                self.state.ready = true;
                self.file.write(&self.state)?;
            }
            Action::BeginStop => self.begin_stop(),
            Action::AskPayload => self.ask_payload(),
            Action::Kill => {
                self.journal.warning(&format!("container '{}' does not shut down, killing it", self.name));
                self.kill()?;
            }
            Action::PutDown => {
                notify::stopping("Container is killed.");
                self.kill()?;
                self.thaw();
            }
            Action::GiveUp => return Err(self.give_up()),
        }
        Ok(())
    }

    /// Takes over from the definition what need not wait for a start: the keys with [`Effect::Reload`].
    ///
    /// [`Effect::Reload`]: crate::config::key::Effect::Reload
    fn apply(&mut self, root: &Root) {
        let applied = config::load(root, &self.name).and_then(|definition| {
            let console = definition.settings.console;
            self.state.take_console(&console);
            self.state.take_proxy(&definition.settings.exec);
            self.console.resize_ring(console.buffer_bytes)?;
            self.runtime.write_state(&self.state)
        });
        if let Err(error) = applied {
            self.journal.warning(&format!("the definition is not applied: {error}"));
        }
    }

    /// Whether another program is to take over. A stop that is under way is seen to its end by whoever began it.
    fn makes_way(&self) -> bool {
        self.reload && matches!(self.phase, Phase::Running { .. })
    }

    /// Makes way for the program that is on disk now.
    fn hand_over(self) -> Result<Infallible> {
        let EventLoop {
            leader, terminals, console, notifications, control, state, file, interceptor, ..
        } = self;
        file.write(&State { watched: false, ..state })?;
        let ((console, peer, ttys), ring) = (terminals.into_parts(), console.into_ring());
        let interception = interceptor.map(Interceptor::into_stored);
        let state = file.into_fd();
        StoredFds { leader, console, peer, ttys, ring, notifications, control, state, interception }
            .hand_over()
    }

    /// The leader is gone: says how, and takes away what was ours.
    fn finish(mut self, root: &Root) -> Result<u8> {
        let stopping = !matches!(self.phase, Phase::Running { .. });
        let killed = matches!(self.phase, Phase::Killed { .. } | Phase::Stuck);
        self.end_terminals();
        let exit = self.exit.unwrap_or(pidfd::Exit::Unknown);
        let outcome = end::judge(exit, stopping, killed, &self.state.shutdown);
        let outcome = if self.state.execution { outcome.once() } else { outcome };
        match &outcome {
            Outcome::PoweredOff | Outcome::Rebooted => self.journal.info(&outcome.sentence()),
            Outcome::Exited(_) | Outcome::Failed(_) => self.journal.error(&outcome.sentence()),
        }
        notify::stopping(&match outcome.exit_code() {
            _ if self.awaited.is_some() && stopping => NO_ADDRESS.to_string(),
            0 | end::REBOOT => outcome.sentence(),
            _ => format!("failed: {}", outcome.sentence()),
        });
        end::clear_away(root, &self.name, &self.state, self.journal)?;
        Ok(outcome.exit_code())
    }
}
