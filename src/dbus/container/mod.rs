//! `org.containerctl1.Container`, at `/org/containerctl1/container/NAME`: one container.

mod attach;
mod configuration;
mod devices;
mod journal;
pub mod life;
mod properties;
mod wait;

use std::slice::from_ref;

use serde::Serialize;
use serde::de::DeserializeOwned;
use zbus::Type;

use super::caller::Action;
use super::interface::{self, Interface, Method, Rest, json};
use super::options::{Given, Options};
use crate::config::tty::{self, Tty};
use crate::error::{Error, Result};
use crate::machine::change::{configuration as core, limits};
use crate::machine::enter::console;
use crate::machine::inspect::scrollback::{self, Scrollback};
use crate::machine::inspect::{audit, info, plan, processes, registry};
use crate::machine::lifecycle::unit::{self, one};
use crate::name::MachineName;
use crate::paths::Root;
use crate::runtime::timings;
use crate::systemd::manager::Lasting;

/// Its name.
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
        row("Enable", change, &[], &[], |root, name, ()| one(unit::enable(root, from_ref(name))?)),
        row("Disable", change, &[], &[], |root, name, ()| one(unit::disable(root, from_ref(name))?)),
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
        row("Describe", look, &[], text, |root, name, ()| json(&info::info(root, name)?)),
        row("DescribeProcesses", look, &[], text, |root, name, ()| {
            json(&processes::list(root, from_ref(name))?)
        }),
        row("DescribeLimits", look, &[], text, |root, name, ()| json(&limits::list(root, name)?)),
        row("DescribePlan", look, &[], &["json", "warnings"], |root, name, ()| {
            let (plan, warnings) = plan::plan(root, name)?;
            json(&plan).map(|(text,)| (text, warnings))
        }),
        row("GetConfig", look, &["key"], &["values"], configuration::get),
        row("DescribeConfig", look, &[], text, |root, name, ()| json(&core::show(root, name)?)),
        row("ReadDefinition", look, &[], &["file", "text"], configuration::read),
        row("ListTimings", look, &[], &["stages"], timings),
        row("Audit", Action::Operate, &[], text, |root, name, ()| json(&audit::audit(root, name)?)).sealed(),
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
    run: impl Fn(&Root, &MachineName, I) -> Result<O> + Send + Sync + 'static,
) -> Method
where
    I: Type + Serialize + DeserializeOwned,
    O: Type + Serialize + DeserializeOwned,
{
    lasting(name, action, takes, gives, move |root, name, values| {
        run(root, name, values).map(|done| (done, None))
    })
}

/// The row of a method that goes on after its answer.
fn lasting<I, O>(
    name: &'static str,
    action: Action,
    takes: &[&'static str],
    gives: &[&'static str],
    run: impl Fn(&Root, &MachineName, I) -> Result<(O, Option<Rest>)> + Send + Sync + 'static,
) -> Method
where
    I: Type + Serialize + DeserializeOwned,
    O: Type + Serialize + DeserializeOwned,
{
    Method::lasting(name, action, takes, gives, move |root, name, values| -> Result<_> {
        run(root, &MachineName::new(name)?, values)
    })
}

fn set_limits(root: &Root, name: &MachineName, (changes, runtime): (Vec<String>, bool)) -> Result<()> {
    let changes = changes.iter().map(|text| limits::change(text)).collect::<Result<Vec<_>>>()?;
    limits::set(root, name, &changes, if runtime { Lasting::Runtime } else { Lasting::Persistent })
}

/// A connection to the supervisor, on which the caller speaks for himself: nothing of ours stands in between.
fn open_console(root: &Root, name: &MachineName, (options,): (Given,)) -> Result<(zbus::OwnedFd,)> {
    registry::require(root, name)?;
    let mut options = Options::from(options);
    let tty = options.take("TTY")?.map(tty).transpose()?;
    options.refuse_rest()?;
    console::connect(root, name, tty).map(|connection| (connection.into(),))
}

fn tty(number: u32) -> Result<Tty> {
    let tty = u8::try_from(number).ok().and_then(Tty::new);
    tty.ok_or_else(|| Error::config(format!("there is no terminal {number}; they are 1 to {}", tty::MOST)))
}

fn read_scrollback(root: &Root, name: &MachineName, (options,): (Given,)) -> Result<(Vec<u8>,)> {
    let mut options = Options::from(options);
    let wanted = if options.take("Clear")?.unwrap_or(false) { Scrollback::Take } else { Scrollback::Show };
    options.refuse_rest()?;
    registry::require(root, name)?;
    let console = console::connect(root, name, None)?;
    scrollback::fetch(name, &console, wanted).map(|content| (content,))
}

/// Stages of the last start, and the microseconds that they took.
type Timings = Vec<(String, u64)>;

fn timings(root: &Root, name: &MachineName, (): ()) -> Result<(Timings,)> {
    let stages = timings::of(root, name)?.into_iter();
    Ok((stages.map(|(stage, took)| (stage, took.as_micros() as u64)).collect(),))
}
