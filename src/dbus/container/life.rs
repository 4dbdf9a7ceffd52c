//! Starting, stopping, freezing, signals.

use std::slice::from_ref;
use std::time::Duration;

use super::row;
use crate::dbus::caller::Action;
use crate::dbus::interface::Method;
use crate::error::{Error, Result};
use crate::machine::lifecycle::freeze;
use crate::machine::lifecycle::signal::{self, Target};
use crate::machine::lifecycle::unit::{self, Stop, one};
use crate::progress::Listener;

/// The methods.
pub fn methods() -> Vec<Method> {
    let operate = Action::Operate;
    vec![
        row("Start", operate, &[], &[], |root, name, ()| {
            one(unit::start(root, from_ref(name), Listener::nobody())?)
        }),
        row("Stop", operate, &["timeout_usec"], &[], |root, name, (usec,): (u64,)| {
            one(unit::stop(root, from_ref(name), how(usec), Listener::nobody())?).map(drop)
        }),
        row("Restart", operate, &[], &[], |root, name, ()| {
            one(unit::restart(root, from_ref(name), Listener::nobody())?)
        }),
        row("Kill", operate, &["whom", "signal"], &[], |root, name, (whom, signal): (String, i32)| {
            signal::send(root, name, target(&whom)?, number(signal)?)
        }),
        row("Freeze", operate, &[], &[], |root, name, ()| freeze::freeze(root, name)),
        row("Thaw", operate, &[], &[], |root, name, ()| freeze::thaw(root, name)),
    ]
}

/// systemd's word for no limit is the largest number.
pub fn how(usec: u64) -> Stop {
    match usec {
        u64::MAX => Stop::Ask,
        0 => Stop::Kill,
        usec => Stop::AskFor(Duration::from_micros(usec)),
    }
}

/// Whom a signal is for.
pub fn target(whom: &str) -> Result<Target> {
    match whom {
        "leader" => Ok(Target::Leader),
        "all" => Ok(Target::All),
        _ => Err(Error::config(format!("'{}' is not 'leader' or 'all'", whom.escape_debug()))),
    }
}

/// A signal that there is.
pub fn number(signal: i32) -> Result<i32> {
    crate::config::signal_number(&signal.to_string())
}
