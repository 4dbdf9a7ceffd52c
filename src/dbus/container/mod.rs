//! `org.containerctl1.Container`, at `/org/containerctl1/container/NAME`: one container.

mod attach;
mod configuration;
mod properties;

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use zbus::Type;

use super::caller::Action;
use super::interface::{self, Interface, Method};
use super::options::Given;
use crate::error::{Context, Error, Kind, Result};
use crate::machine::unit::{self, Stop, one};
use crate::machine::{audit, configuration as core, info, limits, registry};
use crate::name::MachineName;
use crate::paths::Root;
use crate::supervisor::control;
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
    vec![
        row("Start", Action::Operate, &[], &[], |root, name, ()| {
            one(unit::start(root, std::slice::from_ref(name))?)
        }),
        row("Stop", Action::Operate, &["timeout_usec"], &[], |root, name, (usec,): (u64,)| {
            one(unit::stop(root, std::slice::from_ref(name), how(usec))?).map(drop)
        }),
        row("Enable", Action::Change, &[], &[], |root, name, ()| {
            one(unit::enable(root, std::slice::from_ref(name))?)
        }),
        row("Disable", Action::Change, &[], &[], |root, name, ()| {
            one(unit::disable(root, std::slice::from_ref(name))?)
        }),
        row(
            "SetLimits",
            Action::Change,
            &["changes", "runtime"],
            &[],
            |root, name, (changes, runtime): (Vec<String>, bool)| {
                let changes = changes.iter().map(|text| limits::change(text)).collect::<Result<Vec<_>>>()?;
                limits::set(
                    root,
                    name,
                    &changes,
                    if runtime { Lasting::Runtime } else { Lasting::Persistent },
                )
            },
        ),
        row("GetConfig", Action::Look, &["key"], &["values"], configuration::get),
        row("SetConfig", Action::Change, &["changes", "unset"], &["changed", "warnings"], configuration::set),
        row("DescribeConfig", Action::Look, &[], &["json"], |root, name, ()| json(&core::show(root, name)?)),
        Method::lasting(
            "OpenShell",
            Action::Shell,
            &["options"],
            &["terminal", "status"],
            |root, name, (options,): (Given,)| attach::open_shell(root, &MachineName::new(name)?, options),
        ),
        Method::lasting(
            "Execute",
            Action::Shell,
            &["command", "options"],
            &["input", "output", "error", "status"],
            |root, name, values| attach::execute(root, &MachineName::new(name)?, values),
        ),
        row("OpenConsole", Action::Shell, &[], &["console"], |root, name, ()| open_console(root, name)),
        row("Describe", Action::Look, &[], &["json"], |root, name, ()| json(&info::info(root, name)?)),
        row("Audit", Action::Operate, &[], &["json"], |root, name, ()| json(&audit::audit(root, name)?)),
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
    Method::new(name, action, takes, gives, move |root, name, values| -> Result<O> {
        run(root, &MachineName::new(name)?, values)
    })
}

/// systemd's word for no limit is the largest number.
fn how(usec: u64) -> Stop {
    match usec {
        u64::MAX => Stop::Ask,
        0 => Stop::Kill,
        usec => Stop::AskFor(Duration::from_micros(usec)),
    }
}

/// A connection to the supervisor, on which the caller speaks for himself: nothing of ours stands in between.
fn open_console(root: &Root, name: &MachineName) -> Result<(zbus::OwnedFd,)> {
    registry::require(root, name)?;
    let connection = control::connect_to(&root.runtime_of(name).join("control")).map_err(|errno| {
        let why = format!("container '{name}' has no console to attach to: {}", errno.desc());
        Error::new(Kind::NotFound, why).hint("start it first")
    })?;
    Ok((connection.into(),))
}

fn json(value: &impl Serialize) -> Result<(String,)> {
    let text = serde_json::to_string(value).map_err(std::io::Error::from);
    text.context(|| "failed to write JSON").map(|text| (text,))
}
