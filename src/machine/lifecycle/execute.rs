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
//! process is ours (`child::init`), and with [`Changes::Discarded`] its root forgets what was written.

use std::os::fd::OwnedFd;
use std::time::Duration;

use super::unit::{self, Stop};
use crate::error::{Context, Error, Kind, Result};
use crate::machine::enter::attach::{Attached, Request, Streams, attach};
use crate::machine::inspect::registry;
use crate::name::MachineName;
use crate::paths::Root;
use crate::progress::Listener;
use crate::runtime::control;
use crate::runtime::execution::{self, Changes, FILE};
use crate::runtime::state::{self, State};
use crate::sys::scm;

/// How long the supervisor may take to be there for a container that has just started.
const PATIENCE: Duration = Duration::from_secs(5);

/// A machine that runs one command; stopped when it is dropped.
pub struct Execution {
    root: Root,
    name: MachineName,
    hold: Option<OwnedFd>,
}

impl Execution {
    /// Starts the machine.
    pub fn begin(root: &Root, name: &MachineName, changes: Changes) -> Result<Execution> {
        registry::require(root, name)?;
        unit::require_systemd(root)?;
        execution::note(root, name, changes).map_err(|error| match error.kind() {
            Kind::Busy => busy(name),
            _ => error,
        })?;
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
