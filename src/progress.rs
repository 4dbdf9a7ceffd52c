//! Progress of long work, reported while it goes on to whoever asked for the work.

use std::fmt;
use std::sync::Arc;

/// A report of progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress<'a> {
    /// The work: `unpacking 'root.tar'`.
    pub work: &'a str,
    /// The share that is done.
    pub amount: Amount,
    /// The step that is being done, perhaps in the words of a tool; may be empty.
    pub now: &'a str,
}

/// The part of the work that is done, and the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// It is not known.
    Unknown,
    /// Bytes.
    Bytes(u64, u64),
    /// Containers.
    Containers(u64, u64),
}

/// The receiver of reports, which may be nobody. Clones report to the same one.
#[derive(Clone, Default)]
pub struct Listener(Option<Arc<Receive>>);

type Receive = dyn Fn(&Progress<'_>) + Send + Sync;

impl Listener {
    /// Calls `receive` now and then, at least twice a second, from any thread.
    pub fn new(receive: impl Fn(&Progress<'_>) + Send + Sync + 'static) -> Listener {
        Listener(Some(Arc::new(receive)))
    }

    /// Nobody wants to know.
    pub fn nobody() -> Listener {
        Listener(None)
    }

    /// Whether somebody wants to know.
    pub fn is_there(&self) -> bool {
        self.0.is_some()
    }

    /// Reports.
    pub fn report(&self, work: &str, amount: Amount, now: &str) {
        if let Some(receive) = &self.0 {
            receive(&Progress { work, amount, now });
        }
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Listener")
    }
}
