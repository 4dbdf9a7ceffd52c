//! Notifications of the payload's PID 1, forwarded to systemd and recorded in the state.

use super::{EventLoop, monotonic};
use crate::config::settings::Readiness;
use crate::error::Result;
use crate::supervisor::console::rate::Verdict;
use crate::supervisor::lifecycle::Event;
use crate::supervisor::notification::{self, Notification};
use crate::systemd::notify;

impl EventLoop<'_> {
    /// Takes all that has come.
    pub(super) fn take_notifications(&mut self) -> Result<()> {
        for notification in notification::receive(&self.notifications, self.state.leader) {
            let Notification { ready, status, takes_signals, shutdown } = notification;
            self.takes_signals |= takes_signals;
            // A payload that talks without end does not keep the service manager busy.
            if let Some(status) = status
                && matches!(self.statuses.judge(monotonic()), Verdict::Pass { .. })
            {
                notify::status(&format!("Container running: {status}"));
            }
            if let Some(shutdown) = shutdown
                && shutdown != self.state.shutdown
            {
                self.state.shutdown = shutdown;
                self.file.write(&self.state)?;
                self.runtime.write_state(&self.state)?;
            }
            if ready && self.state.readiness == Readiness::Told {
                self.handle(Event::Ready)?;
            }
        }
        Ok(())
    }
}
