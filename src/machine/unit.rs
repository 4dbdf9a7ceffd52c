//! A machine's service: started, stopped, enabled by systemd, never by us.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use super::registry;
use crate::error::{Context, Error, Kind, Result};
use crate::name::MachineName;
use crate::paths::Root;
use crate::sys::interrupt::Interrupt;
use crate::systemd::{
    self,
    manager::{Job, Manager},
};

/// machines.target, which wants every enabled container.
const TARGET: &str = "machines.target";

/// How long to wait for a job; the job itself has the unit's own time limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Until it ends.
    Forever,
    /// At most so long.
    For(Duration),
}

/// Starts the service and waits for its end of starting.
pub fn start(root: &Root, name: &MachineName) -> Result<()> {
    registry::require(root, name)?;
    require_systemd(root)?;
    run(Job::Start, name, Wait::Forever)
}

/// Stops the service and waits for its end.
pub fn stop(root: &Root, name: &MachineName, wait: Wait) -> Result<()> {
    require_systemd(root)?;
    run(Job::Stop, name, wait)
}

/// Has it started at boot.
pub fn enable(root: &Root, name: &MachineName) -> Result<()> {
    registry::require(root, name)?;
    require_systemd(root)?;
    systemd::block_on(async {
        let manager = Manager::connect().await?;
        // As machinectl does: a container that is wanted by a target that nobody wants would not come up.
        manager.enable_unit_files(&[TARGET, &name.service()]).await?;
        manager.reload().await
    })
}

/// Has it no longer started at boot.
pub fn disable(root: &Root, name: &MachineName) -> Result<()> {
    registry::require(root, name)?;
    require_systemd(root)?;
    systemd::block_on(async {
        let manager = Manager::connect().await?;
        manager.disable_unit_files(&[&name.service()]).await?;
        manager.reload().await
    })
}

/// As `systemctl daemon-reload`; where systemd does not run there is nothing to reload.
pub fn reload(root: &Root) -> Result<()> {
    if !systemd::is_running(root) {
        return Ok(());
    }
    systemd::block_on(async { Manager::connect().await?.reload().await })
}

/// Fails where systemd is not PID 1.
pub fn require_systemd(root: &Root) -> Result<()> {
    match systemd::is_running(root) {
        true => Ok(()),
        false => Err(Error::new(Kind::Unsupported, "systemd is not running on this host")
            .hint("containers are its units, boot with it")),
    }
}

/// Runs the job in a thread, so that this one hears of ^C and of the time; the job goes on without us.
fn run(job: Job, name: &MachineName, wait: Wait) -> Result<()> {
    let interrupt = Interrupt::catch()?;
    let (tell, told) = mpsc::channel();
    let unit = name.service();
    std::thread::Builder::new()
        .spawn(move || tell.send(systemd::block_on(finish(job, &unit))))
        .context(|| "failed to start a thread")?;
    let verb = if job == Job::Start { "start" } else { "stop" };
    let goes_on = |kind, why: &str| {
        let follow = format!("'systemctl status {}' shows how far it is", name.service());
        Error::new(kind, format!("{why}, '{name}' goes on to {verb}")).hint(follow)
    };
    let begun = std::time::Instant::now();
    loop {
        match told.recv_timeout(Duration::from_millis(20)) {
            Ok(result) => return result,
            Err(RecvTimeoutError::Disconnected) => {
                return Err(Error::failed(format!("failed to {verb} '{name}': the bus went away")));
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
        if interrupt.check().is_err() {
            return Err(goes_on(Kind::Interrupted, "interrupted"));
        }
        if matches!(wait, Wait::For(limit) if begun.elapsed() >= limit) {
            return Err(goes_on(Kind::TimedOut, "waited long enough"));
        }
    }
}

async fn finish(job: Job, unit: &str) -> Result<()> {
    let manager = Manager::connect().await?;
    let result = manager.run_job(job, unit).await?;
    if result.is_done() {
        return Ok(());
    }
    // The supervisor leaves its error sentence in the unit's status.
    let verb = if job == Job::Start { "start" } else { "stop" };
    let service = manager.properties(unit, "Service").await.ok();
    let told = service.as_ref().map(|service| service.text("StatusText"));
    if let Some(why) = told.as_deref().and_then(|status| status.strip_prefix("failed: ")) {
        let code = service.and_then(|service| service.number("ExecMainStatus")).unwrap_or(1);
        return Err(Error::new(Kind::of_exit_code(code), format!("failed to {verb} '{unit}': {why}")));
    }
    let why = told.filter(|status| !status.is_empty()).unwrap_or(result.0.clone());
    let kind = if result.0 == "timeout" { Kind::TimedOut } else { Kind::Failed };
    Err(Error::new(kind, format!("failed to {verb} '{unit}': {why}"))
        .hint(format!("see 'journalctl -u {unit}'")))
}
