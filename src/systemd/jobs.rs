//! Jobs of several units, asked for at once and waited for together, also over a restart of the bus: jobs are PID 1's
//! and do not end with it.

use std::collections::HashMap;
use std::future::poll_fn;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::time::{Duration, Instant};

use futures_core::Stream;
use zbus::{MatchRule, MessageStream, ObjectPath, OwnedObjectPath};

use super::bus::{Bus, failure, is_lost};
use super::manager::Manager;
use crate::error::{Error, Result};

/// Time for which a bus that went away is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// The type of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Job {
    /// `StartUnit`.
    Start,
    /// `StopUnit`.
    Stop,
    /// `RestartUnit`; it starts what does not run.
    Restart,
}

impl Job {
    /// The verb, for messages.
    pub fn verb(self) -> &'static str {
        match self {
            Job::Start => "start",
            Job::Stop => "stop",
            Job::Restart => "restart",
        }
    }

    /// The present participle, for messages.
    pub fn progressive(self) -> &'static str {
        match self {
            Job::Start => "starting",
            Job::Stop => "stopping",
            Job::Restart => "restarting",
        }
    }

    /// Whether a unit in this `ActiveState` is as the job was to make it.
    fn is_reached(self, active: &str) -> bool {
        match self {
            Job::Stop => matches!(active, "inactive" | "failed"),
            Job::Start | Job::Restart => matches!(active, "active" | "reloading"),
        }
    }
}

/// The result of a job: `done`, or `failed`, `timeout`, `canceled`, `dependency`, `skipped`, …
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobResult(pub String);

impl JobResult {
    /// Whether the unit is now as was asked for.
    pub fn is_done(&self) -> bool {
        self.0 == "done"
    }

    /// An error that begins with `failed`, unless the job is done.
    pub(super) fn require(self, failed: impl FnOnce() -> String) -> Result<()> {
        match self.is_done() {
            true => Ok(()),
            false => Err(Error::failed(format!("{}: job ended with '{}'", failed(), self.0))),
        }
    }
}

/// The ends of jobs, as systemd signals them. Made before a job is asked for: the end of a quick one would be missed
/// otherwise.
///
/// A plain match is one round trip; a proxy's stream would also ask who owns the name, and watch it.
pub(super) struct JobEnds(MessageStream);

/// Signals that may wait while we ask for something else; with a full queue answers would not come through either.
pub(super) const QUEUE: NonZeroUsize = NonZeroUsize::new(16 * 1024).expect("not zero");

/// The end of a stream of signals.
fn gone() -> zbus::Error {
    std::io::Error::new(std::io::ErrorKind::BrokenPipe, "the system bus went away").into()
}

/// The signal that ends a job.
const JOB_REMOVED: &str = "type='signal',sender='org.freedesktop.systemd1',path='/org/freedesktop/systemd1',\
    interface='org.freedesktop.systemd1.Manager',member='JobRemoved'";

impl JobEnds {
    /// Listens from now on.
    pub(super) async fn listen(bus: &zbus::Connection) -> zbus::Result<JobEnds> {
        MessageStream::for_match_rule(MatchRule::try_from(JOB_REMOVED)?, bus, Some(QUEUE)).await.map(JobEnds)
    }

    /// Waits for the end of `job`.
    pub(super) async fn of(&mut self, job: &ObjectPath<'_>) -> zbus::Result<JobResult> {
        loop {
            let (ended, result) = self.next().await?;
            if ended.as_str() == job.as_str() {
                return Ok(result);
            }
        }
    }

    /// The next job of any unit that ends.
    async fn next(&mut self) -> zbus::Result<(OwnedObjectPath, JobResult)> {
        let message = poll_fn(|context| Pin::new(&mut self.0).poll_next(context)).await;
        let message = message.ok_or_else(gone)??;
        let body = message.body();
        let (_, ended, _, result): (u32, ObjectPath<'_>, &str, &str) = body.deserialize()?;
        Ok((ended.to_owned().into(), JobResult(result.to_string())))
    }
}

/// Jobs under way, one for each of several units.
pub struct Jobs<'a> {
    bus: &'a Bus,
    job: Job,
    units: &'a [String],
    manager: Manager,
    ends: JobEnds,
    waited_for: HashMap<OwnedObjectPath, usize>,
    ended: Vec<(usize, Result<JobResult>)>,
}

