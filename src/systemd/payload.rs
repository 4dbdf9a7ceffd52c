//! A payload's scope with systemd (org.freedesktop.systemd1(5)) and its entry with machined
//! (org.freedesktop.machine1(5)).
//!
//! ```text
//! ask ──► AskedScope ──wait──► PlacedPayload ──register──► Registering ──wait──► Registration
//! ```
//!
//! zbus starts no thread as long as a connection lives inside one `block_on`: the handles of a start are used inside one,
//! every other function here opens a connection, does its calls and closes it. Supervisors clone before they come here.

use std::future::{Future, poll_fn};
use std::path::Path;
use std::pin::Pin;
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

/// Time limit for machined to remove a machine.
const MACHINED_LIMIT: Duration = Duration::from_secs(5);
/// Time limit for a bus that went away.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two tries to reach it.
const PAUSE: Duration = Duration::from_millis(100);
/// The bus's error for a unit that is there already.
const UNIT_EXISTS: &str = "org.freedesktop.systemd1.UnitExists";

/// A payload to be placed and registered.
pub struct Payload<'a> {
    /// The machine.
    pub name: &'a MachineName,
    /// The process id of the leader.
    pub leader: u32,
    /// The 128-bit machine id.
    pub id: [u8; 16],
    /// The root file system on the host.
    pub root: &'a Path,
    /// Number of the signal that the scope is stopped with.
    pub stop_signal: i32,
    /// Devices beyond the standard ones: path or class, and of `r`, `w` and `m` what is allowed.
    pub devices: &'a [(String, String)],
}

/// The outcome of the registration.
pub enum Registration {
    /// machined lists the machine.
    Done,
    /// It does not, for this reason; the container runs all the same.
    Refused(String),
}

/// A call that was sent, whose answer is waited for later.
type Sent<'a, T> = Pin<Box<dyn Future<Output = zbus::Result<T>> + 'a>>;

/// Sends a call, by polling it once.
async fn send<'a, T>(call: impl Future<Output = zbus::Result<T>> + 'a) -> Sent<'a, T>
where
    T: 'a,
{
    let mut call: Sent<'a, T> = Box::pin(call);
    match poll_fn(|context| Poll::Ready(call.as_mut().poll(context))).await {
        Poll::Ready(answer) => Box::pin(std::future::ready(answer)),
        Poll::Pending => call,
    }
}

/// Asks systemd for the payload's scope.
pub async fn ask<'a>(payload: &'a Payload<'a>) -> Result<AskedScope<'a>> {
    AskedScope::ask(payload, Instant::now()).await
}

/// A scope that systemd was asked for. It mostly waits for the kernel to move the leader; there is time for other work
/// until [`AskedScope::wait`].
#[must_use]
pub struct AskedScope<'a> {
    payload: &'a Payload<'a>,
    began: Instant,
    bus: zbus::Connection,
    ends: JobEnds,
    job: Sent<'a, OwnedObjectPath>,
}

impl<'a> AskedScope<'a> {
    /// systemd or the bus may be restarted just then: they are asked again until [`PATIENCE`] is over.
    async fn ask(payload: &'a Payload<'a>, began: Instant) -> Result<AskedScope<'a>> {
        loop {
            let bus = connect().await?;
            match AskedScope::ask_by(payload, began, bus).await {
                Err(error) if is_lost(&error) && began.elapsed() <= PATIENCE => {
                    std::thread::sleep(PAUSE);
                }
                result => return result.context(|| failed_to_start(payload)),
            }
        }
    }

    async fn ask_by(
        payload: &'a Payload<'a>,
        began: Instant,
        bus: zbus::Connection,
    ) -> zbus::Result<AskedScope<'a>> {
        let manager = SystemdManagerProxy::new(&bus).await?;
        // Listening comes first: the job may be done before its number is known here.
        let ends = JobEnds::listen(&bus).await?;
        let job = send(async move { start_scope(&manager, payload).await }).await;
        Ok(AskedScope { payload, began, bus, ends, job })
    }

    /// Waits until the leader sits in the scope. Where systemd or the bus goes away meanwhile, it is asked again, unless
    /// the leader sits there already.
    pub async fn wait(mut self) -> Result<PlacedPayload<'a>> {
        let payload = self.payload;
        loop {
            match self.wait_once().await {
                Ok(done) => return done.map(|()| PlacedPayload { payload, bus: self.bus }),
                Err(error) if !is_lost(&error) || self.began.elapsed() > PATIENCE => {
                    return Err(error).context(|| failed_to_start(payload));
                }
                Err(_) => std::thread::sleep(PAUSE),
            }
            if is_placed(payload) {
                return Ok(PlacedPayload { payload, bus: connect().await? });
            }
            self = AskedScope::ask(payload, self.began).await?;
        }
    }

    /// The outer error is the bus's, the inner one systemd's.
    async fn wait_once(&mut self) -> zbus::Result<Result<()>> {
        let (payload, ends) = (self.payload, &mut self.ends);
        let scope = payload.name.scope();
        let job = match (&mut self.job).await {
            Err(error) if is(&error, UNIT_EXISTS) => {
                let manager = SystemdManagerProxy::new(&self.bus).await?;
                // A failed or empty scope of a killed predecessor can be removed, a living one cannot.
                let _ = manager.reset_failed_unit(&scope).await;
                put_away_if_empty(&manager, ends, &scope).await?;
                start_scope(&manager, payload).await
            }
            job => job,
        };
        let job = match job {
            Err(error) if is(&error, UNIT_EXISTS) => {
                return Ok(Err(Error::new(Kind::Busy, format!("'{scope}' still exists"))
                    .hint(format!("stop what is left of it with 'systemctl stop {scope}'"))));
            }
            job => job?,
        };
        Ok(ends.of(&job).await?.require(|| failed_to_start(payload)))
    }
}

/// A payload whose leader sits in its scope.
#[must_use]
pub struct PlacedPayload<'a> {
    payload: &'a Payload<'a>,
    bus: zbus::Connection,
}

impl<'a> PlacedPayload<'a> {
    /// Asks machined to list the machine, with the indices of its links' ends on the host.
    pub async fn register(self, interfaces: Vec<i32>) -> Registering<'a> {
        let PlacedPayload { payload, bus } = self;
        Registering(send(async move { register(&bus, payload, &interfaces).await }).await)
    }
}

/// A registration that machined was asked for.
#[must_use]
pub struct Registering<'a>(Sent<'a, ()>);

impl Registering<'_> {
    /// Waits for machined's answer.
    pub async fn wait(self) -> Registration {
        match self.0.await {
            Ok(()) => Registration::Done,
            Err(error) => Registration::Refused(error.cause()),
        }
    }
}

fn failed_to_start(payload: &Payload) -> String {
    format!("failed to start '{}'", payload.name.scope())
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

fn is_placed(payload: &Payload) -> bool {
    let path = format!("/proc/{}/cgroup", payload.leader);
    std::fs::read_to_string(path)
        .is_ok_and(|text| text.trim_end().ends_with(&format!("/{}", payload.name.scope())))
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
