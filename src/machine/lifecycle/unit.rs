//! A machine's service: started, stopped, enabled by systemd, never by us. What is asked for several machines is asked
//! for all at once, and each answers for itself.

use std::cmp::Reverse;
use std::time::{Duration, Instant};

use super::unwatched;
use crate::config::{self, order::Order};
use crate::error::{Error, Kind, Result};
use crate::machine::conversation::{Conversation, Heard, Teller};
use crate::machine::inspect::registry;
use crate::name::MachineName;
use crate::paths::Root;
use crate::progress::{Amount, Listener};
use crate::systemd::{
    self,
    jobs::{Job, JobResult, Jobs},
    manager::{Manager, Whom},
    payload,
};

/// machines.target, which wants every enabled container.
const TARGET: &str = "machines.target";
/// How soon those that could not hear that they are to be killed are told again.
const AGAIN: Duration = Duration::from_millis(200);
/// How often it is told how far we are.
const TELL: Duration = Duration::from_millis(200);

/// What became of one of several machines.
#[derive(Debug)]
pub struct Done<T> {
    /// The machine.
    pub name: MachineName,
    /// What became of it.
    pub result: Result<T>,
}

/// What became of the only one.
pub fn one<T>(all: Vec<Done<T>>) -> Result<T> {
    let lost = || Err(Error::failed("nothing was done to any container"));
    all.into_iter().next().map_or_else(lost, |done| done.result)
}

/// Does something to each of `names`, one after the other, for what takes no time.
pub fn each<T>(names: &[MachineName], mut act: impl FnMut(&MachineName) -> Result<T>) -> Vec<Done<T>> {
    names.iter().map(|name| Done { name: name.clone(), result: act(name) }).collect()
}

/// How machines are stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// They are asked, and may take as long as their services let them.
    Ask,
    /// They are asked, and after this time killed.
    AskFor(Duration),
    /// They are killed without a question.
    Kill,
}

/// How a stop ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// It is down, by its own shutdown or since it was down before.
    Down,
    /// It is down, and was killed.
    Killed,
}

/// Starts the services and waits for the end of their starting.
pub fn start(root: &Root, names: &[MachineName], listener: Listener) -> Result<Vec<Done<()>>> {
    run(root, Job::Start, names, listener, |_| Ok(None))
}

/// Stops and starts the services; what does not run is started.
pub fn restart(root: &Root, names: &[MachineName], listener: Listener) -> Result<Vec<Done<()>>> {
    run(root, Job::Restart, names, listener, |_| Ok(None))
}

/// Asks for a job for each, and waits for none.
pub fn ask(root: &Root, job: Job, names: &[MachineName]) -> Result<Vec<Done<()>>> {
    require_systemd(root)?;
    systemd::block_on(async {
        let manager = Manager::connect().await?;
        let mut all = Vec::new();
        for name in names {
            let result = match registry::require(root, name) {
                Ok(_) => manager.ask(job, &name.service()).await,
                Err(error) => Err(error),
            };
            all.push(Done { name: name.clone(), result });
        }
        Ok(all)
    })
}

/// Stops the services and waits for their end, and ends what a service that has ended before has left: what cannot be
/// ended is told, as kind `Stuck`.
pub fn stop(root: &Root, names: &[MachineName], how: Stop, listener: Listener) -> Result<Vec<Done<Stopped>>> {
    let begun = Instant::now();
    let mut deadline = match how {
        Stop::AskFor(limit) => Some(begun + limit),
        Stop::Kill => Some(begun),
        Stop::Ask => None,
    };
    let mut killed: Vec<MachineName> = Vec::new();
    let done = run(root, Job::Stop, names, listener, |pending| {
        let now = Instant::now();
        if deadline.is_some_and(|deadline| now >= deadline) {
            deadline = Some(now + AGAIN);
            put_down(pending)?;
            if killed.is_empty() && how != Stop::Kill {
                killed = pending.iter().map(|name| (*name).clone()).collect();
            }
        }
        Ok(deadline)
    })?;
    let end = |Done { name, result }: Done<()>| {
        let was_killed = killed.contains(&name);
        let result = result.and_then(|()| unwatched::end(root, &name, how));
        let result = result.map(|ended| if was_killed { Stopped::Killed } else { ended });
        Done { name, result }
    };
    Ok(done.into_iter().map(end).collect())
}

