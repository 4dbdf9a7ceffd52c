//! `org.containerctl1.Container`, at `/org/containerctl1/container/NAME`: one container.

mod attach;
mod configuration;
mod devices;
mod journal;
pub mod life;
mod properties;
mod wait;

use std::os::fd::OwnedFd;

use serde::Serialize;
use serde::de::DeserializeOwned;
use zbus::Type;

use super::caller::Action;
use super::interface::{self, FollowUp, Interface, Method, json};
use super::options::{Given, Options};
use crate::config::tty::{self, Tty};
use crate::error::{Error, Result};
use crate::machine::Machine;
use crate::machine::change::limits::{self, Lasting};
use crate::machine::inspect::scrollback::Scrollback;
use crate::name::MachineName;

/// The name of the interface.
pub const NAME: &str = "org.containerctl1.Container";

/// All interfaces of a container.
pub fn interfaces() -> Vec<Interface> {
    let container =
        Interface { name: NAME, methods: methods(), properties: properties::all(), signals: Vec::new() };
    vec![interface::properties(NAME, properties::values), container]
}

fn methods() -> Vec<Method> {
    [life::methods(), change(), devices::methods(), enter(), look()].into_iter().flatten().collect()
}

fn change() -> Vec<Method> {
    let change = Action::Change;
    vec![
        row("Enable", change, &[], &[], |machine, ()| machine.enable()),
        row("Disable", change, &[], &[], |machine, ()| machine.disable()),
        row("SetLimits", change, &["changes", "runtime"], &[], set_limits),
        row("SetConfig", change, &["changes", "unset"], &["changed", "warnings"], configuration::set),
        row("WriteDefinition", change, &["before", "text"], &["changed", "warnings"], configuration::write),
    ]
}

fn enter() -> Vec<Method> {
    let shell = Action::Shell;
    let console = vec![
        row("OpenConsole", shell, &["options"], &["console"], open_console),
        row("ReadScrollback", shell, &["options"], &["content"], read_scrollback),
    ];
    [attach::methods(), console].into_iter().flatten().collect()
}

fn look() -> Vec<Method> {
    let (look, text) = (Action::Look, &["json"]);
    vec![
        row("Describe", look, &[], text, |machine, ()| json(&machine.info()?)),
        row("DescribeProcesses", look, &[], text, |machine, ()| json(&machine.processes()?)),
        row("DescribeLimits", look, &[], text, |machine, ()| json(&machine.limits()?)),
        row("DescribePlan", look, &[], &["json", "warnings"], |machine, ()| {
            let (plan, warnings) = machine.plan()?;
            json(&plan).map(|(text,)| (text, warnings))
        }),
        row("GetConfig", look, &["key"], &["values"], configuration::get),
        row("DescribeConfig", look, &[], text, |machine, ()| json(&machine.assignments()?)),
        row("ReadDefinition", look, &[], &["file", "text"], configuration::read),
        row("ListTimings", look, &[], &["stages"], timings),
        row("Audit", Action::Operate, &[], text, |machine, ()| json(&machine.audit()?)),
        journal::method(),
        wait::method(),
    ]
}

/// A method's row: its work is one call about the machine that the path names.
fn row<I, O>(
    name: &'static str,
    action: Action,
    takes: &[&'static str],
    gives: &[&'static str],
    run: impl Fn(&Machine, I) -> Result<O> + Send + Sync + 'static,
) -> Method
where
    I: Type + Serialize + DeserializeOwned,
    O: Type + Serialize + DeserializeOwned,
{
    lasting(name, action, takes, gives, move |machine, values| run(machine, values).map(|done| (done, None)))
}

/// The row of a method that goes on after its answer.
fn lasting<I, O>(
    name: &'static str,
    action: Action,
    takes: &[&'static str],
    gives: &[&'static str],
    run: impl Fn(&Machine, I) -> Result<(O, Option<FollowUp>)> + Send + Sync + 'static,
) -> Method
where
    I: Type + Serialize + DeserializeOwned,
    O: Type + Serialize + DeserializeOwned,
{
    Method::lasting(name, action, takes, gives, move |host, name, values| -> Result<_> {
        run(&host.machine(&MachineName::new(name)?)?, values)
    })
}

fn set_limits(machine: &Machine, (changes, runtime): (Vec<String>, bool)) -> Result<()> {
    let changes = changes.iter().map(|text| limits::change(text)).collect::<Result<Vec<_>>>()?;
    machine.set_limits(&changes, if runtime { Lasting::Runtime } else { Lasting::Persistent })
}

/// A connection to the supervisor, on which the caller speaks for himself: nothing of ours stands in between.
fn open_console(machine: &Machine, (options,): (Given,)) -> Result<(zbus::OwnedFd,)> {
    let mut options = Options::from(options);
    let tty = options.take("TTY")?.map(tty).transpose()?;
    options.refuse_rest()?;
    machine.console(tty).map(|console| (OwnedFd::from(console).into(),))
}

fn tty(number: u32) -> Result<Tty> {
    let tty = u8::try_from(number).ok().and_then(Tty::new);
    tty.ok_or_else(|| Error::config(format!("there is no terminal {number}; they are 1 to {}", tty::MOST)))
}

fn read_scrollback(machine: &Machine, (options,): (Given,)) -> Result<(Vec<u8>,)> {
    let mut options = Options::from(options);
    let wanted = if options.take("Clear")?.unwrap_or(false) { Scrollback::Take } else { Scrollback::Show };
    options.refuse_rest()?;
    machine.scrollback(wanted).map(|content| (content,))
}

/// Stages of the last start, and the microseconds that they took.
type Timings = Vec<(String, u64)>;

fn timings(machine: &Machine, (): ()) -> Result<(Timings,)> {
    let stages = machine.timings()?.into_iter();
    Ok((stages.map(|(stage, took)| (stage, took.as_micros() as u64)).collect(),))
}
