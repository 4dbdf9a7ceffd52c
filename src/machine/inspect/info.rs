//! Everything known of one container.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use super::addresses;
use super::usage::Usage;
use crate::config::settings::PrivateUsers;
use crate::error::{Kind, Result};
use crate::machine::Machine;
use crate::machine::change::limits::Limit;
use crate::machine::lifecycle::unit_files;
use crate::runtime::run_state::RunState;
use crate::runtime::state::{self, State};
use crate::runtime::timings;
use crate::storage::ids;
use crate::systemd::{self, manager::UnitProperties};

/// The content of `containerctl info`.
#[derive(Clone, Debug, Serialize)]
pub struct Info {
    /// The container's name.
    pub name: String,
    /// The definition.
    pub definition: PathBuf,
    /// The state.
    pub state: RunState,
    /// The status line of its supervisor.
    pub status: Option<String>,
    /// Whether it is started at boot, or along with another unit.
    pub autostart: bool,
    /// PID of the payload's first process.
    pub leader: Option<u32>,
    /// Number of terminals beside its console.
    pub ttys: Option<u8>,
    /// The addresses by which others reach it.
    pub addresses: Vec<IpAddr>,
    /// The service.
    pub unit: String,
    /// The slice that carries its limits.
    pub slice: String,
    /// The scope of its payload.
    pub scope: String,
    /// First host id of its range, and how many.
    pub uids: Option<(u32, u32)>,
    /// `PrivateUsers=`, unless the definition is broken.
    pub private_users: Option<Users>,
    /// Labels of its first process, by the kernel's security modules.
    pub labels: Vec<Label>,
    /// Root file system, unless the definition is broken.
    pub root: Option<PathBuf>,
    /// The mistake in the definition, or the fault of the root file system.
    pub problem: Option<String>,
    /// Seconds since its payload was started.
    pub uptime_seconds: Option<u64>,
    /// Resources that it uses.
    #[serde(flatten)]
    pub usage: Usage,
    /// The limits, where systemd runs.
    pub limits: Vec<Limit>,
}

/// The host ids behind a container's ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Users {
    /// A range that no other container has.
    Private,
    /// A user namespace in which ids are the host's.
    Identity,
    /// The host's: root inside is root.
    Host,
}

/// A label of one security module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Label {
    /// `apparmor` or `selinux`.
    pub module: &'static str,
    /// The profile or context that is in force.
    pub label: String,
}

impl Machine {
    /// Everything known of the container; less of one that does not run.
    pub fn info(&self) -> Result<Info> {
        let (root, name) = (self.root(), &self.name);
        let units = self.units()?;
        let service = units.as_ref().map(|(service, _)| service);
        let text = |key: &str| service.map(|service| service.text(key)).filter(|text| !text.is_empty());
        let state = self.state()?;
        let running = state::read(root, name).filter(|_| state.is_up());
        let rootfs = self.rootfs();
        let problem = match &rootfs {
            Ok(path) if is_missing(path) => Some("the root file system is missing".to_string()),
            Ok(_) => None,
            Err(error) if error.kind() == Kind::Denied => None,
            Err(error) => Some(error.to_string()),
        };
        Ok(Info {
            name: name.to_string(),
            definition: self.require()?,
            state,
            status: text("StatusText"),
            autostart: unit_files::wanted(root).contains(&name.service()),
            leader: running.as_ref().and_then(State::leader),
            ttys: running.as_ref().map(|state| state.ttys),
            addresses: running.as_ref().map(addresses::of).unwrap_or_default(),
            unit: name.service(),
            slice: name.slice(),
            scope: name.scope(),
            uids: ids::find(root, name.as_str()).ok().flatten().map(|range| (range.base, range.size)),
            private_users: self.private_users(),
            labels: running.as_ref().map(labels).unwrap_or_default(),
            root: rootfs.ok(),
            problem,
            uptime_seconds: running.as_ref().and_then(State::uptime).map(|up| up.as_secs()),
            usage: self.usage(),
            limits: units.as_ref().map(|(_, slice)| self.limits_of(slice)).unwrap_or_default(),
        })
    }

    /// Stages of the last start, and the time that each took.
    pub fn timings(&self) -> Result<Vec<(String, Duration)>> {
        timings::of(self.root(), &self.name)
    }

    fn private_users(&self) -> Option<Users> {
        Some(match self.definition().ok()?.settings.exec.private_users {
            PrivateUsers::Pick | PrivateUsers::Range { .. } => Users::Private,
            PrivateUsers::Identity => Users::Identity,
            PrivateUsers::No => Users::Host,
        })
    }

    /// The properties of service and slice; `None` where systemd does not run.
    fn units(&self) -> Result<Option<(UnitProperties, UnitProperties)>> {
        if !systemd::is_running(self.root()) {
            return Ok(None);
        }
        self.host().systemd(async |manager| {
            let service = manager.properties(&self.name.service(), "Service").await?;
            Ok(Some((service, manager.properties(&self.name.slice(), "Slice").await?)))
        })
    }
}

/// The labels by which the kernel's security modules know the leader, while it is the leader. An `unconfined` of AppArmor
/// is one.
fn labels(state: &State) -> Vec<Label> {
    let read = |(module, file): (&'static str, &str)| {
        let text = std::fs::read(format!("/proc/{}/attr/{file}", state.leader)).ok()?;
        let label = String::from_utf8_lossy(&text).trim_end_matches(['\0', '\n']).to_string();
        (!label.is_empty()).then_some(Label { module, label })
    };
    let selinux = Path::new("/sys/fs/selinux/enforce").exists().then_some(("selinux", "current"));
    let found = [("apparmor", "apparmor/current")].into_iter().chain(selinux).filter_map(read).collect();
    if state.open_leader().is_some() { found } else { Vec::new() }
}

/// False where the caller may not look.
fn is_missing(path: &Path) -> bool {
    std::fs::metadata(path).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
}
