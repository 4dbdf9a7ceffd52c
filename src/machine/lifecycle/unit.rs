//! Services of containers: started, stopped and enabled by systemd, never by us. An operation on several containers asks
//! for all of them at once, and has a result for each.

use std::cmp::Reverse;
use std::slice::from_ref;
use std::time::{Duration, Instant};

use super::unwatched;
use crate::config::order::Order;
use crate::error::{Error, Kind, Result};
use crate::machine::background::{Background, Received, Reporter};
use crate::machine::{Host, Machine};
use crate::name::MachineName;
use crate::progress::Amount;
use crate::systemd::{
    self, Bus,
    jobs::{Job, JobResult, Jobs},
    manager::{Manager, Whom},
};

/// machines.target, which wants every enabled container.
const TARGET: &str = "machines.target";
/// Time after which supervisors that could not take the signal to kill get it again.
const AGAIN: Duration = Duration::from_millis(200);
/// Time between two reports of progress.
const REPORT: Duration = Duration::from_millis(200);

/// The result for one of several containers.
#[derive(Debug)]
pub struct Done<T> {
    /// The container.
    pub name: MachineName,
    /// The result for this container.
    pub result: Result<T>,
}

/// The result for the only one.
fn one<T>(all: Vec<Done<T>>) -> Result<T> {
    let lost = || Err(Error::failed("nothing was done to any container"));
    all.into_iter().next().map_or_else(lost, |done| done.result)
}

/// Does something short to each of `machines`, one after the other.
pub fn each<T>(machines: &[Machine], mut act: impl FnMut(&Machine) -> Result<T>) -> Vec<Done<T>> {
    let act = |machine: &Machine| machine.require().and_then(|_| act(machine));
    with_names(machines, machines.iter().map(act).collect())
}

fn with_names<T>(machines: &[Machine], results: Vec<Result<T>>) -> Vec<Done<T>> {
    let names = machines.iter().map(|machine| machine.name.clone());
    names.zip(results).map(|(name, result)| Done { name, result }).collect()
}

/// The way in which containers are stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// A clean shutdown, for which their services have a time limit.
    Ask,
    /// A clean shutdown; those that need longer than this are killed.
    AskFor(Duration),
    /// They are killed at once.
    Kill,
}

/// The way in which a container has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// By its own shutdown, or it did not run.
    Down,
    /// It was killed.
    Killed,
}

impl Host {
    /// Starts containers, and waits until they are up.
    pub fn start(&self, machines: &[Machine]) -> Result<Vec<Done<()>>> {
        self.run(Job::Start, machines, |_| Ok(None))
    }

    /// Stops containers and starts them again; those that do not run are started.
    pub fn restart(&self, machines: &[Machine]) -> Result<Vec<Done<()>>> {
        self.run(Job::Restart, machines, |_| Ok(None))
    }

    /// Asks for the stop of containers, and does not wait for it.
    pub fn request_stop(&self, machines: &[Machine]) -> Result<Vec<Done<()>>> {
        self.require_systemd()?;
        self.systemd(async |manager| {
            let mut results = Vec::new();
            for machine in machines {
                results.push(match machine.require() {
                    Ok(_) => manager.ask(Job::Stop, &machine.name.service()).await,
                    Err(error) => Err(error),
                });
            }
            Ok(with_names(machines, results))
        })
    }

    /// Stops containers, and waits until they are down; also those whose services have ended before. Processes that cannot
    /// be ended are an error of kind `Stuck`.
    pub fn stop(&self, machines: &[Machine], how: Stop) -> Result<Vec<Done<Stopped>>> {
        let begun = Instant::now();
        let mut deadline = match how {
            Stop::AskFor(limit) => Some(begun + limit),
            Stop::Kill => Some(begun),
            Stop::Ask => None,
        };
        let mut killed: Vec<MachineName> = Vec::new();
        let done = self.run(Job::Stop, machines, |pending| {
            let now = Instant::now();
            if deadline.is_some_and(|deadline| now >= deadline) {
                deadline = Some(now + AGAIN);
                self.kill_payloads(pending)?;
                if killed.is_empty() && how != Stop::Kill {
                    killed = pending.iter().map(|machine| machine.name.clone()).collect();
                }
            }
            Ok(deadline)
        })?;
        let end = |(machine, Done { name, result }): (&Machine, Done<()>)| {
            let was_killed = killed.contains(&name);
            let result = result.and_then(|()| unwatched::end(machine, how));
            let result = result.map(|ended| if was_killed { Stopped::Killed } else { ended });
            Done { name, result }
        };
        Ok(machines.iter().zip(done).map(end).collect())
    }

