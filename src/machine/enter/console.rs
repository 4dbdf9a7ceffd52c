//! The way to a running machine's console, and to its other terminals.

use std::os::fd::OwnedFd;

use crate::config::tty::{self, Tty};
use crate::error::{Context, Error, Kind, Result};
use crate::name::MachineName;
use crate::paths::Root;
use crate::runtime::control::{self, Request};
use crate::runtime::state;
use crate::sys::scm;

/// Connects to the supervisor. What is said on the connection, in the words of [`control`], is about this terminal; `None`
/// is the console.
pub fn connect(root: &Root, name: &MachineName, tty: Option<Tty>) -> Result<OwnedFd> {
    let connection = control::connect(root, name).map_err(|errno| {
        let error = format!("container '{name}' has no console to attach to: {}", errno.desc());
        Error::new(Kind::NotFound, error).hint(format!("start it with 'containerctl start {name}'"))
    })?;
    if let Some(tty) = tty {
        let (state, _) = state::require_running(root, name)?;
        if tty.number() > state.ttys {
            return Err(missing(name, tty, state.ttys));
        }
        scm::send(&connection, &control::encode_request(&Request::Select(tty)), None)
            .context(|| format!("failed to ask the supervisor of '{name}' for {tty}"))?;
    }
    Ok(connection)
}

fn missing(name: &MachineName, tty: Tty, there: u8) -> Error {
    let (has, number) = (tty::names(there), tty.number());
    Error::new(Kind::NotFound, format!("container '{name}' has no {tty} beside its console; it has {has}"))
        .hint(format!("'containerctl config set {name} Ttys={number}' gives it some, from its next start on"))
}
