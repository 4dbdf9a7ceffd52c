//! Running one command in a container that is started for it alone: an application container.
//!
//! ```text
//! execute ──► run-time directory/execute ──► start (the service, as ever)
//!                                              supervisor: our own init in place of the tree's
//!         ──► hold, on the control socket      whose end stops the container
//!         ──► attach                           the command
//! ```
//!
//! The container is a unit like others: machined lists it, its limits hold, `systemctl stop` ends it. Only its first
//! process is ours (`child::init`), and with [`Changes::Discarded`] writes to its root file system are lost in the end.

use std::os::fd::OwnedFd;
use std::time::Duration;

use super::unit::Stop;
use crate::error::{Context, Error, Kind, Result};
use crate::machine::Machine;
use crate::machine::enter::attach::{Attached, Request, Streams};
use crate::name::MachineName;
use crate::paths::Root;
use crate::runtime::control;
use crate::runtime::execution::{self, FILE};
use crate::runtime::state::{self, State};
use crate::sys::scm;

pub use crate::runtime::execution::Changes;

/// Time limit for the supervisor of a container that has just started to accept connections.
const PATIENCE: Duration = Duration::from_secs(5);

/// A container that runs one command; stopped when it is dropped.
pub struct Execution {
    machine: Machine,
    /// The connection to the supervisor, whose end stops the container.
    hold: Option<OwnedFd>,
}

impl Machine {
    /// Starts the container for one command.
    pub fn execute(&self, changes: Changes) -> Result<Execution> {
        self.host().require_systemd()?;
        execution::note(self.root(), &self.name, changes).map_err(|error| match error.kind() {
            Kind::Busy => busy(&self.name),
            _ => error,
        })?;
        // From here on what was begun is ended, too.
        let mut execution = Execution { machine: self.clone(), hold: None };
        self.start()?;
        match state::read(self.root(), &self.name) {
            Some(State { execution: true, .. }) => execution.hold = Some(hold(self.root(), &self.name)?),
            _ => return Err(busy(&self.name)),
        }
        Ok(execution)
    }
}

impl Execution {
    /// Runs the command.
    pub fn run(&self, request: &Request, streams: Streams) -> Result<Attached> {
        self.machine.attach(request, streams)
    }

    /// Stops the container, and waits until it is gone.
    pub fn end(mut self) -> Result<()> {
        self.stop()
    }

    fn stop(&mut self) -> Result<()> {
        self.hold = None;
        self.machine.stop(Stop::Ask)?;
        // The supervisor of one that came up has removed all of it.
        let directory = self.machine.root().runtime_of(&self.machine.name);
        let _ = std::fs::remove_file(directory.join(FILE)).and_then(|()| std::fs::remove_dir(directory));
        Ok(())
    }
}

impl Drop for Execution {
    fn drop(&mut self) {
        let state = state::read(self.machine.root(), &self.machine.name);
        if state.is_none_or(|state| state.execution) {
            let _ = self.stop();
        }
    }
}

fn busy(name: &MachineName) -> Error {
    Error::new(Kind::Busy, format!("container '{name}' is running"))
        .hint(format!("run commands in it with 'containerctl attach {name}'"))
}

/// Marks the container as one that the connection holds.
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
