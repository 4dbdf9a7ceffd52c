//! The poll loop: leader, console, notifications, control socket, signals. One thread, nothing that blocks.

use std::convert::Infallible;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::time::{ClockId, clock_gettime};

use crate::config;
use crate::error::{Context, Error, Result};
use crate::machine::cgroup::Cgroup;
use crate::machine::state::State;
use crate::machine::stuck;
use crate::name::MachineName;
use crate::paths::Root;
use crate::supervisor::console::Console;
use crate::supervisor::console::client::Client;
use crate::supervisor::console::rate::{RateLimit, Verdict};
use crate::supervisor::console::ring::Ring;
use crate::supervisor::control::{self, Request};
use crate::supervisor::end::{self, Outcome};
use crate::supervisor::initctl;
use crate::supervisor::kept::Kept;
use crate::supervisor::lifecycle::{Action, Event, Phase, decide, next_tick};
use crate::supervisor::notification::{self, Notification};
use crate::supervisor::runtime::Runtime;
use crate::supervisor::state_file::StateFile;
use crate::sys::{memory, pidfd, signal, tty};
use crate::systemd::journal::Journal;
use crate::systemd::{notify, payload};

/// Silence after which what a start has used of our program is given back.
const SETTLE: Duration = Duration::from_millis(100);
/// Silence after which a line without an end is journaled as it is: a prompt.
const PROMPT: Duration = Duration::from_secs(1);
/// More connections than this at a time are not accepted.
const CLIENT_LIMIT: usize = 32;

/// What `systemctl status` says of a container that runs.
pub const STATUS: &str = "Container running.";

/// A running container.
pub struct Running {
    /// The machine.
    pub name: MachineName,
    /// Its run-time directory.
    pub runtime: Runtime,
    /// Its descriptors.
    pub kept: Kept,
    /// What is known of it.
    pub state: State,
}

/// The loop and what it holds.
pub struct Watch<'a> {
    name: MachineName,
    runtime: Runtime,
    leader: OwnedFd,
    console: Console,
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
    exit: Option<pidfd::Exit>,
}

/// Blocks the signals that we read from a descriptor; children set them free again before exec.
pub fn block_signals() -> Result<SignalFd> {
    let mut set = SigSet::empty();
    [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGUSR1]
        .into_iter()
        .for_each(|signal| set.add(signal));
    let failed = || "failed to set up signals";
    set.thread_block().context(failed)?;
    SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK).context(failed)
}

/// Time since boot, suspend included.
pub fn boottime() -> Duration {
    clock_gettime(ClockId::CLOCK_BOOTTIME).map(Duration::from).unwrap_or_default()
}

/// Time by which limits are kept.
fn monotonic() -> Duration {
    clock_gettime(ClockId::CLOCK_MONOTONIC).map(Duration::from).unwrap_or_default()
}

