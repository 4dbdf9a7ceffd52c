//! What there is to see of all containers, and of the host.

use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::dbus::caller::Action;
use crate::dbus::interface::{Method, json};
use crate::dbus::options::{Given, Options};
use crate::error::{Error, Result};
use crate::generator;
use crate::machine::host::{requirements, settings};
use crate::machine::inspect::activity::{self, Order};
use crate::machine::inspect::processes;
use crate::machine::inspect::registry::{self, Filter};
use crate::machine::lifecycle::autostart;
use crate::machine::pattern::Pattern;
use crate::machine::select;
use crate::paths::Root;
use crate::runtime::run_state::RunState;

/// The longest time between two looks.
const LONGEST: Duration = Duration::from_secs(60);

/// The methods.
pub fn methods() -> Vec<Method> {
    let (look, text) = (Action::Look, &["json"]);
    vec![
        Method::new("DescribeContainers", look, &["filter"], text, containers),
        Method::new("DescribeProcesses", look, &[], text, |root, _, ()| json(&processes::list(root, &[])?)),
        Method::new("DescribeLoad", look, &["options"], text, load),
        Method::new("ListGroups", look, &[], &["groups"], groups),
        Method::new("ListAutostart", look, &[], &["containers"], started),
        Method::new("DescribeUnits", look, &[], &["text"], |root, _, ()| {
            generator::dry_run(root).map(|text| (text,))
        }),
        Method::new("CheckHost", look, &[], text, |root, _, ()| json(&requirements::check(root))),
        Method::new("ExamineHost", look, &[], text, |root, _, ()| json(&settings::examine(root))),
    ]
}

fn containers(root: &Root, _: &str, (filter,): (Given,)) -> Result<(String,)> {
    let mut options = Options::from(filter);
    let states: Vec<String> = options.take("States")?.unwrap_or_default();
    let filter = Filter {
        patterns: patterns(&mut options)?,
        states: states.iter().map(|state| state.parse()).collect::<Result<Vec<RunState>>>()?,
        groups: options.take("Groups")?.unwrap_or_default(),
    };
    options.refuse_rest()?;
    json(&registry::list(root, &filter)?)
}

fn patterns(options: &mut Options) -> Result<Vec<Pattern>> {
    let patterns: Vec<String> = options.take("Patterns")?.unwrap_or_default();
    patterns.iter().map(|text| Pattern::new(text)).collect()
}

/// Two looks, and what was between them.
fn load(root: &Root, _: &str, (options,): (Given,)) -> Result<(String,)> {
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
    let (before, looked) = (registry::list(root, &filter)?, Instant::now());
    sleep(interval);
    let after = registry::list(root, &filter)?;
    json(&activity::loads(&before, &after, looked.elapsed(), order))
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

fn groups(root: &Root, _: &str, (): ()) -> Result<(Groups,)> {
    let groups = select::groups(root).into_iter();
    Ok((groups.map(|(group, members)| (group, members.iter().map(ToString::to_string).collect())).collect(),))
}

/// Name, priority, delay in microseconds and groups, in the order of their starts.
type Started = Vec<(String, i32, u64, Vec<String>)>;

fn started(root: &Root, _: &str, (): ()) -> Result<(Started,)> {
    let entries = autostart::list(root)?.into_iter();
    Ok((entries.map(|one| (one.name, one.priority, one.delay_usec, one.groups)).collect(),))
}
