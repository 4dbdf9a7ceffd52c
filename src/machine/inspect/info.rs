//! All that is known of one machine.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::usage::{self, Usage};
use super::{addresses, registry};
use crate::config::{self, settings::PrivateUsers};
use crate::error::{Kind, Result};
use crate::machine::change::limits::{self, Limit};
use crate::machine::lifecycle::unit_files;
use crate::name::MachineName;
use crate::paths::Root;
use crate::runtime::run_state::RunState;
use crate::runtime::state;
use crate::runtime::state::State;
use crate::storage::ids;
use crate::systemd::{
    self,
    manager::{Manager, UnitProperties},
};

/// What `containerctl info` shows.
#[derive(Clone, Debug, Serialize)]
pub struct Info {
    /// The machine's name.
    pub name: String,
    /// Its definition.
    pub definition: PathBuf,
    /// What it does.
    pub state: RunState,
    /// What the supervisor says that it does.
    pub status: Option<String>,
    /// Started at boot, or along with another unit.
    pub autostart: bool,
    /// PID of the payload's first process.
    pub leader: Option<u32>,
    /// Terminals that it has beside its console.
    pub ttys: Option<u8>,
    /// By which others reach it.
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
    /// What the kernel's security modules call its first process.
    pub labels: Vec<Label>,
    /// Root file system, unless the definition is broken.
    pub root: Option<PathBuf>,
    /// What is wrong with the definition, or with the root file system.
    pub problem: Option<String>,
    /// Seconds since its payload was started.
    pub uptime_seconds: Option<u64>,
    /// What it uses of the host.
    #[serde(flatten)]
    pub usage: Usage,
    /// Its limits, where systemd runs.
    pub limits: Vec<Limit>,
}

/// Which host ids a machine's ids are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Users {
    /// A range that no other machine has.
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

/// Looks at all of it; what does not run has less to tell.
pub fn info(root: &Root, name: &MachineName) -> Result<Info> {
    let definition = registry::require(root, name)?;
    let units = units(root, name)?;
    let service = units.as_ref().map(|(service, _)| service);
    let text = |key: &str| service.map(|service| service.text(key)).filter(|text| !text.is_empty());
    let state = registry::state(root, name)?;
    let told = state::read(root, name).filter(|_| state.is_up());
    let (rootfs, problem) = match registry::rootfs(root, name) {
        Ok(path) if is_missing(&path) => (Some(path), Some("the root file system is missing".to_string())),
        Ok(path) => (Some(path), None),
        Err(error) if error.kind() == Kind::Denied => (None, None),
        Err(error) => (None, Some(error.to_string())),
    };
    Ok(Info {
        name: name.to_string(),
        definition,
        state,
        status: text("StatusText"),
        autostart: unit_files::wanted(root).contains(&name.service()),
        leader: told.as_ref().and_then(State::leader),
        ttys: told.as_ref().map(|state| state.ttys),
        addresses: told.as_ref().map(addresses::of).unwrap_or_default(),
        unit: name.service(),
        slice: name.slice(),
        scope: name.scope(),
        uids: ids::find(root, name.as_str()).ok().flatten().map(|range| (range.base, range.size)),
        private_users: private_users(root, name),
        labels: told.as_ref().map(labels).unwrap_or_default(),
        root: rootfs,
        problem,
        uptime_seconds: told.as_ref().and_then(State::uptime).map(|up| up.as_secs()),
        usage: usage::of(root, name),
        limits: units.as_ref().map(|(_, slice)| limits::of(root, name, slice)).unwrap_or_default(),
    })
}

fn private_users(root: &Root, name: &MachineName) -> Option<Users> {
    Some(match config::load(root, name).ok()?.settings.exec.private_users {
        PrivateUsers::Pick | PrivateUsers::Range { .. } => Users::Private,
        PrivateUsers::Identity => Users::Identity,
        PrivateUsers::No => Users::Host,
    })
}

/// As the kernel tells of the leader, while it is the leader. An `unconfined` AppArmor is told, too.
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

/// Not so where we may not look.
fn is_missing(path: &Path) -> bool {
    std::fs::metadata(path).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
}

/// The properties of service and slice.
fn units(root: &Root, name: &MachineName) -> Result<Option<(UnitProperties, UnitProperties)>> {
    if !systemd::is_running(root) {
        return Ok(None);
    }
    systemd::block_on(async {
        let manager = Manager::connect().await?;
        let service = manager.properties(&name.service(), "Service").await?;
        Ok(Some((service, manager.properties(&name.slice(), "Slice").await?)))
    })
}
