//! Methods for several containers at once: the caller must be allowed for each of them before anything is done to
//! one, and is told which of them it failed for.

use crate::dbus::caller::Action;
use crate::dbus::container::life;
use crate::dbus::fault::Fault;
use crate::dbus::interface::Method;
use crate::dbus::options::{Given, Options};
use crate::error::{Error, Result};
use crate::machine::lifecycle::unit::{Done, Stop, Stopped, each};
use crate::machine::{Host, Machine};

/// The methods.
pub fn methods() -> Vec<Method> {
    let (operate, change) = (Action::Operate, Action::Change);
    let whom = &["selection", "whom", "signal"];
    vec![
        simple("StartContainers", operate, Host::start),
        Method::many("StopContainers", operate, &["selection", "options"], &["failures", "killed"], stop),
        simple("RestartContainers", operate, Host::restart),
        simple("FreezeContainers", operate, |_, machines| Ok(each(machines, Machine::freeze))),
        simple("ThawContainers", operate, |_, machines| Ok(each(machines, Machine::thaw))),
        Method::many("KillContainers", operate, whom, &["failures"], kill),
        simple("EnableContainers", change, Host::enable),
        simple("DisableContainers", change, Host::disable),
    ]
}

/// Name of the container, name of the error, sentence.
type Failures = Vec<(String, String, String)>;

fn simple(
    name: &'static str,
    action: Action,
    run: impl Fn(&Host, &[Machine]) -> Result<Vec<Done<()>>> + Send + Sync + 'static,
) -> Method {
    Method::many(name, action, &["selection"], &["failures"], move |host, machines, _: (Given,)| {
        Ok((failures(run(host, machines)?),))
    })
}

fn failures<T>(done: Vec<Done<T>>) -> Failures {
    let failed = done.into_iter().filter_map(|done| Some((done.name, Fault::from(done.result.err()?))));
    failed.map(|(name, fault)| (name.to_string(), fault.name, fault.text)).collect()
}

fn stop(host: &Host, machines: &[Machine], (_, options): (Given, Given)) -> Result<(Failures, Vec<String>)> {
    let mut options = Options::from(options);
    let limit: Option<u64> = options.take("TimeoutUSec")?;
    let no_wait = options.take("NoWait")?.unwrap_or(false);
    options.refuse_rest()?;
    let how = match (no_wait, limit) {
        (true, Some(_)) => {
            return Err(Error::config("the options 'NoWait' and 'TimeoutUSec' exclude each other"));
        }
        (true, None) => return Ok((failures(host.request_stop(machines)?), Vec::new())),
        (false, limit) => limit.map_or(Stop::Ask, life::how),
    };
    let done = host.stop(machines, how)?;
    let killed = done.iter().filter(|done| matches!(done.result, Ok(Stopped::Killed)));
    let killed = killed.map(|done| done.name.to_string()).collect();
    Ok((failures(done), killed))
}

fn kill(_: &Host, machines: &[Machine], (_, whom, signal): (Given, String, i32)) -> Result<(Failures,)> {
    let (target, number) = (life::target(&whom)?, life::number(signal)?);
    Ok((failures(each(machines, |machine| machine.kill(target, number))),))
}
