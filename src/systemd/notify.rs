//! The notify protocol as a service speaks it (sd_notify(3)), and the file descriptor store
//! (systemd.service(5), `FileDescriptorStoreMax=`).
//!
//! Without a service manager every call does nothing, so that the supervisor can be run by hand.

use std::os::fd::AsFd;
use std::time::Duration;

use sd_notify::NotifyState;

/// Sends states, ignoring failure: a manager that cannot be reached is no reason to stop a container.
fn send(states: &[NotifyState]) {
    let _ = sd_notify::notify(states);
}

/// The unit is up.
pub fn ready(status: &str) {
    send(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// The line that `systemctl status` shows.
pub fn status(status: &str) {
    send(&[NotifyState::Status(status)]);
}

/// The unit is going down.
pub fn stopping(status: &str) {
    send(&[NotifyState::Stopping, NotifyState::Status(status)]);
}

/// We are alive.
pub fn watchdog() {
    send(&[NotifyState::Watchdog]);
}

/// The interval of [`watchdog`] messages: half of the unit's `WatchdogSec=`.
pub fn watchdog_interval() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|limit| limit / 2)
}

/// Puts a descriptor into the store. It is kept even when it hangs up (`FDPOLL=0`): the end of a container is
/// just what the next supervisor wants to learn.
pub fn store(name: &str, fd: impl AsFd) -> std::io::Result<()> {
    let states = [NotifyState::FdStore, NotifyState::FdName(name), NotifyState::Custom("FDPOLL=0")];
    sd_notify::notify_with_fds(&states, &[fd.as_fd()])
}

/// Puts a descriptor into the store, beside others of this name, until it hangs up.
pub fn store_until_hang_up(name: &str, fd: impl AsFd) -> std::io::Result<()> {
    sd_notify::notify_with_fds(&[NotifyState::FdStore, NotifyState::FdName(name)], &[fd.as_fd()])
}

/// Takes every descriptor of this name out of the store.
pub fn unstore(name: &str) {
    send(&[NotifyState::FdStoreRemove, NotifyState::FdName(name)]);
}
