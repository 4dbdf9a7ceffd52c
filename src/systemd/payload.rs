//! A payload's scope with systemd (org.freedesktop.systemd1(5)) and its entry with machined
//! (org.freedesktop.machine1(5)).
//!
//! zbus starts no thread as long as a connection lives inside one `block_on`, so each function here opens one,
//! does its calls and closes it. Supervisors clone before they come here.

use std::future::{Future, poll_fn};
use std::path::Path;
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use zbus::{OwnedObjectPath, Variant};

use super::bus::{connect, is, is_lost};
use super::jobs::{Job, JobEnds};
use super::manager::{Manager, SystemdManagerProxy};
use crate::error::{Cause, Context, Error, Kind, Result};
use crate::name::MachineName;

#[zbus::proxy(
    interface = "org.freedesktop.machine1.Manager",
    default_service = "org.freedesktop.machine1",
    default_path = "/org/freedesktop/machine1"
)]
trait Machined {
    #[allow(clippy::too_many_arguments)]
    fn register_machine_with_network(
        &self,
        name: &str,
        id: &[u8],
        service: &str,
        class: &str,
        leader: u32,
        root_directory: &str,
        interfaces: &[i32],
    ) -> zbus::Result<OwnedObjectPath>;
    fn unregister_machine(&self, name: &str) -> zbus::Result<()>;
}

/// How long machined may take to forget a machine.
const MACHINED_LIMIT: Duration = Duration::from_secs(5);
/// How long a bus that went away is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// A payload to be placed and registered.
pub struct Payload<'a> {
    /// The machine.
    pub name: &'a MachineName,
    /// Its leader.
    pub leader: u32,
    /// Its 128-bit id.
    pub id: [u8; 16],
    /// Its root file system on the host.
    pub root: &'a Path,
    /// Number of the signal that the scope is stopped with.
    pub stop_signal: i32,
    /// Devices beyond the standard ones: path or class, and of `r`, `w` and `m` what is allowed.
    pub devices: &'a [(String, String)],
}

/// How the registration went.
pub enum Registration {
    /// machined lists the machine.
    Done,
    /// It does not, for this reason; the container runs all the same.
    Refused(String),
}

/// Asks systemd for the scope, which mostly is a wait for the kernel: `link` makes the links meanwhile, and returns the
/// numbers of their ends on the host. Calls `placed` once the leader sits in the scope; then registers with machined, and
/// calls `registering` while machined is at it.
pub fn place_and_register(
    payload: &Payload,
    link: impl FnOnce() -> Result<Vec<i32>>,
    placed: impl FnOnce() -> Result<()>,
    registering: impl FnOnce() -> Result<()>,
) -> Result<Registration> {
    zbus::block_on(async {
        let (bus, interfaces) = place_patiently(payload, link).await?;
        placed()?;
        let (result, done) = meanwhile(register(&bus, payload, &interfaces), registering).await;
        done?;
        Ok(match result {
            Ok(()) => Registration::Done,
            Err(error) => Registration::Refused(error.cause()),
        })
    })
}

/// Makes a call and does some work before its answer is waited for.
async fn meanwhile<T, U>(call: impl Future<Output = T>, work: impl FnOnce() -> U) -> (T, U) {
    let mut call = pin!(call);
    // The first poll sends it.
    let early = poll_fn(|context| Poll::Ready(call.as_mut().poll(context))).await;
    let done = work();
    match early {
        Poll::Ready(answer) => (answer, done),
        Poll::Pending => (call.await, done),
    }
}

/// Takes the machine off machined's list; one that is not on it is fine.
pub fn unregister(name: &MachineName) -> Result<()> {
    zbus::block_on(async {
        // A machined that is to be stopped after us may neither answer nor be started before we have ended.
        let bus = zbus::connection::Builder::system().method_timeout(MACHINED_LIMIT).build().await;
        let bus = bus.context(|| "failed to reach machined")?;
        let machined = MachinedProxy::new(&bus).await.context(|| "failed to reach machined")?;
        match machined.unregister_machine(name.as_str()).await {
            Err(error) if is(&error, "org.freedesktop.machine1.NoSuchMachine") => Ok(()),
            other => other.context(|| format!("failed to unregister machine '{name}'")),
        }
    })
}

