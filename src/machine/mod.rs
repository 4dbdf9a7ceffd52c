//! The core: operations on containers. Every front-end calls this and nothing below it.

/// Making, changing and destroying containers.
pub mod change;
/// A call of the bus that a deadline or a signal can end.
pub mod conversation;
/// Commands in running containers, consoles.
pub mod enter;
/// The host's requirements and settings.
pub mod host;
/// Looking at containers.
pub mod inspect;
/// Starting, stopping, freezing, signals.
pub mod lifecycle;
/// Patterns of container names.
pub mod pattern;
/// The containers that a verb means.
pub mod select;

use crate::error::Result;
use crate::paths::Root;
use crate::storage;

/// Finishes renames that crashed, deletes what other operations left, and takes back what was booked on it. Returns
/// warnings.
fn sweep(root: &Root) -> Result<Vec<String>> {
    let mut warnings = change::rename::finish(root);
    warnings.extend(storage::store::sweep(root, |owner| storage::ids::release(root, owner))?);
    Ok(warnings)
}

/// Makes the image entries of all containers, after finishing renames that crashed. Returns warnings.
pub fn link_images(root: &Root) -> Result<Vec<String>> {
    let mut warnings = change::rename::finish(root);
    warnings.extend(storage::image_entry::refresh(root)?);
    Ok(warnings)
}
