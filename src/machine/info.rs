//! All that is known of one machine.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use super::state::State;
use super::{ids, registry};
use crate::error::Result;
use crate::name::MachineName;
use crate::paths::Root;
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
    /// `ActiveState` and `SubState` of its service.
    pub state: String,
    /// What the supervisor says that it does.
    pub status: Option<String>,
    /// `enabled` or `disabled`, where systemd runs.
    pub autostart: Option<String>,
    /// PID of the payload's first process.
    pub leader: Option<u32>,
    /// The service.
    pub unit: String,
    /// The slice that carries its limits.
    pub slice: String,
    /// The scope of its payload.
    pub scope: String,
    /// First host id of its range, and how many.
    pub uids: Option<(u32, u32)>,
    /// Root file system, unless the definition is broken.
    pub root: Option<PathBuf>,
    /// What is wrong with the definition, or with the root file system.
    pub problem: Option<String>,
    /// Seconds since it became active.
    pub uptime_seconds: Option<u64>,
    /// Memory in use, its page cache included.
    pub memory_bytes: Option<u64>,
    /// Processes and threads.
    pub tasks: Option<u64>,
}

/// Looks at all of it; what does not run has less to tell.
pub fn info(root: &Root, name: &MachineName) -> Result<Info> {
    let definition = registry::require(root, name)?;
    let unit = unit(root, name)?;
    let text = |key: &str| unit.as_ref().map(|(all, _)| all.text(key)).filter(|text| !text.is_empty());
    let state = text("ActiveState").unwrap_or_else(|| "inactive".to_string());
    let runs = state == "active";
    let (rootfs, problem) = match registry::rootfs(root, name) {
        Ok(path) if is_missing(&path) => (Some(path), Some("the root file system is missing".to_string())),
        Ok(path) => (Some(path), None),
        Err(error) => (None, Some(error.to_string())),
    };
    Ok(Info {
        name: name.to_string(),
        definition,
        state: text("SubState").map_or(state.clone(), |sub| format!("{state} ({sub})")),
        status: text("StatusText"),
        autostart: unit.as_ref().map(|(_, autostart)| autostart.clone()),
        leader: if runs { registry::leader(root, name) } else { None },
        unit: name.service(),
        slice: name.slice(),
        scope: name.scope(),
        uids: ids::find(root, name.as_str()).ok().flatten().map(|range| (range.base, range.size)),
        root: rootfs,
        problem,
        uptime_seconds: super::state::read(root, name)
            .filter(|_| runs)
            .and_then(|state| uptime(&state))
            .map(|up| up.as_secs()),
        memory_bytes: registry::usage(root, name, "memory.current"),
        tasks: registry::usage(root, name, "pids.current"),
    })
}

/// Not so where we may not look.
fn is_missing(path: &Path) -> bool {
    std::fs::metadata(path).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
}

fn unit(root: &Root, name: &MachineName) -> Result<Option<(UnitProperties, String)>> {
    if !systemd::is_running(root) {
        return Ok(None);
    }
    let service = name.service();
    systemd::block_on(async {
        let manager = Manager::connect().await?;
        let properties = manager.properties(&service, "Service").await?;
        let autostart = manager.get_unit_file_state(&service).await.unwrap_or_else(|_| "unknown".to_string());
        Ok(Some((properties, autostart)))
    })
}

/// By the clock that nobody sets; since the payload started, whoever watches over it now.
fn uptime(state: &State) -> Option<Duration> {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let now = Duration::new(u64::try_from(now.tv_sec).ok()?, u32::try_from(now.tv_nsec).ok()?);
    now.checked_sub(Duration::from_micros(state.started_usec))
}