/// Has supervisors kill their payloads. One that is only about to be executed cannot hear it yet, and would die of it.
fn put_down(names: &[&MachineName]) -> Result<()> {
    let units: Vec<String> = names.iter().map(|name| name.service()).collect();
    let patterns: Vec<&str> = units.iter().map(String::as_str).collect();
    systemd::block_on(async {
        let found = Manager::find_units(&patterns).await?;
        let manager = Manager::connect().await?;
        let hear = |active: &str| matches!(active, "active" | "reloading" | "deactivating");
        for unit in found.iter().filter(|unit| hear(&unit.active)) {
            match manager.kill_unit(&unit.name, Whom::Main, libc::SIGUSR1).await {
                Err(error) if error.kind() == Kind::Denied => return Err(error),
                _ => {}
            }
        }
        Ok(())
    })
}

/// Has them started at boot.
pub fn enable(root: &Root, names: &[MachineName]) -> Result<Vec<Done<()>>> {
    // As machinectl does: a container that is wanted by a target that nobody wants would not come up.
    files(root, names, async |manager, service| manager.enable_unit_files(&[TARGET, service]).await)
}

/// Has them no longer started at boot.
pub fn disable(root: &Root, names: &[MachineName]) -> Result<Vec<Done<()>>> {
    files(root, names, async |manager, service| manager.disable_unit_files(&[service]).await)
}

/// Changes the links of those that are defined, and has systemd read them all at once.
fn files(
    root: &Root,
    names: &[MachineName],
    change: impl AsyncFn(&Manager, &str) -> Result<()>,
) -> Result<Vec<Done<()>>> {
    let mut done = each(names, |name| registry::require(root, name).map(drop));
    if done.iter().all(|done| done.result.is_err()) {
        return Ok(done);
    }
    require_systemd(root)?;
    systemd::block_on(async {
        let manager = Manager::connect().await?;
        for one in done.iter_mut().filter(|one| one.result.is_ok()) {
            one.result = change(&manager, &one.name.service()).await;
        }
        manager.reload().await?;
        Ok(done)
    })
}

/// As `systemctl daemon-reload`; where systemd does not run there is nothing to reload.
pub fn reload(root: &Root) -> Result<()> {
    if !systemd::is_running(root) {
        return Ok(());
    }
    systemd::block_on(async { Manager::connect().await?.reload().await })
}

/// Forgets that the machine's service failed; a unit that systemd does not know has nothing to forget.
pub fn forget_failure(root: &Root, name: &MachineName) -> Result<()> {
    if !systemd::is_running(root) {
        return Ok(());
    }
    match payload::reset_failed(name) {
        Err(error) if error.kind() == Kind::NotFound => Ok(()),
        forgotten => forgotten,
    }
}

/// Fails where systemd is not PID 1.
pub fn require_systemd(root: &Root) -> Result<()> {
    match systemd::is_running(root) {
        true => Ok(()),
        false => Err(Error::new(Kind::Unsupported, "systemd is not running on this host")
            .hint("containers are its units, boot with it")),
    }
}

/// What the thread tells: which unit, and how its job ended; or why nothing more will be told.
type News = Result<(usize, Result<()>)>;

