//! How far long work has come: told while it goes on to whoever asked for it, who shows it as he likes.

/// How far a piece of work has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress<'a> {
    /// What is being done: `unpacking 'root.tar'`.
    pub work: &'a str,
    /// How much of it is done.
    pub amount: Amount,
    /// What it is at now, perhaps in the words of a tool; may be empty.
    pub now: &'a str,
}

/// How much is done, and of how much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// Nobody knows.
    Unknown,
    /// Bytes.
    Bytes(u64, u64),
    /// Containers.
    Containers(u64, u64),
}

/// Who is told, if anybody.
pub struct Listener<'a>(Option<&'a mut dyn FnMut(&Progress<'_>)>);

impl<'a> Listener<'a> {
    /// Has `hear` called now and then, at least twice a second.
    pub fn new(hear: &'a mut dyn FnMut(&Progress<'_>)) -> Listener<'a> {
        Listener(Some(hear))
    }

    /// Nobody wants to know.
    pub fn nobody() -> Listener<'static> {
        Listener(None)
    }

    /// Whether somebody does.
    pub fn is_there(&self) -> bool {
        self.0.is_some()
    }

    /// Tells.
    pub fn tell(&mut self, work: &str, amount: Amount, now: &str) {
        if let Some(hear) = &mut self.0 {
            hear(&Progress { work, amount, now });
        }
    }
}