impl<'a> Watch<'a> {
    /// Watches over `running`.
    pub fn new(running: Running, signals: SignalFd, journal: &'a Journal) -> Result<Watch<'a>> {
        let Running { name, runtime, kept, mut state } = running;
        let Kept { leader, console, peer, ring, notifications, control, state: file } = kept;
        let rate = RateLimit::new(Duration::from_micros(state.rate_interval_usec), state.rate_burst);
        let console = Console::new(console, peer, Ring::from_fd(ring)?, rate)
            .context(|| "failed to take the console")?;
        let file = StateFile::from_fd(file);
        state.watched = true;
        file.write(&state)?;
        let phase = Phase::Running { ready: false };
        Ok(Watch {
            name,
            runtime,
            leader,
            console,
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
            exit: None,
        })
    }

    /// Runs until the container has ended; the result is the process's exit code.
    pub fn run(mut self, root: &Root) -> Result<u8> {
        if self.state.ready || !self.state.notify_ready {
            self.handle(Event::Ready)?;
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
            let tick = [next_tick(self.phase, now), watchdog.map(|interval| interval / 2), settling, prompt];
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
            // A stop that is under way is seen to its end by whoever began it.
            if self.reload && matches!(self.phase, Phase::Running { .. }) {
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
        let events = self.poll(limit)?;
        let ready = |index: usize| events.get(index).is_some_and(|flags| !flags.is_empty());
        // At once, before systemd has taken an adopted leader's status.
        if ready(0) {
            self.exit = Some(pidfd::exit_status(&self.leader));
        }
        // Last words count: they are read before the leader's end is acted on.
        if ready(2) {
            self.take_notifications()?;
        }
        if ready(1) {
            self.console.read(self.journal, monotonic());
            self.console.flush_input();
        }
        if ready(0) {
            return Ok(true);
        }
        if ready(3) {
            self.accept();
        }
        if ready(4) {
            self.take_signals()?;
        }
        self.serve_clients()?;
        Ok(false)
    }

    /// What has happened to: leader, console, notifications, control socket, signals, clients.
    fn poll(&self, limit: Option<Duration>) -> Result<Vec<PollFlags>> {
        let timeout = limit.map_or(PollTimeout::NONE, |limit| {
            // Rounded up, as a tick that comes too early is a busy loop.
            let millis = limit.as_millis() + u128::from(limit.subsec_nanos() % 1_000_000 != 0);
            PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX)
        });
        let read = PollFlags::POLLIN;
        let both = |write: bool| if write { read | PollFlags::POLLOUT } else { read };
        let console = both(self.console.wants_to_write());
        let wants: Vec<PollFlags> =
            self.console.attached().iter().map(|client| both(client.wants_to_write())).collect();
        let Watch { leader, console: held, notifications, control, signals, .. } = self;
        let mut fds = vec![
            PollFd::new(leader.as_fd(), read),
            PollFd::new(held.master(), console),
            PollFd::new(notifications.as_fd(), read),
            PollFd::new(control.as_fd(), read),
            PollFd::new(signals.as_fd(), read),
        ];
        fds.extend(held.attached().iter().zip(wants).map(|(client, want)| PollFd::new(client.fd(), want)));
        match poll(&mut fds, timeout) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(errno) => return Err(errno).context(|| "failed to wait for events"),
        }
        Ok(fds.iter().map(|fd| fd.revents().unwrap_or(PollFlags::empty())).collect())
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

    /// Whoever comes after us must not take a payload over that was killed.
    fn kill(&mut self) -> Result<()> {
        self.state.killed = true;
        self.file.write(&self.state)?;
        self.runtime.write_state(&self.state)?;
        Cgroup::of(&self.state).map_or(Ok(()), |cgroup| cgroup.kill())
    }

    /// Leaves what the kernel cannot end to one who waits for that.
    fn give_up(&self) -> Error {
        let left = Cgroup::of(&self.state).map(|cgroup| stuck::processes(cgroup.path())).unwrap_or_default();
        end::leave(&self.name, self.journal);
        stuck::error(&self.name, &left)
    }

    fn begin_stop(&self) {
        notify::stopping("Container shutting down.");
        self.thaw();
    }

    fn thaw(&self) {
        if Cgroup::of(&self.state).is_some_and(|cgroup| cgroup.is_frozen())
            && let Err(error) = payload::thaw(&self.name)
        {
            self.journal.warning(&format!("{error}, ignoring"));
        }
    }

    fn ask_payload(&self) {
        // By itself this signal says that power fails, and what an inittab does then differs; LXC's images have it shut
        // down, Debian's calls a script that is not there.
        if self.state.stop_signal == libc::SIGPWR
            && initctl::power_off(&self.leader, self.state.leader).is_ok()
        {
            return;
        }
        if let Err(errno) = signal::pidfd_send_signal(&self.leader, self.state.stop_signal) {
            self.journal.warning(&format!(
                "failed to send signal {} to the container: {}",
                self.state.stop_signal,
                errno.desc()
            ));
        }
    }

    /// A PID 1 without a handler loses a signal for good, so it is not sent before there is one: systemd says so
    /// itself (from 256 on), of others the kernel tells. A signal that is blocked counts only if it was so at the last
    /// look, too: every fork(3) blocks all of them for a moment.
    fn can_take_stop_signal(&mut self) -> bool {
        if !matches!(self.phase, Phase::Stopping { .. }) {
            return false;
        }
        let read = |file: &str| std::fs::read_to_string(format!("/proc/{}/{file}", self.state.leader));
        let status = read("status").unwrap_or_default();
        let mask = |key| {
            let mask = status.lines().find_map(|line| line.strip_prefix(key));
            mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default()
        };
        let blocked = mask("SigBlk:");
        let stays_blocked = blocked & std::mem::replace(&mut self.blocked, blocked);
        // While a process waits for signals by sigtimedwait(2), the kernel shows those as not blocked.
        let waits = read("wchan").is_ok_and(|place| place.contains("sigtimedwait"));
        let taken = mask("SigCgt:") | stays_blocked;
        self.takes_signals || waits || taken & signal::bit(self.state.stop_signal) != 0
    }

    fn take_notifications(&mut self) -> Result<()> {
        for notification in notification::receive(&self.notifications, self.state.leader) {
            let Notification { ready, status, takes_signals, shutdown } = notification;
            self.takes_signals |= takes_signals;
            // A payload that talks without end does not keep the service manager busy.
            if let Some(status) = status
                && matches!(self.statuses.judge(monotonic()), Verdict::Pass { .. })
            {
                notify::status(&format!("Container running: {status}"));
            }
            if let Some(shutdown) = shutdown
                && shutdown != self.state.shutdown
            {
                self.state.shutdown = shutdown;
                self.file.write(&self.state)?;
                self.runtime.write_state(&self.state)?;
            }
            if ready {
                self.handle(Event::Ready)?;
            }
        }
        Ok(())
    }

    fn take_signals(&mut self) -> Result<()> {
        while let Ok(Some(info)) = self.signals.read_signal() {
            match info.ssi_signo as i32 {
                libc::SIGHUP => self.reload = true,
                libc::SIGUSR1 => self.handle(Event::KillAsked)?,
                _ => self.handle(Event::StopAsked)?,
            }
        }
        Ok(())
    }

    fn accept(&mut self) {
        while let Some(connection) = control::accept(&self.control) {
            if self.console.clients().len() < CLIENT_LIMIT {
                self.console.clients().push(Client::new(connection));
            }
        }
    }

    fn serve_clients(&mut self) -> Result<()> {
        for index in 0..self.console.clients().len() {
            self.console.clients()[index].flush();
            while let Some(request) = self.console.clients()[index].request() {
                self.serve(index, request);
            }
        }
        let let_go = self.console.clients().iter().any(Client::let_go);
        self.console.clients().retain(|client| !client.is_gone());
        if let_go && matches!(self.phase, Phase::Running { .. }) {
            self.handle(Event::StopAsked)
        } else {
            Ok(())
        }
    }

    fn serve(&mut self, index: usize, request: Request) {
        match request {
            Request::Attach(size) => {
                self.console.attach(index);
                self.resize(size);
            }
            Request::Hold => self.console.clients()[index].hold(),
            Request::Resize(size) => self.resize(size),
            Request::Input(bytes) => self.console.type_in(&bytes),
            Request::Scrollback(wanted) => self.console.scrollback(index, wanted),
        }
    }

    fn resize(&self, size: tty::WindowSize) {
        // The window of a client that has none is of no use to the payload.
        if size.rows > 0 && size.columns > 0 {
            let _ = tty::set_window_size(self.console.master(), size);
        }
    }

    /// Takes over from the definition what need not wait for a start: the keys with [`Effect::Reload`].
    ///
    /// [`Effect::Reload`]: crate::config::key::Effect::Reload
    fn apply(&mut self, root: &Root) {
        let applied = config::load(root, &self.name).and_then(|definition| {
            let console = definition.settings.console;
            self.state.take_console(&console);
            self.console.resize_ring(console.buffer_bytes)?;
            self.runtime.write_state(&self.state)
        });
        if let Err(error) = applied {
            self.journal.warning(&format!("the definition is not applied: {error}"));
        }
    }

    /// Makes way for the program that is on disk now.
    fn hand_over(self) -> Result<Infallible> {
        let Watch { leader, console, notifications, control, state, file, .. } = self;
        file.write(&State { watched: false, ..state })?;
        let (console, peer, ring) = console.into_parts();
        Kept { leader, console, peer, ring, notifications, control, state: file.into_fd() }.hand_over()
    }

    /// The leader is gone: says how, and takes away what was ours.
    fn finish(mut self, root: &Root) -> Result<u8> {
        let stopping = !matches!(self.phase, Phase::Running { .. });
        let killed = matches!(self.phase, Phase::Killed { .. } | Phase::Stuck);
        self.console.finish(self.journal, monotonic());
        let exit = self.exit.unwrap_or(pidfd::Exit::Unknown);
        let outcome = end::judge(exit, stopping, killed, &self.state.shutdown);
        let outcome = if self.state.execution { outcome.once() } else { outcome };
        match &outcome {
            Outcome::PoweredOff | Outcome::Rebooted => self.journal.info(&outcome.sentence()),
            Outcome::Exited(_) | Outcome::Failed(_) => self.journal.error(&outcome.sentence()),
        }
        notify::stopping(&match outcome.exit_code() {
            0 | end::REBOOT => outcome.sentence(),
            _ => format!("failed: {}", outcome.sentence()),
        });
        end::clear_away(root, &self.name, &self.state, self.journal)?;
        Ok(outcome.exit_code())
    }
}
