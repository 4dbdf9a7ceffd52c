//! Taking over a running payload from what systemd kept: after a crash, a kill, or an upgrade.

use std::collections::HashMap;
use std::os::fd::OwnedFd;

use crate::error::Result;
use crate::name::MachineName;
use crate::paths::Root;
use crate::supervisor::cgroup::Cgroup;
use crate::supervisor::console::ring::Ring;
use crate::supervisor::runtime::Runtime;
use crate::supervisor::state::StateFile;
use crate::supervisor::watch::Running;
use crate::supervisor::{control, end};
use crate::systemd::journal::Journal;
use crate::systemd::notify;

/// Names in the service manager's store.
pub mod kept {
    /// Master of the console's terminal.
    pub const CONSOLE: &str = "console";
    /// The other end of the console's terminal.
    pub const CONSOLE_PEER: &str = "console-peer";
    /// The scrollback.
    pub const RING: &str = "ring";
    /// The leader's pidfd.
    pub const LEADER: &str = "leader";
    /// The state memfd.
    pub const STATE: &str = "state";
    /// Where the payload's PID 1 notifies.
    pub const NOTIFY: &str = "notify";
    /// All of them.
    pub const ALL: [&str; 6] = [CONSOLE, CONSOLE_PEER, RING, LEADER, STATE, NOTIFY];
}

/// The payload that a predecessor left running; `None` where there is none, and its remains are cleared away.
pub fn adopt(root: &Root, name: &MachineName, journal: &Journal) -> Result<Option<Running>> {
    let mut stored: HashMap<String, OwnedFd> = notify::stored().into_iter().collect();
    forget_unknown(&stored);
    let Some(state) = stored.remove(kept::STATE).map(StateFile::from_fd) else { return Ok(None) };
    let what = state.read()?;
    let mut take = |name| stored.remove(name);
    let parts = (
        take(kept::LEADER),
        take(kept::CONSOLE),
        take(kept::CONSOLE_PEER),
        take(kept::RING),
        take(kept::NOTIFY),
    );
    match parts {
        (Some(leader), Some(console), Some(peer), Some(ring), Some(notifications)) if what.started => {
            let runtime = Runtime::open(root, name)?;
            let control = control::listen_at(&runtime.path("control"))?;
            journal.info(&format!("adopted the running container '{name}', leader {}", what.leader));
            let ring = Ring::from_fd(ring)?;
            let timings = Vec::new();
            Ok(Some(Running {
                name: name.clone(),
                runtime,
                leader,
                console,
                peer,
                ring,
                notifications,
                control,
                state: what,
                file: state,
                timings,
            }))
        }
        // A start that did not come to its end cannot be taken over: it is ended, and begun anew.
        _ => {
            Cgroup::of(&what).kill()?;
            end::clear_away(root, name, &what, journal);
            Ok(None)
        }
    }
}

/// What another version kept and we do not know would stay for ever.
fn forget_unknown(stored: &HashMap<String, OwnedFd>) {
    stored.keys().filter(|name| !kept::ALL.contains(&name.as_str())).for_each(|name| notify::unstore(name));
}