impl<'a> Jobs<'a> {
    /// Asks for all of them, in mode `replace`.
    pub async fn begin(bus: &'a Bus, job: Job, units: &'a [String]) -> Result<Jobs<'a>> {
        let mut jobs = Jobs::listen(bus, job, units).await?;
        for (index, unit) in units.iter().enumerate() {
            match jobs.ask(unit).await {
                Ok(path) => _ = jobs.waited_for.insert(path, index),
                Err(error) => {
                    let error = failure(&format!("failed to {} '{unit}'", job.verb()), &error);
                    jobs.ended.push((index, Err(error)));
                }
            }
        }
        Ok(jobs)
    }

    /// Asks for one of them; again where systemd or the bus was restarted before the answer. A job that is asked for twice
    /// is one job.
    async fn ask(&mut self, unit: &str) -> zbus::Result<OwnedObjectPath> {
        let began = Instant::now();
        loop {
            match self.manager.queue_job(self.job, unit).await {
                Err(error) if is_lost(&error) && began.elapsed() < PATIENCE => {
                    std::thread::sleep(Duration::from_millis(100));
                    if let Ok(again) = Jobs::listen(self.bus, self.job, self.units).await {
                        (self.manager, self.ends) = (again.manager, again.ends);
                    }
                }
                result => return result,
            }
        }
    }

    async fn listen(bus: &'a Bus, job: Job, units: &'a [String]) -> Result<Jobs<'a>> {
        let began = Instant::now();
        let (manager, ends) = loop {
            let manager = bus.manager().await?;
            match manager.job_ends().await {
                Ok(ends) => break (manager, ends),
                Err(error) if is_lost(&error) && began.elapsed() < PATIENCE => {
                    std::thread::sleep(Duration::from_millis(100));
                }
                Err(error) => return Err(failure("failed to listen to systemd", &error)),
            }
        };
        Ok(Jobs { bus, job, units, manager, ends, waited_for: HashMap::new(), ended: Vec::new() })
    }

    /// The manager that was asked.
    pub fn manager(&self) -> &Manager {
        &self.manager
    }

    /// The next unit whose job has ended, by its index; `None` when all have.
    pub async fn next(&mut self) -> Result<Option<(usize, Result<JobResult>)>> {
        loop {
            if let Some(ended) = self.ended.pop() {
                return Ok(Some(ended));
            }
            if self.waited_for.is_empty() {
                return Ok(None);
            }
            match self.ends.next().await {
                Ok((path, result)) => {
                    let index = self.waited_for.remove(&path);
                    self.ended.extend(index.map(|index| (index, Ok(result))));
                }
                Err(_) => self.resume().await?,
            }
        }
    }

    /// Connects again, and finds each job on its way, or its unit where the job led it.
    async fn resume(&mut self) -> Result<()> {
        let open: Vec<usize> = std::mem::take(&mut self.waited_for).into_values().collect();
        let began = Instant::now();
        loop {
            // The bus takes a moment to come back, and PID 1 one to come back to it.
            std::thread::sleep(Duration::from_millis(100));
            match self.find(&open).await {
                Ok(()) => return Ok(()),
                Err(_) if began.elapsed() < PATIENCE => self.waited_for.clear(),
                Err(error) => return Err(error),
            }
        }
    }

    async fn find(&mut self, open: &[usize]) -> Result<()> {
        let again = Jobs::listen(self.bus, self.job, self.units).await?;
        (self.manager, self.ends) = (again.manager, again.ends);
        let mut ended = Vec::new();
        for index in open.iter().copied() {
            let unit = &self.units[index];
            match self.manager.job_of(unit).await? {
                Some(path) => _ = self.waited_for.insert(path, index),
                None => {
                    let active = self.manager.properties(unit, "Service").await?.text("ActiveState");
                    let result = if self.job.is_reached(&active) { "done" } else { "failed" };
                    ended.push((index, Ok(JobResult(result.to_string()))));
                }
            }
        }
        self.ended.extend(ended);
        Ok(())
    }
}
