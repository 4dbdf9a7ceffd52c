//! `org.containerctl1.Container`, at `/org/containerctl1/container/NAME`: one container.

mod attach;
mod configuration;
mod devices;
mod life;
mod properties;

use std::slice::from_ref;

use serde::Serialize;
use serde::de::DeserializeOwned;
use zbus::Type;

use super::caller::Action;
use super::interface::{self, Interface, Method, json};
use super::options::Given;
use crate::error::{Error, Kind, Result};
use crate::machine::unit::{self, one};
use crate::machine::{audit, configuration as core, info, limits, processes, registry};
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
    [life::methods(), change(), devices::methods(), enter(), look()].into_iter().flatten().collect()
}

fn change() -> Vec<Method> {
    let change = Action::Change;
    vec![
        row("Enable", change, &[], &[], |root, name, ()| one(unit::enable(root, from_ref(name))?)),
        row("Disable", change, &[], &[], |root, name, ()| one(unit::disable(root, from_ref(name))?)),
        row("SetLimits", change, &["changes", "runtime"], &[], set_limits),
        row("SetConfig", change, &["changes", "unset"], &["changed", "warnings"], configuration::set),
    ]
}

fn enter() -> Vec<Method> {
    let (shell, pipes) = (&["terminal", "status"], &["input", "output", "error", "status"]);
    vec![
        Method::lasting(
            "OpenShell",
            Action::Shell,
            &["options"],
            shell,
            |root, name, (options,): (Given,)| attach::open_shell(root, &MachineName::new(name)?, options),
        ),
        Method::lasting("Execute", Action::Shell, &["command", "options"], pipes, |root, name, values| {
            attach::execute(root, &MachineName::new(name)?, values)
        }),
        row("OpenConsole", Action::Shell, &[], &["console"], |root, name, ()| open_console(root, name)),
    ]
}

fn look() -> Vec<Method> {
    let look = Action::Look;
    vec![
        row("Describe", look, &[], &["json"], |root, name, ()| json(&info::info(root, name)?)),
        row("DescribeProcesses", look, &[], &["json"], |root, name, ()| {
            json(&processes::list(root, from_ref(name))?)
        }),
        row("GetConfig", look, &["key"], &["values"], configuration::get),
        row("DescribeConfig", look, &[], &["json"], |root, name, ()| json(&core::show(root, name)?)),
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

fn set_limits(root: &Root, name: &MachineName, (changes, runtime): (Vec<String>, bool)) -> Result<()> {
    let changes = changes.iter().map(|text| limits::change(text)).collect::<Result<Vec<_>>>()?;
    limits::set(root, name, &changes, if runtime { Lasting::Runtime } else { Lasting::Persistent })
}

/// A connection to the supervisor, on which the caller speaks for himself: nothing of ours stands in between.
fn open_console(root: &Root, name: &MachineName) -> Result<(zbus::OwnedFd,)> {
    registry::require(root, name)?;
    let connection = control::connect(root, name).map_err(|errno| {
        let why = format!("container '{name}' has no console to attach to: {}", errno.desc());
        Error::new(Kind::NotFound, why).hint("start it first")
    })?;
    Ok((connection.into(),))
}
