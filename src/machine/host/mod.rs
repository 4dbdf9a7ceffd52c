//! The host: its containers and its bus, its requirements and settings.

/// Containers that can become root of the host, or leave programs for its users.
pub mod exposure;
/// Requirements of containers on the host.
pub mod requirements;
/// Settings of the host that limit or expose containers.
pub mod settings;

use super::Machine;
use crate::cancellation::Cancellation;
use crate::config;
use crate::error::{Error, Kind, Result};
use crate::name::MachineName;
use crate::paths::Root;
use crate::progress::Listener;
use crate::storage;
use crate::systemd::{self, Bus, manager::Manager};

/// A host whose containers are operated on. A clone shares the bus connection; a program that runs several operations
/// at once gives each a clone with a cancellation and a listener of its own.
#[derive(Clone, Debug)]
pub struct Host {
    root: Root,
    bus: Bus,
    cancellation: Cancellation,
    listener: Listener,
}

impl Host {
    /// The host below `root`. Operations are not cancelled and report no progress.
    pub fn new(root: Root) -> Host {
        let (bus, cancellation, listener) = (Bus::default(), Cancellation::never(), Listener::nobody());
        Host { root, bus, cancellation, listener }
    }

    /// The same host with a bus connection that exists.
    pub(crate) fn on(self, bus: Bus) -> Host {
        Host { bus, ..self }
    }

    /// The same host, for operations that `cancellation` ends.
    pub fn cancelled_by(self, cancellation: Cancellation) -> Host {
        Host { cancellation, ..self }
    }

    /// The same host, for operations whose progress `listener` receives.
    pub fn reporting_to(self, listener: Listener) -> Host {
        Host { listener, ..self }
    }

    /// The root below which all paths of the host lie.
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// Cancellation of the operations on this host.
    pub fn cancellation(&self) -> &Cancellation {
        &self.cancellation
    }

    /// The receiver of reports of progress.
    pub(super) fn listener(&self) -> &Listener {
        &self.listener
    }

    pub(super) fn bus(&self) -> &Bus {
        &self.bus
    }

    /// The containers with the ids of the host that neither AppArmor nor SELinux confines.
    pub fn privileged(&self) -> Vec<MachineName> {
        exposure::privileged(&self.root)
    }

    /// The names of the defined containers, sorted.
    pub fn names(&self) -> Vec<MachineName> {
        config::names(&self.root)
    }

    /// The container `name`. Fails with kind `NotFound` if it is not defined.
    pub fn machine(&self, name: &MachineName) -> Result<Machine> {
        let machine = Machine::new(self, name);
        machine.require()?;
        Ok(machine)
    }

    /// Handles of all defined containers, by name.
    pub(super) fn machines(&self) -> Vec<Machine> {
        self.names().iter().map(|name| Machine::new(self, name)).collect()
    }

    /// Fails where systemd is not PID 1.
    pub(super) fn require_systemd(&self) -> Result<()> {
        match systemd::is_running(&self.root) {
            true => Ok(()),
            false => Err(Error::new(Kind::Unsupported, "systemd is not running on this host")
                .hint("containers are its units, boot with it")),
        }
    }

    /// Calls systemd's manager.
    pub(super) fn systemd<T>(&self, call: impl AsyncFnOnce(&Manager) -> Result<T>) -> Result<T> {
        systemd::block_on(async { call(&self.bus.manager().await?).await })
    }

    /// Makes systemd read its unit files again, as `systemctl daemon-reload` does. Does nothing where systemd does not
    /// run.
    pub(super) fn reload(&self) -> Result<()> {
        if !systemd::is_running(&self.root) {
            return Ok(());
        }
        self.systemd(async |manager| manager.reload().await)
    }

    /// Finishes renames that were cut short, deletes what other operations left, and releases its ids. Returns warnings.
    pub(super) fn sweep(&self) -> Result<Vec<String>> {
        let mut warnings = self.finish_renames();
        let root = &self.root;
        warnings.extend(storage::store::sweep(root, |owner| storage::ids::release(root, owner))?);
        Ok(warnings)
    }

    /// Makes the image entries of all containers, after finishing renames that were cut short. Returns warnings.
    pub fn link_images(&self) -> Result<Vec<String>> {
        let mut warnings = self.finish_renames();
        warnings.extend(storage::image_entry::refresh(&self.root)?);
        Ok(warnings)
    }
}
