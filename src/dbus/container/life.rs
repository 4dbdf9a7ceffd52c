//! Starting, stopping, freezing, signals.

use std::time::Duration;

use super::row;
use crate::dbus::caller::Action;
use crate::dbus::interface::Method;
use crate::error::{Error, Result};
use crate::machine::lifecycle::signal::Target;
use crate::machine::lifecycle::unit::Stop;

/// The methods.
pub fn methods() -> Vec<Method> {
    let operate = Action::Operate;
    vec![
        row("Start", operate, &[], &[], |machine, ()| machine.start()),
        row("Stop", operate, &["timeout_usec"], &[], |machine, (usec,): (u64,)| {
            machine.stop(how(usec)).map(drop)
        }),
        row("Restart", operate, &[], &[], |machine, ()| machine.restart()),
        row("Kill", operate, &["whom", "signal"], &[], |machine, (whom, signal): (String, i32)| {
            machine.kill(target(&whom)?, number(signal)?)
        }),
        row("Freeze", operate, &[], &[], |machine, ()| machine.freeze()),
        row("Thaw", operate, &[], &[], |machine, ()| machine.thaw()),
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

/// The target of a signal, by its name on the bus.
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