/// Thaws the machine's slice and scope, as a frozen payload takes no signal; one that is not frozen is fine.
pub fn thaw(name: &MachineName) -> Result<()> {
    zbus::block_on(async {
        let manager = Manager::connect().await?;
        manager.thaw_unit(&name.slice()).await?;
        manager.thaw_unit(&name.scope()).await
    })
}

/// Starts the unit that waits for the end of a payload that was killed and has not ended; it may run already.
pub fn start_reaper(name: &MachineName) -> Result<()> {
    zbus::block_on(async { Manager::connect().await?.ask(Job::Start, &name.reaper()).await })
}

/// As [`start_reaper`], and waits until it listens.
pub fn await_reaper(name: &MachineName) -> Result<()> {
    let failed = || format!("failed to start '{}'", name.reaper());
    zbus::block_on(async {
        let manager = Manager::connect().await?;
        let mut ends = manager.job_ends().await.context(failed)?;
        let job = manager.queue_job(Job::Start, &name.reaper()).await.context(failed)?;
        ends.of(&job).await.context(failed)?.require(failed)
    })
}

/// Takes the failure of the container's service back.
pub fn reset_failed(name: &MachineName) -> Result<()> {
    zbus::block_on(async { Manager::connect().await?.reset_failed_unit(&name.service()).await })
}

/// Puts the machine's scope away where no process is in it, as a start that was cut short may leave it.
pub fn put_away(name: &MachineName) -> Result<()> {
    let scope = name.scope();
    zbus::block_on(async {
        let bus = connect().await?;
        let put_away = async {
            let manager = SystemdManagerProxy::new(&bus).await?;
            put_away_if_empty(&manager, &mut JobEnds::listen(&bus).await?, &scope).await
        };
        put_away.await.context(|| format!("failed to stop '{scope}'"))
    })
}

/// Whether systemd has a job that ends the container's service, and not one that starts it, which goes on when it
/// restarts one that has crashed.
pub fn is_being_stopped(name: &MachineName) -> Result<bool> {
    zbus::block_on(async {
        let job = Manager::connect().await?.job_type(&name.service()).await?;
        Ok(matches!(job.as_deref(), Some("stop" | "restart" | "try-restart")))
    })
}

/// Places the payload, and returns the connection by which, and what `link` did. systemd or the bus may be restarted just
/// then: they are asked again, unless the leader sits in the scope already.
async fn place_patiently(
    payload: &Payload<'_>,
    link: impl FnOnce() -> Result<Vec<i32>>,
) -> Result<(zbus::Connection, Vec<i32>)> {
    let began = Instant::now();
    let (mut link, mut links) = (Some(link), Ok(Vec::new()));
    let bus = loop {
        let bus = connect().await?;
        let once = || {
            if let Some(link) = link.take() {
                links = link();
            }
        };
        match place(&bus, payload, once).await {
            // Without links, too, there is a scope by now: what comes after knows what to clear away.
            Ok(placed) => break placed.map(|()| bus)?,
            Err(error) if !is_lost(&error) || began.elapsed() > PATIENCE => {
                return Err(error).context(|| format!("failed to start '{}'", payload.name.scope()));
            }
            Err(_) => std::thread::sleep(Duration::from_millis(100)),
        }
        if is_placed(payload) {
            break connect().await?;
        }
    };
    Ok((bus, links?))
}

fn is_placed(payload: &Payload) -> bool {
    let path = format!("/proc/{}/cgroup", payload.leader);
    std::fs::read_to_string(path)
        .is_ok_and(|text| text.trim_end().ends_with(&format!("/{}", payload.name.scope())))
}