/// Runs jobs for all that are defined, and waits for their ends. Before each wait `turn` gets those that are still
/// waited for, and says when it wants its next turn.
fn run<'a>(
    root: &Root,
    job: Job,
    names: &'a [MachineName],
    mut listener: Listener,
    mut turn: impl FnMut(&[&'a MachineName]) -> Result<Option<Instant>>,
) -> Result<Vec<Done<()>>> {
    let mut results: Vec<Option<Result<()>>> =
        names.iter().map(|name| registry::require(root, name).err().map(Err)).collect();
    let asked: Vec<usize> = (0..names.len()).filter(|index| results[*index].is_none()).collect();
    if !asked.is_empty() {
        require_systemd(root)?;
    }
    let asked = in_order(root, job, names, asked);
    let units: Vec<String> = asked.iter().map(|index| names[*index].service()).collect();
    let mut conversation = Conversation::begin(move |teller| {
        if let Err(error) = systemd::block_on(talk(teller, job, &units)) {
            teller.tell(Err(error));
        }
    })?;
    loop {
        let open: Vec<usize> = asked.iter().copied().filter(|index| results[*index].is_none()).collect();
        if open.is_empty() {
            break;
        }
        let pending: Vec<&MachineName> = open.iter().map(|index| &names[*index]).collect();
        let waiting = format!("waiting for '{}'", pending[0]);
        let amount = Amount::Containers((names.len() - open.len()) as u64, names.len() as u64);
        listener.tell(job.progressive(), amount, &waiting);
        let told_again = listener.is_there().then(|| Instant::now() + TELL);
        match conversation.next(turn(&pending)?.into_iter().chain(told_again).min())? {
            Heard::News(news) => {
                let (index, result) = news?;
                results[asked[index]] = Some(result);
            }
            Heard::Late => {}
            Heard::Interrupted => {
                open.iter().for_each(|index| results[*index] = Some(Err(goes_on(job, &names[*index]))))
            }
            Heard::End => {
                return Err(Error::failed(format!("failed to {} containers: the bus went away", job.verb())));
            }
        }
    }
    let all = names.iter().cloned().zip(results);
    Ok(all.map(|(name, result)| Done { name, result: result.unwrap_or(Ok(())) }).collect())
}

/// Jobs are asked for one by one, and one without a reason to wait begins at once: so those that others wait for come
/// first.
fn in_order(root: &Root, job: Job, names: &[MachineName], mut asked: Vec<usize>) -> Vec<usize> {
    let settings = |index: &usize| {
        let name = &names[*index];
        Some((name.clone(), config::load(root, name).ok()?.settings))
    };
    if asked.len() > 1 {
        let order = Order::of(root, &asked.iter().filter_map(settings).collect());
        asked.sort_by_key(|index| Reverse(order.priority(&names[*index])));
    }
    if job == Job::Stop {
        asked.reverse();
    }
    asked
}

fn goes_on(job: Job, name: &MachineName) -> Error {
    Error::new(Kind::Interrupted, format!("interrupted, '{name}' goes on to {}", job.verb()))
        .hint(format!("'systemctl status {}' shows how far it is", name.service()))
}

/// In the thread: asks for all, and tells of each end.
async fn talk(teller: &Teller<News>, job: Job, units: &[String]) -> Result<()> {
    let mut jobs = Jobs::begin(job, units).await?;
    while let Some((index, result)) = jobs.next().await? {
        let result = match result {
            Ok(result) if result.is_done() => Ok(()),
            Ok(result) => Err(explain(jobs.manager(), job, &units[index], &result).await),
            Err(error) => Err(error),
        };
        teller.tell(Ok((index, result)));
    }
    Ok(())
}

/// Why a job did not bring about what it was for.
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
    let told = service.as_ref().map(|service| service.text("StatusText"));
    let timed_out = service.as_ref().is_some_and(|service| service.text("Result") == "timeout");
    if let Some(why) = told.as_deref().and_then(|status| status.strip_prefix("failed: ")) {
        let code = service.and_then(|service| service.number("ExecMainStatus")).unwrap_or(1);
        let kind = if timed_out { Kind::TimedOut } else { Kind::of_exit_code(code) };
        return Error::new(kind, format!("{failed}: {why}"));
    }
    let kind = if timed_out || result.0 == "timeout" { Kind::TimedOut } else { Kind::Failed };
    Error::new(kind, format!("{failed}: {}", result.0)).hint(format!("see 'journalctl -u {unit}'"))
}
