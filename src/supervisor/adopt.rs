//! Taking over a running payload: after a start, after a crash or a kill, after an upgrade. Every start ends here,
//! so that the way is never untried.

use crate::error::{Error, Kind, Result};
use crate::name::MachineName;
use crate::paths::Root;
use crate::runtime::cgroup::Cgroup;
use crate::runtime::directory::Runtime;
use crate::runtime::state::{self, State};
use crate::runtime::state_file::StateFile;
use crate::supervisor::end;
use crate::supervisor::event_loop::Adopted;
use crate::supervisor::stored_fds::{Passed, StoredFds};
use crate::systemd::journal::Journal;

/// The payload that a predecessor passed on; `None` where there is none. What is left of a start that did not
/// come to its end is ended here, to be begun anew.
pub fn adopt(root: &Root, name: &MachineName, journal: &Journal) -> Result<Option<Adopted>> {
    let (passed, unknown) = StoredFds::take();
    // A state of a later version ends this program, and leaves everything to one that can read it.
    let recorded = state::load(root, name)?;
    let read = |fd| StateFile::read_from(fd).map_err(|error| state::unreadable(name, &error));
    let (stored, state) = match passed {
        Passed::Nothing => (None, None),
        Passed::All(stored) => {
            let state = read(&stored.state)?;
            (Some(stored), Some(state))
        }
        Passed::Some(fd) => (None, Some(read(&fd)?)),
    };
    unknown.unstore();
    let Some(state) = state else { return Ok(None) };
    // Who cleans up after a killed supervisor cannot take anything out of the store, and leaves it there.
    let Some(left) = recorded else {
        StoredFds::unstore();
        return Ok(None);
    };
    if state.started && !state.killed && !left.killed {
        match stored {
            Some(stored) => return take_over(root, name, stored, state, journal).map(Some),
            None if state.open_leader().is_some() => return Err(incomplete(name)),
            None => {}
        }
    }
    if let Some(cgroup) = Cgroup::of(&state) {
        cgroup.kill()?;
    }
    end::clear_away(root, name, &state, journal)?;
    Ok(None)
}

/// A payload that runs is not ended because something of it was not kept.
fn incomplete(name: &MachineName) -> Error {
    Error::new(
        Kind::Busy,
        format!("container '{name}' runs, and not all that is needed to take it over was kept"),
    )
    .hint(format!("it runs on; end it with 'systemctl stop {}'", name.scope()))
}

fn take_over(
    root: &Root,
    name: &MachineName,
    stored: StoredFds,
    state: State,
    journal: &Journal,
) -> Result<Adopted> {
    let runtime = Runtime::open(root, name)?;
    if state.watched {
        journal.warning(&format!(
            "the supervisor of '{name}' was restarted and took the running container over"
        ));
    }
    Ok(Adopted { name: name.clone(), runtime, stored, state })
}
