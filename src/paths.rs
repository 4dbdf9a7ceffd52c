//! Every path that we own, below one root, so that the generator and the tests can work on a tree of their own.

use std::path::{Path, PathBuf};

use crate::name::MachineName;

/// The root below which all our paths lie: `/`, or a test's directory.
#[derive(Clone, Debug)]
pub struct Root(PathBuf);

impl Root {
    /// The host's own root.
    pub fn system() -> Root {
        Root(PathBuf::from("/"))
    }

    /// A tree elsewhere.
    pub fn at(path: impl Into<PathBuf>) -> Root {
        Root(path.into())
    }

    /// Whether this is the host's own root, on which systemd may run; never asked of a tree elsewhere.
    pub fn is_system(&self) -> bool {
        self.0 == Path::new("/")
    }

    /// An absolute path of the host, below this root.
    pub fn path(&self, absolute: impl AsRef<Path>) -> PathBuf {
        let absolute = absolute.as_ref();
        self.0.join(absolute.strip_prefix("/").unwrap_or(absolute))
    }

    /// A path below this root, as the host knows it: the inverse of [`Root::path`].
    pub fn host_path(&self, below: &Path) -> PathBuf {
        Path::new("/").join(below.strip_prefix(&self.0).unwrap_or(below))
    }

    /// Directories of definitions in order of precedence: the administrator's, run-time, packaged.
    pub fn definition_dirs(&self) -> [PathBuf; 3] {
        ["/etc/containerctl", "/run/containerctl", "/usr/lib/containerctl"].map(|dir| self.path(dir))
    }

    /// The administrator's definition of one machine, `/etc/containerctl/NAME.conf`.
    pub fn definition(&self, name: &MachineName) -> PathBuf {
        self.path("/etc/containerctl").join(format!("{name}.conf"))
    }

    /// The directory of all root file systems, `/var/lib/containerctl` (0700).
    pub fn store(&self) -> PathBuf {
        self.path("/var/lib/containerctl")
    }

    /// The directory of one machine in the store, `/var/lib/containerctl/NAME`.
    pub fn store_of(&self, name: &MachineName) -> PathBuf {
        self.store().join(name.as_str())
    }

    /// The root file system of a machine whose definition names no other.
    pub fn rootfs(&self, name: &MachineName) -> PathBuf {
        self.store_of(name).join("rootfs")
    }

    /// The journal of a guest, where the host keeps it for the guest, `/var/lib/containerctl/NAME/journal`.
    pub fn journal_of(&self, name: &MachineName) -> PathBuf {
        self.store_of(name).join("journal")
    }

    /// The ranges of user ids that were given out, `NAME:BASE:SIZE` per line as in subuid(5). The dot keeps
    /// it apart from a machine called `ids`.
    pub fn id_ranges(&self) -> PathBuf {
        self.store().join(".ids")
    }

    /// The managed network's ranges and leases. The dot keeps it apart from a machine called `network`.
    pub fn network_table(&self) -> PathBuf {
        self.store().join(".network")
    }

    /// A copy of that table for `containerctl-names`, which may not look into the store.
    pub fn network_leases(&self) -> PathBuf {
        self.runtime().join(".leases")
    }

    /// Failures reported by `containerctl-names`, one sentence per line; exists while the service runs.
    pub fn network_status(&self) -> PathBuf {
        self.path("/run/containerctl-names/status")
    }

    /// The lock file for changes of the managed network and of zone bridges.
    pub fn network_lock(&self) -> PathBuf {
        self.runtime().join(".network.lock")
    }

    /// Run-time state of all machines, `/run/containerctl` (0755).
    pub fn runtime(&self) -> PathBuf {
        self.path("/run/containerctl")
    }

    /// Run-time state of one machine, `/run/containerctl/NAME` (0700): control socket, state, lock.
    pub fn runtime_of(&self, name: &MachineName) -> PathBuf {
        self.runtime().join(name.as_str())
    }

    /// System call filters that were built since the boot. The dot keeps it apart from a machine called `seccomp`.
    pub fn seccomp_cache(&self) -> PathBuf {
        self.runtime().join(".seccomp")
    }

    /// The program that does one piece of work in a process of its own.
    pub fn worker_program(&self) -> PathBuf {
        self.path("/usr/lib/containerctl/containerctl-worker")
    }

    /// AppArmor profiles of machines and what was compiled of them, `/var/cache/containerctl/apparmor`.
    pub fn apparmor_cache(&self) -> PathBuf {
        self.path("/var/cache/containerctl/apparmor")
    }

    /// The program that enters running containers.
    pub fn enter_program(&self) -> PathBuf {
        self.path("/usr/lib/containerctl/containerctl-enter")
    }

    /// The image entry by which machinectl finds the root file system, `/run/machines/NAME`.
    pub fn image_link(&self, name: &MachineName) -> PathBuf {
        self.path("/run/machines").join(name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_machine_has_the_place_of_something_else() {
        let root = Root::system();
        for path in [
            root.id_ranges(),
            root.network_table(),
            root.network_leases(),
            root.network_lock(),
            root.seccomp_cache(),
        ] {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            assert!(MachineName::new(name).is_err(), "{name}");
        }
    }
}
