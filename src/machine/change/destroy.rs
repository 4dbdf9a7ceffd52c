//! Destroys a container. Idempotent: a destroy that was cut short is finished by the next one.
//!
//! The root file system goes first and the definition last, so that the container is listed until all of it is gone.

use std::path::PathBuf;

use super::journals;
use crate::error::{Error, Kind, Result};
use crate::machine::lifecycle::unit::Stop;
use crate::machine::lifecycle::unit_files;
use crate::machine::{Host, Machine};
use crate::name::MachineName;
use crate::network::{managed, setup};
use crate::paths::Root;
use crate::replace::{remove_directory, remove_file};
use crate::runtime::{lock, state};
use crate::sandbox::lsm::apparmor;
use crate::storage::store::{self, Trash};
use crate::storage::{ids, image_entry};

/// Treatment of a container that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfRunning {
    /// It is an error.
    Refuse,
    /// It is stopped first.
    Stop,
}

impl Host {
    /// Destroys a container, or what is left of it, but for a root file system that it used in place. Returns warnings.
    pub fn destroy(&self, name: &MachineName, if_running: IfRunning) -> Result<Vec<String>> {
        destroy(&Machine::new(self, name), if_running)
    }
}

fn destroy(machine: &Machine, if_running: IfRunning) -> Result<Vec<String>> {
    let (host, root, name) = (machine.host(), machine.root(), &machine.name);
    require_remains(machine)?;
    end(machine, if_running)?;
    // The supervisor's own lock: no start comes in between.
    let _lock = lock::take(root, name)?;
    state::refuse_running(root, name)?;
    let mut warnings = host.sweep()?;
    let target = machine.rootfs().unwrap_or_else(|_| root.rootfs(name));
    let trash = store::trash(root, name)?;
    unit_files::remove(root, name)?;
    image_entry::remove(root, name, &target)?;
    journals::remove(root, name, &target)?;
    ids::release(root, name)?;
    if root.is_system() {
        warnings.extend(setup::clear_away(root, name).iter().map(ToString::to_string));
    }
    managed::release(root, name)?;
    apparmor::clear(root, name.as_str())?;
    warnings.extend(remove_definition(root, name)?);
    warnings.extend(host.reload().err().map(|error| error.to_string()));
    warnings.extend(machine.forget_failure().err().map(|error| error.to_string()));
    // The container is gone. The rest is swept later, if it cannot be deleted now.
    let deleted = trash.map_or(Ok(()), Trash::remove).and_then(|()| remove_directory(&root.runtime_of(name)));
    warnings.extend(deleted.err().map(|error| error.to_string()));
    Ok(warnings)
}

/// Fails with kind `NotFound` where there is neither a definition, nor a tree, nor a range of ids.
fn require_remains(machine: &Machine) -> Result<()> {
    let (root, name) = (machine.root(), &machine.name);
    let has_tree = root.store_of(name).symlink_metadata().is_ok();
    match has_tree || ids::find(root, name.as_str())?.is_some() {
        true => Ok(()),
        false => machine.require().map(drop),
    }
}

fn end(machine: &Machine, if_running: IfRunning) -> Result<()> {
    let (name, state) = (&machine.name, machine.state()?);
    match if_running {
        _ if state.is_down() => Ok(()),
        IfRunning::Stop => machine.stop(Stop::Ask).map(drop),
        IfRunning::Refuse => Err(Error::new(Kind::Busy, format!("'{name}' is {state}"))
            .hint(format!("'containerctl stop {name}' first, or destroy it with '--force'"))),
    }
}