    /// Makes supervisors kill their payloads. One that is not executed yet cannot take the signal, and would die of it.
    fn kill_payloads(&self, machines: &[&Machine]) -> Result<()> {
        let units: Vec<String> = machines.iter().map(|machine| machine.name.service()).collect();
        let patterns: Vec<&str> = units.iter().map(String::as_str).collect();
        systemd::block_on(async {
            let found = Manager::find_units(self.bus(), &patterns).await?;
            let manager = self.bus().manager().await?;
            let takes_signals = |active: &str| matches!(active, "active" | "reloading" | "deactivating");
            for unit in found.iter().filter(|unit| takes_signals(&unit.active)) {
                match manager.kill_unit(&unit.name, Whom::Main, libc::SIGUSR1).await {
                    Err(error) if error.kind() == Kind::Denied => return Err(error),
                    _ => {}
                }
            }
            Ok(())
        })
    }

    /// Enables containers: they are started at boot.
    pub fn enable(&self, machines: &[Machine]) -> Result<Vec<Done<()>>> {
        // As machinectl does: a container that is wanted by a target that nobody wants would not come up.
        self.change_unit_files(machines, async |manager, service| {
            manager.enable_unit_files(&[TARGET, service]).await
        })
    }

    /// Disables containers: they are no longer started at boot.
    pub fn disable(&self, machines: &[Machine]) -> Result<Vec<Done<()>>> {
        self.change_unit_files(machines, async |manager, service| {
            manager.disable_unit_files(&[service]).await
        })
    }

    /// Changes the links of those that are defined, and has systemd read them all at once.
    fn change_unit_files(
        &self,
        machines: &[Machine],
        change: impl AsyncFn(&Manager, &str) -> Result<()>,
    ) -> Result<Vec<Done<()>>> {
        let mut done = each(machines, |_| Ok(()));
        if done.iter().all(|done| done.result.is_err()) {
            return Ok(done);
        }
        self.require_systemd()?;
        self.systemd(async |manager| {
            for one in done.iter_mut().filter(|one| one.result.is_ok()) {
                one.result = change(manager, &one.name.service()).await;
            }
            manager.reload().await
        })?;
        Ok(done)
    }

    /// Runs jobs for all that are defined, and waits for their ends. Before each wait `turn` gets those that are still
    /// waited for, and returns the time of its next turn.
    fn run<'a>(
        &self,
        job: Job,
        machines: &'a [Machine],
        mut turn: impl FnMut(&[&'a Machine]) -> Result<Option<Instant>>,
    ) -> Result<Vec<Done<()>>> {
        let mut results: Vec<Option<Result<()>>> =
            machines.iter().map(|machine| machine.require().err().map(Err)).collect();
        let defined: Vec<usize> = (0..machines.len()).filter(|index| results[*index].is_none()).collect();
        if !defined.is_empty() {
            self.require_systemd()?;
        }
        let asked = in_order(self, job, machines, defined);
        let units: Vec<String> = asked.iter().map(|index| machines[*index].name.service()).collect();
        let bus = self.bus().clone();
        let mut background = Background::start(self.cancellation(), move |reporter| {
            if let Err(error) = systemd::block_on(run_jobs(reporter, &bus, job, &units)) {
                reporter.report(Err(error));
            }
        })?;
        loop {
            let open: Vec<usize> = asked.iter().copied().filter(|index| results[*index].is_none()).collect();
            if open.is_empty() {
                break;
            }
            let pending: Vec<&Machine> = open.iter().map(|index| &machines[*index]).collect();
            let next_report = self.report_pending(job, machines.len(), &pending);
            match background.next(turn(&pending)?.into_iter().chain(next_report).min())? {
                Received::Report(report) => {
                    let (index, result) = report?;
                    results[asked[index]] = Some(result);
                }
                Received::Late => {}
                Received::Cancelled => open.iter().for_each(|index| {
                    results[*index] = Some(Err(still_running(job, &machines[*index].name)));
                }),
                Received::End => {
                    let failed = format!("failed to {} containers: the bus went away", job.verb());
                    return Err(Error::failed(failed));
                }
            }
        }
        Ok(with_names(machines, results.into_iter().map(|result| result.unwrap_or(Ok(()))).collect()))
    }

    /// Reports progress, if somebody receives it. Returns the time of the next report.
    fn report_pending(&self, job: Job, count: usize, pending: &[&Machine]) -> Option<Instant> {
        let waiting = format!("waiting for '{}'", pending.first()?.name);
        let amount = Amount::Containers((count - pending.len()) as u64, count as u64);
        self.listener().report(job.progressive(), amount, &waiting);
        self.listener().is_there().then(|| Instant::now() + REPORT)
    }
}

impl Machine {
    /// As [`Host::start`].
    pub fn start(&self) -> Result<()> {
        one(self.host().start(from_ref(self))?)
    }

