//! Methods that show all containers, and the host.

use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::dbus::caller::Action;
use crate::dbus::interface::{Method, json};
use crate::dbus::options::{Given, Options};
use crate::error::{Error, Result};
use crate::generator;
use crate::machine::inspect::activity::{self, Order};
use crate::machine::inspect::registry::Filter;
use crate::machine::pattern::Pattern;
use crate::machine::{Host, RunState};

/// The longest time between two looks.
const LONGEST: Duration = Duration::from_secs(60);

/// The methods.
pub fn methods() -> Vec<Method> {
    let (look, text) = (Action::Look, &["json"]);
    vec![
        Method::new("DescribeContainers", look, &["filter"], text, containers),
        Method::new("DescribeProcesses", look, &[], text, |host, _, ()| json(&host.processes()?)),
        Method::new("DescribeLoad", look, &["options"], text, load),
        Method::new("ListGroups", look, &[], &["groups"], groups),
        Method::new("ListAutostart", look, &[], &["containers"], started),
        Method::new("DescribeUnits", look, &[], &["text"], |host, _, ()| {
            generator::dry_run(host.root()).map(|text| (text,))
        }),
        Method::new("CheckHost", look, &[], text, |host, _, ()| json(&host.check())),
        Method::new("ExamineHost", look, &[], text, |host, _, ()| json(&host.settings())),
    ]
}

fn containers(host: &Host, _: &str, (filter,): (Given,)) -> Result<(String,)> {
    let mut options = Options::from(filter);
    let states: Vec<String> = options.take("States")?.unwrap_or_default();
    let filter = Filter {
        patterns: patterns(&mut options)?,
        states: states.iter().map(|state| state.parse()).collect::<Result<Vec<RunState>>>()?,
        groups: options.take("Groups")?.unwrap_or_default(),
    };
    options.refuse_rest()?;
    json(&host.list(&filter)?)
}

fn patterns(options: &mut Options) -> Result<Vec<Pattern>> {
    let patterns: Vec<String> = options.take("Patterns")?.unwrap_or_default();
    patterns.iter().map(|text| Pattern::new(text)).collect()
}

/// Two looks, and what was between them.
fn load(host: &Host, _: &str, (options,): (Given,)) -> Result<(String,)> {
    let mut options = Options::from(options);
    let filter = Filter { patterns: patterns(&mut options)?, ..Filter::default() };
    let interval = options.take("IntervalUSec")?.map_or(Duration::from_secs(1), Duration::from_micros);
    let order = order(options.take::<String>("Order")?.as_deref().unwrap_or("cpu"))?;
    options.refuse_rest()?;
    if interval.is_zero() || interval > LONGEST {
        return Err(Error::config(format!(
            "the interval is not between 1 and {} microseconds",
            LONGEST.as_micros()
        )));
    }
    let (before, looked) = (host.list(&filter)?, Instant::now());
    sleep(interval);
    let after = host.list(&filter)?;
    json(&activity::activities(&before, &after, looked.elapsed(), order))
}

fn order(word: &str) -> Result<Order> {
    Ok(match word {
        "cpu" => Order::Cpu,
        "memory" => Order::Memory,
        "io" => Order::Io,
        "tasks" => Order::Tasks,
        "name" => Order::Name,
        _ => {
            return Err(Error::config(format!(
                "'{}' is none of cpu, memory, io, tasks, name",
                word.escape_debug()
            )));
        }
    })
}

/// Each group and its members.
type Groups = Vec<(String, Vec<String>)>;

fn groups(host: &Host, _: &str, (): ()) -> Result<(Groups,)> {
    let groups = host.groups().into_iter();
    Ok((groups.map(|(group, members)| (group, members.iter().map(ToString::to_string).collect())).collect(),))
}

/// Name, priority, delay in microseconds and groups, in the order of their starts.
type Started = Vec<(String, i32, u64, Vec<String>)>;

fn started(host: &Host, _: &str, (): ()) -> Result<(Started,)> {
    let entries = host.autostart()?.into_iter();
    Ok((entries.map(|one| (one.name, one.priority, one.delay_usec, one.groups)).collect(),))
}