/// Removes the files of the administrator and of the run time. Returns a warning about a package's, which stay.
fn remove_definition(root: &Root, name: &MachineName) -> Result<Option<String>> {
    let [admin, runtime, packaged] = root.definition_dirs();
    for directory in [&admin, &runtime] {
        remove_directory(&directory.join(format!("{name}.conf.d")))?;
        if remove_file(&directory.join(format!("{name}.conf")))? {
            image_entry::sync(directory)?;
        }
    }
    let left: PathBuf = packaged.join(format!("{name}.conf"));
    Ok(left.exists().then(|| format!("'{}' belongs to a package and stays", left.display())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::change::create::{Finishing, Request, Source};
    use crate::machine::inspect::registry::Filter;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::Path;

    /// A host and a tree with an init beside it.
    fn host() -> (tempfile::TempDir, Root, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("tree");
        fs::create_dir_all(tree.join("sbin")).unwrap();
        fs::write(tree.join("sbin/init"), "").unwrap();
        fs::set_permissions(tree.join("sbin/init"), PermissionsExt::from_mode(0o755)).unwrap();
        let root = Root::at(dir.path().join("host"));
        (dir, root, tree)
    }

    fn create(root: &Root, name: &str, tree: &Path) -> Result<Vec<String>> {
        let name = MachineName::new(name).unwrap();
        let request = Request {
            name,
            source: Source::Rootfs(tree.into()),
            command: Vec::new(),
            finishing: Finishing::AsIs,
        };
        Host::new(root.clone()).create(&request)
    }

    fn destroy(root: &Root, name: &MachineName, if_running: IfRunning) -> Result<Vec<String>> {
        Host::new(root.clone()).destroy(name, if_running)
    }

    #[test]
    fn a_tree_used_in_place_outlives_its_machine() {
        let (_dir, root, tree) = host();
        let name = MachineName::new("p1").unwrap();
        assert_eq!(create(&root, "p1", &tree).unwrap(), Vec::<String>::new());
        assert_eq!(create(&root, "p1", &tree).unwrap_err().kind(), Kind::Busy);
        ids::range_of(&root, &name).unwrap();
        let wants = root.path("/etc/systemd/system/machines.target.wants");
        fs::create_dir_all(&wants).unwrap();
        symlink("/usr/lib/systemd/system/container@.service", wants.join(name.service())).unwrap();
        destroy(&root, &name, IfRunning::Refuse).unwrap();
        assert!(tree.join("sbin/init").exists());
        assert!(Host::new(root.clone()).list(&Filter::default()).unwrap().is_empty());
        assert_eq!(ids::find(&root, "p1").unwrap(), None);
        assert!(root.image_link(&name).symlink_metadata().is_err());
        assert_eq!(fs::read_dir(wants).unwrap().count(), 0);
        assert_eq!(destroy(&root, &name, IfRunning::Refuse).unwrap_err().kind(), Kind::NotFound);
    }

    #[test]
    fn remains_of_a_crash_are_destroyed_too() {
        let (_dir, root, _tree) = host();
        let name = MachineName::new("p1").unwrap();
        fs::create_dir_all(root.rootfs(&name)).unwrap();
        destroy(&root, &name, IfRunning::Refuse).unwrap();
        assert!(!root.store_of(&name).exists());
    }

    #[test]
    fn what_a_supervisor_holds_is_left_alone() {
        let (_dir, root, _tree) = host();
        let name = MachineName::new("p1").unwrap();
        fs::create_dir_all(root.rootfs(&name)).unwrap();
        let held = lock::take(&root, &name).unwrap();
        assert_eq!(destroy(&root, &name, IfRunning::Refuse).unwrap_err().kind(), Kind::Busy);
        assert!(root.rootfs(&name).exists());
        drop(held);
        destroy(&root, &name, IfRunning::Refuse).unwrap();
        assert!(!root.runtime_of(&name).exists());
    }

    #[test]
    fn a_payload_that_lost_its_supervisor_keeps_its_root() {
        let (_dir, root, _tree) = host();
        let name = MachineName::new("p1").unwrap();
        fs::create_dir_all(root.rootfs(&name)).unwrap();
        fs::create_dir_all(root.runtime_of(&name)).unwrap();
        let leader = std::process::id() as i32;
        let leader_start = state::start_time(leader).unwrap();
        let text = state::State { leader, leader_start, ..state::State::default() }.to_text().unwrap();
        fs::write(root.runtime_of(&name).join(state::FILE), text).unwrap();
        assert_eq!(destroy(&root, &name, IfRunning::Stop).unwrap_err().kind(), Kind::Busy);
        assert!(root.rootfs(&name).exists());
    }

    #[test]
    fn of_many_creates_at_once_one_wins() {
        let (_dir, root, tree) = host();
        let won: usize = std::thread::scope(|scope| {
            let one = || usize::from(create(&root, "p1", &tree).is_ok());
            let threads: Vec<_> = (0..20).map(|_| scope.spawn(one)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(won, 1);
    }
}
