//! A machine → nothing. Each step can be done again: after a crash, the next destroy goes on.
//!
//! The root file system goes first and the definition last, so that what is half gone is still listed.

use std::path::PathBuf;

use super::journals;
use crate::error::{Error, Kind, Result};
use crate::machine::inspect::registry;
use crate::machine::lifecycle::unit::{self, Stop};
use crate::machine::lifecycle::unit_files;
use crate::name::MachineName;
use crate::network::{managed, setup};
use crate::paths::Root;
use crate::progress::Listener;
use crate::replace::{remove_directory, remove_file};
use crate::runtime::{lock, state};
use crate::storage::store::{self, Trash};
use crate::storage::{ids, image_entry};

/// What to do with a machine that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfRunning {
    /// Leave all as it is.
    Refuse,
    /// Stop it first.
    Stop,
}

/// Destroys the machine, but for a root file system that was there before it. Returns warnings.
pub fn destroy(root: &Root, name: &MachineName, if_running: IfRunning) -> Result<Vec<String>> {
    require_remains(root, name)?;
    end(root, name, if_running)?;
    // The supervisor's own: no start comes in between.
    let _lock = lock::take(root, name)?;
    state::refuse_running(root, name)?;
    let mut warnings = crate::machine::sweep(root)?;
    let target = registry::rootfs(root, name).unwrap_or_else(|_| root.rootfs(name));
    let trash = store::trash(root, name)?;
    unit_files::remove(root, name)?;
    image_entry::remove(root, name, &target)?;
    journals::remove(root, name, &target)?;
    ids::release(root, name)?;
    if root.is_system() {
        warnings.extend(setup::clear_away(root, name).iter().map(ToString::to_string));
    }
    managed::release(root, name)?;
    warnings.extend(remove_definition(root, name)?);
    warnings.extend(unit::reload(root).err().map(|error| error.to_string()));
    warnings.extend(unit::forget_failure(root, name).err().map(|error| error.to_string()));
    // The machine is gone. What cannot be deleted now is swept later.
    let deleted = trash.map_or(Ok(()), Trash::remove).and_then(|()| remove_directory(&root.runtime_of(name)));
    warnings.extend(deleted.err().map(|error| error.to_string()));
    Ok(warnings)
}

/// Something of it must be there: a definition, a tree, or a range of ids.
fn require_remains(root: &Root, name: &MachineName) -> Result<()> {
    let has_tree = root.store_of(name).symlink_metadata().is_ok();
    match has_tree || ids::find(root, name.as_str())?.is_some() {
        true => Ok(()),
        false => registry::require(root, name).map(drop),
    }
}

fn end(root: &Root, name: &MachineName, if_running: IfRunning) -> Result<()> {
    let state = registry::state(root, name)?;
    match if_running {
        _ if state.is_down() => Ok(()),
        IfRunning::Stop => {
            unit::one(unit::stop(root, std::slice::from_ref(name), Stop::Ask, Listener::nobody())?).map(drop)
        }
        IfRunning::Refuse => Err(Error::new(Kind::Busy, format!("'{name}' is {state}"))
            .hint(format!("'containerctl stop {name}' first, or destroy it with '--force'"))),
    }
}

/// What the administrator and the run time define goes; what a package defines stays, and is told.
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
    use crate::machine::change::create::{self, Request, Source};
    use crate::sys::interrupt::Interrupt;
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
            finishing: create::Finishing::AsIs,
        };
        create::create(root, &request, Interrupt::catch().unwrap(), Listener::nobody())
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
        assert!(registry::list(&root, &registry::Filter::default()).unwrap().is_empty());
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
