//! The first process of an application container: ours, in place of one of the tree's.
//!
//! It reaps whatever is orphaned, passes signals on to everybody, and ends when it was asked to and nobody is left, or
//! after a time. It is a copy of the supervisor that never executes anything: it needs no program of the container,
//! and to everyone inside it is as closed as a process of the host.

use std::time::Duration;

use nix::sys::signal::SigSet;

use crate::child::message::{Failed, Step, at, raw};
use crate::sys::clone::exit_now;
use crate::sys::exec::close_from;
use crate::sys::memory::{self, Memory};
use crate::sys::signal;

/// Time limit for processes that were asked to exit; the kernel kills the rest together with us.
const PATIENCE: Duration = Duration::from_secs(5);
/// Interval for checking whether they have exited.
const LOOK: Duration = Duration::from_millis(20);

/// Runs for the container's life; returns only the step that failed before.
pub fn run(of: Memory) -> Result<std::convert::Infallible, Failed> {
    let step = Step::BecomeInit;
    if of == Memory::Own {
        at(step, raw(memory::leave_files()))?;
    }
    at(step, rustix::thread::set_name(c"init"))?;
    let all = SigSet::all();
    at(step, raw(all.thread_block()))?;
    // The supervisor takes this for the exec of others.
    at(step, raw(close_from(3)))?;
    loop {
        match signal::wait_any(None) {
            Some(libc::SIGCHLD) => signal::reap_all(),
            Some(libc::SIGTERM) => end(),
            Some(signal) if passed_on(signal) => signal::send_to_all(signal).map_or((), drop),
            _ => {}
        }
    }
}

/// Signals that people send to programs; others are the kernel's own business with us.
fn passed_on(signal: i32) -> bool {
    [libc::SIGINT, libc::SIGHUP, libc::SIGQUIT, libc::SIGUSR1, libc::SIGUSR2, libc::SIGWINCH, libc::SIGCONT]
        .contains(&signal)
}

/// Asks everybody to end, and goes when they have.
fn end() -> ! {
    let mut waited = Duration::ZERO;
    let mut someone =
        signal::send_to_all(libc::SIGTERM).is_ok() && signal::send_to_all(libc::SIGCONT).is_ok();
    while someone && waited < PATIENCE {
        signal::wait_any(Some(LOOK));
        signal::reap_all();
        waited += LOOK;
        someone = signal::send_to_all(0).is_ok();
    }
    exit_now(0)
}
