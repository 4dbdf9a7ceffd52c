//! Running one command in a machine that is there for it alone: an application container.
//!
//! ```text
//! execute ──► run-time directory/execute ──► start (the service, as ever)
//!                                              supervisor: our own init in place of the tree's
//!         ──► hold, on the control socket      whose end stops the machine, whoever brings it about
//!         ──► attach                           the command
//! ```
//!
//! The machine is a unit like others: machined lists it, its limits hold, `systemctl stop` ends it. Only its first
//! process is ours ([`crate::child::init`]), and with [`Life::Ephemeral`] its root forgets what was written.

use std::os::fd::OwnedFd;
use std::str::FromStr;
use std::time::Duration;

use super::attach::{Attached, Request, Streams, attach};
use super::state::{self, State};
use super::unit::{self, Stop};
use super::{lock, registry};
use crate::config::settings::{Readiness, Settings};
use crate::error::{Context, Error, Kind, Result};
use crate::name::MachineName;
use crate::paths::Root;
use crate::progress::Listener;
use crate::supervisor::control;
use crate::sys::scm;

/// Below the machine's run-time directory: that somebody executes a command.
const FILE: &str = "execute";
/// How long the supervisor may take to be there for a container that has just started.
const PATIENCE: Duration = Duration::from_secs(5);

/// What becomes of what the command writes to the root file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// It stays.
    Lasting,
    /// It goes with the container.
    Ephemeral,
}

impl Life {
    fn name(self) -> &'static str {
        match self {
            Life::Lasting => "lasting",
            Life::Ephemeral => "ephemeral",
        }
    }

    /// A first process of our own, in place of what the definition would boot.
    pub fn adapt(self, settings: &mut Settings) {
        settings.files.ephemeral = self == Life::Ephemeral;
        let exec = &mut settings.exec;
        (exec.own_init, exec.boot, exec.notify_ready) = (true, false, Readiness::Started);
        (exec.kill_signal, exec.working_directory) = (None, None);
        exec.parameters.clear();
        // Our own init runs no getty.
        settings.console.ttys = 0;
    }
}

impl FromStr for Life {
    type Err = ();

    fn from_str(text: &str) -> Result<Life, ()> {
        [Life::Lasting, Life::Ephemeral].into_iter().find(|life| life.name() == text).ok_or(())
    }
}

/// Whether a machine is being started for a command, and by somebody who is still there.
pub fn asked(root: &Root, name: &MachineName) -> Option<Life> {
    let text = std::fs::read_to_string(root.runtime_of(name).join(FILE)).ok()?;
    let [life, pid, start] = text.split_whitespace().collect::<Vec<_>>()[..] else { return None };
    let there = state::start_time(pid.parse().ok()?) == Some(start.parse().ok()?);
    life.parse().ok().filter(|_| there)
}

/// A machine that runs one command; stopped when it is dropped.
pub struct Execution {
    root: Root,
    name: MachineName,
    hold: Option<OwnedFd>,
}

impl Execution {
    /// Starts the machine.
    pub fn begin(root: &Root, name: &MachineName, life: Life) -> Result<Execution> {
        registry::require(root, name)?;
        unit::require_systemd(root)?;
        note(root, name, life)?;
        // From here on what was begun is ended, too.
        let mut execution = Execution { root: root.clone(), name: name.clone(), hold: None };
        unit::one(unit::start(root, std::slice::from_ref(name), Listener::nobody())?)?;
        match state::read(root, name) {
            Some(State { execution: true, .. }) => execution.hold = Some(hold(root, name)?),
            _ => return Err(busy(name)),
        }
        Ok(execution)
    }

    /// Runs the command.
    pub fn run(&self, request: &Request, streams: Streams) -> Result<Attached> {
        attach(&self.root, &self.name, request, streams)
    }

    /// Stops the machine, and waits until it is gone.
    pub fn end(mut self) -> Result<()> {
        self.stop()
    }

    fn stop(&mut self) -> Result<()> {
        self.hold = None;
        unit::one(unit::stop(&self.root, std::slice::from_ref(&self.name), Stop::Ask, Listener::nobody())?)?;
        // Where the machine came up the supervisor has taken all of it away.
        let directory = self.root.runtime_of(&self.name);
        let _ = std::fs::remove_file(directory.join(FILE)).and_then(|()| std::fs::remove_dir(directory));
        Ok(())
    }
}

impl Drop for Execution {
    fn drop(&mut self) {
        if state::read(&self.root, &self.name).is_none_or(|state| state.execution) {
            let _ = self.stop();
        }
    }
}

/// Writes the note, while nobody else is at the machine.
fn note(root: &Root, name: &MachineName, life: Life) -> Result<()> {
    let _alone = lock::take(root, name).map_err(|error| match error.kind() {
        Kind::Busy => busy(name),
        _ => error,
    })?;
    state::refuse_running(root, name)?;
    let path = root.runtime_of(name).join(FILE);
    let pid = std::process::id() as i32;
    let start = state::start_time(pid).ok_or_else(|| Error::failed("failed to tell who we are"))?;
    std::fs::write(&path, format!("{} {pid} {start}", life.name()))
        .context(|| format!("failed to write '{}'", path.display()))
}

fn busy(name: &MachineName) -> Error {
    Error::new(Kind::Busy, format!("container '{name}' is running"))
        .hint(format!("run commands in it with 'containerctl attach {name}'"))
}

/// Tells the supervisor that the machine is ours.
fn hold(root: &Root, name: &MachineName) -> Result<OwnedFd> {
    let failed = || format!("failed to reach the supervisor of '{name}'");
    let begun = std::time::Instant::now();
    let socket = loop {
        match control::connect(root, name) {
            // It is executing itself.
            Err(_) if begun.elapsed() < PATIENCE => std::thread::sleep(Duration::from_millis(10)),
            other => break other.context(failed)?,
        }
    };
    scm::send(&socket, &control::encode_request(&control::Request::Hold), None).context(failed)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_counts_as_long_as_its_writer_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let (root, name) = (Root::at(dir.path()), MachineName::new("p1").unwrap());
        assert_eq!(asked(&root, &name), None);
        for life in [Life::Lasting, Life::Ephemeral] {
            note(&root, &name, life).unwrap();
            assert_eq!(asked(&root, &name), Some(life));
        }
        for text in ["", "lasting", "lasting 1 2", "lasting x y", "else 1 1"] {
            std::fs::write(root.runtime_of(&name).join(FILE), text).unwrap();
            assert_eq!(asked(&root, &name), None, "{text}");
        }
    }

    #[test]
    fn nothing_of_what_the_definition_boots_is_left() {
        let mut settings = Settings::default();
        settings.exec.parameters = vec!["--boot".to_string()];
        Life::Ephemeral.adapt(&mut settings);
        assert!(settings.exec.own_init && !settings.exec.boot && settings.exec.parameters.is_empty());
        assert!(settings.files.ephemeral);
    }
}