    /// As [`Host::restart`].
    pub fn restart(&self) -> Result<()> {
        one(self.host().restart(from_ref(self))?)
    }

    /// As [`Host::stop`].
    pub fn stop(&self, how: Stop) -> Result<Stopped> {
        one(self.host().stop(from_ref(self), how)?)
    }

    /// Resets the failure of the service. Does nothing where systemd does not know the unit, or does not run.
    pub(in crate::machine) fn forget_failure(&self) -> Result<()> {
        if !systemd::is_running(self.root()) {
            return Ok(());
        }
        let service = self.name.service();
        match self.host().systemd(async |manager| manager.reset_failed_unit(&service).await) {
            Err(error) if error.kind() == Kind::NotFound => Ok(()),
            forgotten => forgotten,
        }
    }

    /// As [`Host::enable`].
    pub fn enable(&self) -> Result<()> {
        one(self.host().enable(from_ref(self))?)
    }

    /// As [`Host::disable`].
    pub fn disable(&self) -> Result<()> {
        one(self.host().disable(from_ref(self))?)
    }
}

/// A report of the thread: a unit's index and the result of its job, or the reason why no more will come.
type Report = Result<(usize, Result<()>)>;

/// Jobs are asked for one by one, and one without a reason to wait begins at once: so those that others wait for come
/// first.
fn in_order(host: &Host, job: Job, machines: &[Machine], mut asked: Vec<usize>) -> Vec<usize> {
    if asked.len() > 1 {
        let settings = |index: &usize| {
            let machine = &machines[*index];
            Some((machine.name.clone(), machine.definition().ok()?.settings.clone()))
        };
        let order = Order::of(host.root(), &asked.iter().filter_map(settings).collect());
        asked.sort_by_key(|index| Reverse(order.priority(&machines[*index].name)));
    }
    if job == Job::Stop {
        asked.reverse();
    }
    asked
}

fn still_running(job: Job, name: &MachineName) -> Error {
    Error::new(Kind::Interrupted, format!("interrupted, '{name}' goes on to {}", job.verb()))
        .hint(format!("'systemctl status {}' shows how far it is", name.service()))
}

/// In the thread: asks for all jobs, and reports the end of each.
async fn run_jobs(reporter: &Reporter<Report>, bus: &Bus, job: Job, units: &[String]) -> Result<()> {
    let mut jobs = Jobs::begin(bus, job, units).await?;
    while let Some((index, result)) = jobs.next().await? {
        let result = match result {
            Ok(result) if result.is_done() => Ok(()),
            Ok(result) => Err(explain(jobs.manager(), job, &units[index], &result).await),
            Err(error) => Err(error),
        };
        reporter.report(Ok((index, result)));
    }
    Ok(())
}

/// The reason why a job failed.
async fn explain(manager: &Manager, job: Job, unit: &str, result: &JobResult) -> Error {
    let failed = format!("failed to {} '{unit}'", job.verb());
    match result.0.as_str() {
        "canceled" => {
            return Error::new(Kind::Busy, format!("{failed}: something else was asked of it meanwhile"))
                .hint(format!("see 'systemctl status {unit}'"));
        }
        "frozen" => {
            return Error::new(Kind::Busy, format!("{failed}: it is frozen, or a slice above it is"))
                .hint(format!("thaw it first: 'systemctl thaw {unit}', or the slice"));
        }
        _ => {}
    }
    // The supervisor leaves its error sentence in the unit's status.
    let service = manager.properties(unit, "Service").await.ok();
    let status = service.as_ref().map(|service| service.text("StatusText"));
    let timed_out = service.as_ref().is_some_and(|service| service.text("Result") == "timeout");
    if let Some(why) = status.as_deref().and_then(|status| status.strip_prefix("failed: ")) {
        let code = service.and_then(|service| service.number("ExecMainStatus")).unwrap_or(1);
        let kind = if timed_out { Kind::TimedOut } else { Kind::of_exit_code(code) };
        return Error::new(kind, format!("{failed}: {why}"));
    }
    let kind = if timed_out || result.0 == "timeout" { Kind::TimedOut } else { Kind::Failed };
    Error::new(kind, format!("{failed}: {}", result.0)).hint(format!("see 'journalctl -u {unit}'"))
}
