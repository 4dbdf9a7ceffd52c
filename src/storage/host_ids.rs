//! Which ids are the host's own: its users' and groups', those that it lends to users for their containers
//! (subuid(5), subgid(5)), and those of dynamic users. The files are of the host, and read as they are: a line
//! that is none is passed over.

use std::path::Path;

use super::ids::{lines, parse};
use crate::error::{Error, Result};
use crate::paths::Root;
use crate::sys::idmap::IdRange;

/// Ids that systemd gives to units with `DynamicUser=` (Users, Groups, UIDs and GIDs on systemd systems).
const DYNAMIC: IdRange = IdRange { base: 61184, size: 65519 - 61184 + 1 };

/// Ids that the host uses.
pub struct Used {
    /// Which.
    pub range: IdRange,
    /// For whom, as an error says it.
    whose: String,
    /// Whether root may give them to its containers.
    is_roots: bool,
}

/// Ids that the host's files reserve.
pub fn used(root: &Root) -> Result<Vec<Used>> {
    let mut used = Vec::new();
    for (file, kind) in [("/etc/passwd", "user"), ("/etc/group", "group")] {
        used.extend(read(&root.path(file), |line| account(kind, line))?);
    }
    for file in ["/etc/subuid", "/etc/subgid"] {
        used.extend(read(&root.path(file), |line| lent(file, line))?);
    }
    Ok(used)
}

/// Refuses a range that a definition names where the host uses an id of it; the error tells for whom. A range from 0 on
/// is the host's ids by intent, and what subuid(5) lends to root is there for containers.
pub fn refuse(root: &Root, range: &IdRange) -> Result<()> {
    if range.base == 0 {
        return Ok(());
    }
    let mut used = used(root)?;
    used.push(Used { range: DYNAMIC, whose: "to dynamic users".to_string(), is_roots: false });
    let Some(theirs) = used.iter().find(|used| !used.is_roots && used.range.overlaps(range)) else {
        return Ok(());
    };
    let IdRange { base, size } = theirs.range;
    Err(Error::config(format!("'{base}:{size}' belongs {} of the host", theirs.whose))
        .hint("name a range that is free, or 'pick'"))
}

fn read(path: &Path, used: impl Fn(&str) -> Option<Used>) -> Result<Vec<Used>> {
    Ok(lines(path)?.iter().filter_map(|line| used(line)).collect())
}

/// A line of passwd(5) or group(5).
fn account(kind: &str, line: &str) -> Option<Used> {
    let mut fields = line.split(':');
    let name = fields.next()?;
    let base = fields.nth(1)?.parse().ok()?;
    Some(Used { range: IdRange { base, size: 1 }, whose: format!("to {kind} '{name}'"), is_roots: false })
}

/// A line of subuid(5), whose owner is a name or an id.
fn lent(file: &str, line: &str) -> Option<Used> {
    let (owner, range) = parse(line)?;
    let is_roots = matches!(owner.as_str(), "root" | "0");
    Some(Used { range, whose: format!("to '{owner}' in '{file}'"), is_roots })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn told(base: u32, size: u32) -> Option<String> {
        let dir = tempfile::tempdir().unwrap();
        let etc = dir.path().join("etc");
        fs::create_dir(&etc).unwrap();
        fs::write(etc.join("passwd"), "root:x:0:0::/:/bin/sh\nann:x:1000:100::/:/bin/sh\nno line\n").unwrap();
        fs::write(etc.join("group"), "operators:x:1001:ann\n").unwrap();
        fs::write(etc.join("subuid"), "ann:100000:65536\nroot:1000000:65536\n0:2000000:9\n").unwrap();
        fs::write(etc.join("subgid"), "1000:300000:10\n").unwrap();
        let refused = refuse(&Root::at(dir.path()), &IdRange { base, size }).err()?;
        Some(refused.message().to_string())
    }

    #[test]
    fn what_is_the_hosts_is_no_containers() {
        for (base, size, words) in [
            (1000, 1, "'1000:1' belongs to user 'ann' of the host"),
            (1001, 65536, "'1001:1' belongs to group 'operators' of the host"),
            (165535, 1, "'100000:65536' belongs to 'ann' in '/etc/subuid' of the host"),
            (299999, 2, "'300000:10' belongs to '1000' in '/etc/subgid' of the host"),
            (65519, 1, "'61184:4336' belongs to dynamic users of the host"),
            (61000, 185, "'61184:4336' belongs to dynamic users of the host"),
        ] {
            assert_eq!(told(base, size).as_deref(), Some(words), "{base}:{size}");
        }
    }

    #[test]
    fn the_rest_is_free_and_so_is_what_is_meant() {
        let free = [(1002, 60182), (65520, 9), (165536, 9), (299999, 1), (524_288, 65536)];
        let meant = [(0, 65536), (1_000_000, 65536), (2_000_000, 9)];
        for (base, size) in free.into_iter().chain(meant) {
            assert_eq!(told(base, size), None, "{base}:{size}");
        }
    }

    #[test]
    fn a_host_without_these_files_has_dynamic_users() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::at(dir.path());
        assert!(refuse(&root, &IdRange { base: 1, size: 9 }).is_ok());
        assert!(refuse(&root, &IdRange { base: 61184, size: 1 }).is_err());
    }
}
