//! Taking over a running payload: after a start, after a crash or a kill, after an upgrade. Every start ends here,
//! so that the way is never untried.

use crate::error::Result;
use crate::machine::state::State;
use crate::name::MachineName;
use crate::paths::Root;
use crate::supervisor::cgroup::Cgroup;
use crate::supervisor::end;
use crate::supervisor::kept::{Kept, Passed};
use crate::supervisor::runtime::Runtime;
use crate::supervisor::state_file::StateFile;
use crate::supervisor::watch::Running;
use crate::systemd::journal::Journal;

/// The payload that a predecessor passed on; `None` where there is none. What is left of a start that did not
/// come to its end is ended here, to be begun anew.
pub fn adopt(root: &Root, name: &MachineName, journal: &Journal) -> Result<Option<Running>> {
    let state = match Kept::take() {
        Passed::Nothing => return Ok(None),
        Passed::OnlyState(fd) => StateFile::from_fd(fd).read()?,
        Passed::All(kept) => match StateFile::read_from(&kept.state)? {
            state if state.started => return take_over(root, name, kept, state, journal).map(Some),
            state => state,
        },
    };
    Cgroup::of(&state).kill()?;
    end::clear_away(root, name, &state, journal);
    Ok(None)
}

fn take_over(
    root: &Root,
    name: &MachineName,
    kept: Kept,
    state: State,
    journal: &Journal,
) -> Result<Running> {
    let runtime = Runtime::open(root, name)?;
    if state.watched {
        journal.warning(&format!(
            "the supervisor of '{name}' was restarted and took the running container over"
        ));
    }
    Ok(Running { name: name.clone(), runtime, kept, state })
}
