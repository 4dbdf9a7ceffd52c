//! The core: operations on containers. Front-ends call this room, and none below it.
//!
//! [`Host`] and [`Machine`] are the handles; an operation is a method of one of them, in the folder of what it is about.
//! The room prints nothing, catches no signals and ends no process, and its handles may be used from any thread.

/// Calls of the bus in a thread of their own.
mod background;
/// Making, changing and destroying containers.
pub mod change;
/// Commands in running containers, consoles.
pub mod enter;
/// The host's containers, requirements and settings.
pub mod host;
/// Looking at containers.
pub mod inspect;
/// Starting, stopping, freezing, signals.
pub mod lifecycle;
/// Operations as data.
pub mod operation;
/// Patterns of container names.
pub mod pattern;
/// Selecting containers by name and group.
pub mod select;

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

pub use host::Host;

use crate::config::{self, Definition};
use crate::error::{Error, Kind, Result};
use crate::name::MachineName;
use crate::paths::Root;

pub use crate::runtime::run_state::RunState;

/// A container of a host. Its definition is read when an operation first needs it, and once, also for clones.
#[derive(Clone)]
pub struct Machine {
    host: Host,
    name: MachineName,
    definition: Arc<OnceLock<Result<Definition>>>,
}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Machine({})", self.name)
    }
}

impl Machine {
    /// A handle of a container that need not be defined.
    pub(in crate::machine) fn new(host: &Host, name: &MachineName) -> Machine {
        Machine { host: host.clone(), name: name.clone(), definition: Arc::default() }
    }

    /// The name of the container.
    pub fn name(&self) -> &MachineName {
        &self.name
    }

    fn host(&self) -> &Host {
        &self.host
    }

    fn root(&self) -> &Root {
        self.host.root()
    }

    /// The definition, without the defaults of the image. Errors are those of [`config::load`].
    fn definition(&self) -> Result<&Definition> {
        let definition = self.definition.get_or_init(|| config::load(self.root(), &self.name));
        definition.as_ref().map_err(Error::clone)
    }

    /// The main file of the definition, of several the one that counts.
    fn file(&self) -> Option<PathBuf> {
        let files =
            self.root().definition_dirs().map(|directory| directory.join(format!("{}.conf", self.name)));
        files.into_iter().find(|file| file.symlink_metadata().is_ok())
    }

    /// Fails unless the container is defined. Returns the main file of its definition.
    fn require(&self) -> Result<PathBuf> {
        self.file().ok_or_else(|| {
            Error::new(Kind::NotFound, format!("there is no container '{}'", self.name))
                .hint("'containerctl list' shows those there are")
        })
    }
}
