//! SELinux contexts.

use std::path::Path;

use crate::name::fnv1a;
use crate::paths::Root;
use crate::sys::idmap::IdRange;

/// Categories of a policy with multi-category security.
const CATEGORIES: u32 = 1024;
/// The number of pairs of two different categories.
const PAIRS: u32 = CATEGORIES * (CATEGORIES - 1) / 2;
/// Ids in one range, and the alignment of those that we give out.
const RANGE: u32 = 65536;
/// Pairs for the ranges of all 32-bit ids; those above are for containers that have no range of their own.
const RANGES: u32 = u32::MAX / RANGE + 1;

/// SELinux on the host.
#[derive(Clone, Debug, Default)]
pub struct Support {
    /// The kernel enforces or permits by a policy.
    pub enabled: bool,
    /// The policy's context of a container's init, `USER:ROLE:TYPE:LEVEL`.
    pub process: Option<String>,
    /// The root file system has the type that the policy gives to containers' files.
    pub labelled_root: bool,
}

impl Support {
    /// Looks at the host.
    pub fn of(root: &Root, rootfs: &Path) -> Support {
        let enabled = root.path("/sys/fs/selinux/enforce").exists();
        let contexts = if enabled { contexts(root) } else { String::new() };
        let named = |key| field(&contexts, key);
        let process = named("init_process").or_else(|| named("process"));
        let labelled_root = named("file").is_some_and(|file| same_type(&file, &label(rootfs)));
        Support { enabled, process, labelled_root }
    }

    /// Why a context cannot be had, if it cannot.
    pub fn lacks(&self, _context: &str) -> Option<String> {
        (!self.enabled).then(|| "this kernel has SELinux not enabled".to_string())
    }

    /// The context of a container that asks for none: the policy's, with categories that are its alone. A root with
    /// other labels would be out of its reach, so that it gets none.
    pub fn own_context(&self, machine: &str, ids: Option<IdRange>) -> Option<String> {
        let process = self.process.as_ref().filter(|_| self.enabled && self.labelled_root)?;
        let mut parts = process.splitn(4, ':');
        let (user, role, kind) = (parts.next()?, parts.next()?, parts.next()?);
        let sensitivity = parts.next().and_then(|level| level.split([':', '-']).next()).unwrap_or("s0");
        let (low, high) = categories(machine, ids);
        Some(format!("{user}:{role}:{kind}:{sensitivity}:c{low},c{high}"))
    }
}

/// Two categories: one pair for each range of ids; by the name where there is no range of its own.
fn categories(machine: &str, ids: Option<IdRange>) -> (u32, u32) {
    let number = match ids {
        Some(ids) if ids.base > 0 && ids.base % RANGE == 0 => ids.base / RANGE,
        _ => RANGES + (fnv1a(machine) % u64::from(PAIRS - RANGES)) as u32,
    };
    // The pairs in order: (0,1), (0,2), (1,2), (0,3), … so `high` is the largest whose pairs begin at or before it.
    let high = (1..CATEGORIES).rev().find(|high| high * (high - 1) / 2 <= number).unwrap_or(1);
    (number - high * (high - 1) / 2, high)
}

/// The policy's lxc_contexts(5), which libvirt, podman and others go by.
fn contexts(root: &Root) -> String {
    let config = std::fs::read_to_string(root.path("/etc/selinux/config")).unwrap_or_default();
    let policy = field(&config, "SELINUXTYPE").unwrap_or_else(|| "targeted".to_string());
    let path = root.path("/etc/selinux").join(policy).join("contexts/lxc_contexts");
    std::fs::read_to_string(path).unwrap_or_default()
}

/// `KEY = "VALUE"` of a line.
fn field(text: &str, wanted: &str) -> Option<String> {
    let value = |line: &str| {
        let (key, value) = line.split_once('=')?;
        (key.trim() == wanted).then(|| value.trim().trim_matches('"').to_string())
    };
    text.lines().find_map(value).filter(|value| !value.is_empty())
}

fn label(path: &Path) -> String {
    let mut buffer = [0; 256];
    let read = rustix::fs::getxattr(path, "security.selinux", &mut buffer).unwrap_or(0);
    String::from_utf8_lossy(&buffer[..read]).trim_end_matches('\0').to_string()
}

fn same_type(one: &str, other: &str) -> bool {
    let kind = |context: &str| context.split(':').nth(2).map(str::to_string);
    kind(one).is_some() && kind(one) == kind(other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn support() -> Support {
        let process = Some("system_u:system_r:container_init_t:s0".to_string());
        Support { enabled: true, process, labelled_root: true }
    }

    #[test]
    fn each_range_of_ids_has_a_pair_of_its_own() {
        let pairs: HashSet<_> =
            (1..RANGES).map(|n| categories("x", Some(IdRange { base: n * RANGE, size: RANGE }))).collect();
        assert_eq!(pairs.len() as u32, RANGES - 1);
        assert!(pairs.iter().all(|(low, high)| low < high && *high < CATEGORIES));
        let shared = categories("x", None);
        assert!(!pairs.contains(&shared) && shared.0 < shared.1 && shared.1 < CATEGORIES);
        assert_eq!(shared, categories("x", Some(IdRange::IDENTITY)));
    }

    #[test]
    fn the_context_is_the_policys_with_the_containers_categories() {
        let ids = Some(IdRange { base: 524_288, size: 65536 });
        let expected = "system_u:system_r:container_init_t:s0:c2,c4";
        assert_eq!(support().own_context("p1", ids).as_deref(), Some(expected));
        assert_eq!(Support { labelled_root: false, ..support() }.own_context("p1", ids), None);
        assert_eq!(Support { enabled: false, ..support() }.own_context("p1", ids), None);
    }

    #[test]
    fn the_policys_file_is_read_as_it_is_written() {
        let dir = tempfile::tempdir().expect("tempdir");
        let put = |path: &str, text: &str| {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().expect("parent")).expect("mkdir");
            std::fs::write(path, text).expect("write");
        };
        put("sys/fs/selinux/enforce", "1");
        put("etc/selinux/config", "# SELINUXTYPE= can be one of\nSELINUX=enforcing\nSELINUXTYPE=mls\n");
        put(
            "etc/selinux/mls/contexts/lxc_contexts",
            "process = \"system_u:system_r:container_t:s0\"\nfile = \"system_u:object_r:container_file_t:s0\"\n",
        );
        let support = Support::of(&Root::at(dir.path()), dir.path());
        assert!(support.enabled && !support.labelled_root);
        assert_eq!(support.process.as_deref(), Some("system_u:system_r:container_t:s0"));
    }
}
