//! Progress of long operations, reported to the caller while they run.

/// One progress report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress<'a> {
    /// The operation and its object: `unpacking 'root.tar'`.
    pub work: &'a str,
    /// The share that is done.
    pub amount: Amount,
    /// The current step, possibly a line of a tool's output; may be empty.
    pub now: &'a str,
}

/// An amount done, and the total.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// Unknown.
    Unknown,
    /// Bytes.
    Bytes(u64, u64),
    /// Containers.
    Containers(u64, u64),
}

/// The receiver of progress reports, if any.
pub struct Listener<'a>(Option<&'a mut dyn FnMut(&Progress<'_>)>);

impl<'a> Listener<'a> {
    /// Calls `hear` for each report, at least twice a second.
    pub fn new(hear: &'a mut dyn FnMut(&Progress<'_>)) -> Listener<'a> {
        Listener(Some(hear))
    }

    /// Discards all reports.
    pub fn nobody() -> Listener<'static> {
        Listener(None)
    }

    /// Whether reports are received.
    pub fn is_there(&self) -> bool {
        self.0.is_some()
    }

    /// Reports progress.
    pub fn tell(&mut self, work: &str, amount: Amount, now: &str) {
        if let Some(hear) = &mut self.0 {
            hear(&Progress { work, amount, now });
        }
    }
}
