//! Ranges of user and group ids, and the maps the kernel wants of them (user_namespaces(7)).

use std::fmt;

use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::error::{Context, Result};

/// A contiguous range of host ids that are a container's ids from 0 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdRange {
    /// The host id of the container's root.
    pub base: u32,
    /// The number of ids.
    pub size: u32,
}

impl IdRange {
    /// The container's ids are the host's.
    pub const IDENTITY: IdRange = IdRange { base: 0, size: 65536 };

    /// The host id of an id inside.
    pub fn host(&self, inside: u32) -> u32 {
        self.base + inside
    }

    /// Whether the two have an id in common.
    pub fn overlaps(&self, other: &IdRange) -> bool {
        let end = |range: &IdRange| u64::from(range.base) + u64::from(range.size);
        u64::from(self.base) < end(other) && u64::from(other.base) < end(self)
    }
}

impl fmt::Display for IdRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0 {} {}", self.base, self.size)
    }
}

/// Writes both maps of a process that has just entered a new user namespace.
///
/// The caller must be its parent, so that the number cannot have been given to another process.
pub fn write_maps(pid: Pid, range: IdRange) -> Result<()> {
    for map in ["uid_map", "gid_map"] {
        let path = format!("/proc/{pid}/{map}");
        std::fs::write(&path, format!("{range}\n"))
            .context(|| format!("failed to write '{range}' to '{path}'"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::settings::PrivateUsers;
    use proptest::prelude::*;

    proptest! {
        /// SEC-29: of every range that a definition can name, no two ids inside are one outside, none is the id
        /// that means 'no change', and ranges overlap where they share an id.
        #[test]
        fn ids_outside_are_as_many_as_inside(
            base in any::<u32>(),
            size in any::<u32>(),
            other in any::<u32>(),
            near in any::<prop::sample::Index>(),
        ) {
            let text = format!("[Exec]\nPrivateUsers={base}:{size}\n");
            let Ok(definition) = crate::config::parse(std::path::Path::new("/p1.conf"), &text) else {
                prop_assert!(size == 0 || u64::from(base) + u64::from(size) > u64::from(u32::MAX));
                return Ok(());
            };
            let PrivateUsers::Range { base, size } = definition.settings.exec.private_users else {
                return Err(TestCaseError::fail("no range"));
            };
            let range = IdRange { base, size };
            prop_assert!(u64::from(base) + u64::from(size) <= u64::from(u32::MAX));
            let (first, second) = (near.index(size as usize) as u32, other % size);
            prop_assert_eq!(first == second, range.host(first) == range.host(second));
            prop_assert!(range.host(first) >= base && range.host(first) - base < size);
            let one = IdRange { base: other, size: 1 };
            let has = (u64::from(base)..u64::from(base) + u64::from(size)).contains(&u64::from(other));
            prop_assert_eq!(range.overlaps(&one), has);
            prop_assert_eq!(one.overlaps(&range), has);
        }
    }
}