/// The outer error is the bus's, the inner one systemd's.
async fn place(
    bus: &zbus::Connection,
    payload: &Payload<'_>,
    work: impl FnOnce(),
) -> zbus::Result<Result<()>> {
    let scope = payload.name.scope();
    let failed = || format!("failed to start '{scope}'");
    let manager = SystemdManagerProxy::new(bus).await?;
    // Listening comes first: the job may be done before its number is known here.
    let mut ends = JobEnds::listen(bus).await?;
    let (job, ()) = meanwhile(start_scope(&manager, payload), work).await;
    let job = match job {
        Err(error) if is(&error, "org.freedesktop.systemd1.UnitExists") => {
            // What a killed predecessor left: a failed or empty scope can be let go of, a living one cannot.
            let _ = manager.reset_failed_unit(&scope).await;
            put_away_if_empty(&manager, &mut ends, &scope).await?;
            start_scope(&manager, payload).await
        }
        other => other,
    };
    let job = match job {
        Err(error) if is(&error, "org.freedesktop.systemd1.UnitExists") => {
            return Ok(Err(Error::new(Kind::Busy, format!("'{scope}' still exists"))
                .hint(format!("stop what is left of it with 'systemctl stop {scope}'"))));
        }
        job => job?,
    };
    Ok(ends.of(&job).await?.require(failed))
}

/// A process that is ending is not moved into a cgroup, and nobody is told (cgroup_migrate_add_task in
/// kernel/cgroup/cgroup.c). A scope that was made for a leader just then has started, is empty, and never ends.
async fn put_away_if_empty(
    manager: &SystemdManagerProxy<'_>,
    ends: &mut JobEnds,
    scope: &str,
) -> zbus::Result<()> {
    let stop = async {
        match manager.get_unit_processes(scope).await?.is_empty() {
            true => Ok(Some(manager.stop_unit(scope, "replace").await?)),
            false => Ok(None),
        }
    };
    match stop.await {
        Ok(Some(job)) => ends.of(&job).await.map(drop),
        Ok(None) => Ok(()),
        Err(error) if is(&error, "org.freedesktop.systemd1.NoSuchUnit") => Ok(()),
        Err(error) => Err(error),
    }
}

async fn start_scope(
    manager: &SystemdManagerProxy<'_>,
    payload: &Payload<'_>,
) -> zbus::Result<OwnedObjectPath> {
    let name = payload.name;
    let slice = name.slice();
    let description = format!("Payload of container {name}");
    let service = name.service();
    // Its own terminals, and what the definition adds.
    let asked = payload.devices.iter().map(|(path, access)| (path.as_str(), access.as_str()));
    let devices: Vec<(&str, &str)> = [("char-pts", "rw")].into_iter().chain(asked).collect();
    let properties = [
        ("Description", Variant::from(description.as_str())),
        ("PIDs", Variant::from(vec![payload.leader])),
        ("Slice", Variant::from(slice.as_str())),
        ("Delegate", Variant::from(true)),
        ("CollectMode", Variant::from("inactive-or-failed")),
        // At shutdown the service is stopped first, and it stops the payload cleanly.
        ("Before", Variant::from(vec![service.as_str()])),
        // Whoever stops the scope itself, as machinectl terminate does, asks for a kill: a scope has no main process
        // to be asked. PropagatesStopTo= would turn that into a stop of the service, but also every reboot.
        ("KillMode", Variant::from("mixed")),
        ("KillSignal", Variant::from(payload.stop_signal)),
        ("TimeoutStopUSec", Variant::from(10_000_000_u64)),
        ("OOMPolicy", Variant::from("continue")),
        // The limits are the slice's.
        ("TasksMax", Variant::from(u64::MAX)),
        ("DevicePolicy", Variant::from("closed")),
        ("DeviceAllow", Variant::from(devices)),
    ];
    // Ordered like any other job it would wait for a stop of the service, and that stop waits for us. What it
    // depends on runs already, since it is what the service depends on.
    manager.start_transient_unit(&name.scope(), "ignore-dependencies", &properties, &[]).await
}

async fn register(bus: &zbus::Connection, payload: &Payload<'_>, interfaces: &[i32]) -> zbus::Result<()> {
    let machined = MachinedProxy::new(bus).await?;
    let name = payload.name.as_str();
    let root = payload.root.to_string_lossy();
    let (id, leader) = (&payload.id, payload.leader);
    let call = || {
        machined.register_machine_with_network(
            name,
            id,
            "containerctl",
            "container",
            leader,
            &root,
            interfaces,
        )
    };
    match call().await {
        // A predecessor that was killed could not take its entry back.
        Err(error) if is(&error, "org.freedesktop.machine1.MachineExists") => {
            machined.unregister_machine(name).await?;
            call().await.map(drop)
        }
        other => other.map(drop),
    }
}
