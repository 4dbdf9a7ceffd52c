//! A start that counts as one once there is an address (`NotifyReady=network`).

use super::EventLoop;
use crate::error::{Context, Result};
use crate::network::awaited::Awaited;
use crate::supervisor::lifecycle::Event;
use crate::sys::pidfd;
use crate::systemd::notify;

impl EventLoop<'_> {
    /// Ready at once where there is an address, as in the managed network; otherwise it is waited for, with all else
    /// going on. systemd's own limit of a start holds.
    pub(super) fn await_network(&mut self) -> Result<()> {
        let namespace = pidfd::network_namespace(&self.leader);
        let mut awaited = Awaited::of(&namespace.context(|| "failed to open the container's network")?)?;
        if awaited.is_there()? {
            return self.handle(Event::Ready);
        }
        notify::status("Container running, waiting for an address (NotifyReady=network).");
        self.awaited = Some(awaited);
        Ok(())
    }

    /// Something has changed.
    pub(super) fn look_for_address(&mut self) -> Result<()> {
        if self.awaited.as_mut().is_some_and(|awaited| awaited.has_come().unwrap_or(true)) {
            self.awaited = None;
            self.handle(Event::Ready)?;
        }
        Ok(())
    }
}
