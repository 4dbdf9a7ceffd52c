//! The core: registry and operations; every front-end calls this and nothing below it.

/// A running machine's addresses.
pub mod addresses;
/// What an image says of itself.
pub mod advice;
/// Running a command in a machine that runs.
pub mod attach;
/// Whether a running machine is held as promised.
pub mod audit;
/// What is started at boot.
pub mod autostart;
/// The payload's part of its scope's cgroup.
pub mod cgroup;
/// Whether this host can run containers.
pub mod check;
/// A machine's definition, read and changed.
pub mod configuration;
/// The way to a machine's console.
pub mod console;
/// A conversation with the bus that the time and ^C can end.
pub mod conversation;
/// From a source to a machine.
pub mod create;
/// From a machine to nothing.
pub mod destroy;
/// Devices that are given and taken back.
pub mod device;
/// Settings of the host that hurt.
pub mod doctor;
/// Running one command in a machine of its own.
pub mod execute;
/// Freezing and thawing.
pub mod freeze;
/// Who owns which user ids.
pub mod ids;
/// All that is known of one machine.
pub mod info;
/// Limits and what is used of them.
pub mod limits;
/// Image entries for machinectl.
pub mod links;
/// How busy machines are.
pub mod load;
/// Who is alone with a machine.
pub mod lock;
/// Where a machine's words are in the journal.
pub mod logs;
/// The namespaces of a machine that runs.
pub mod namespaces;
/// Links of machines that run, and ports that lead to them.
pub mod network;
/// Patterns that name several machines.
pub mod pattern;
/// What a start would do.
pub mod plan;
/// The processes of a machine.
pub mod processes;
/// Which machines there are.
pub mod registry;
/// A machine under another name.
pub mod rename;
/// What a machine does.
pub mod run_state;
/// What a console has shown.
pub mod scrollback;
/// Which machines a verb means.
pub mod select;
/// Signals to a payload.
pub mod signal;
/// What a supervisor tells of a running machine.
pub mod state;
/// What no kill ends.
pub mod stuck;
/// How long the last start took.
pub mod timings;
/// Starting, stopping, enabling.
pub mod unit;
/// What a machine uses of the host.
pub mod usage;
/// What machines do from now on.
pub mod watch;

mod definition;
mod host_ids;
mod unit_files;

use crate::error::Result;
use crate::paths::Root;

/// Finishes renames that crashed, deletes what other operations left, and takes back what was booked on it. Returns
/// warnings.
fn sweep(root: &Root) -> Result<Vec<String>> {
    let mut warnings = rename::finish(root);
    warnings.extend(crate::image::store::sweep(root, |owner| ids::release(root, owner))?);
    Ok(warnings)
}
