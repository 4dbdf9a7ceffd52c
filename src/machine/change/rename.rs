//! Renames a container. The name is in many files, so the intent is recorded first, and every step can be repeated: a
//! rename that was cut short is finished by the next create, destroy or rename.
//!
//! ```text
//! .rename-p1 ─► root file system ─► ids and addresses ─► definition ─► unit files ─► links ─► no .rename-p1
//! ```

use std::fs;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use super::{create, journals};
use crate::error::{Context, Error, Kind, Result};
use crate::machine::lifecycle::unit_files;
use crate::machine::{Host, Machine};
use crate::name::MachineName;
use crate::network::managed;
use crate::paths::Root;
use crate::replace::replace;
use crate::replace::{remove_directory, remove_file};
use crate::runtime::{lock, state};
use crate::sandbox::lsm::apparmor;
use crate::storage::{ids, image_entry};

/// Beginning of the name of a file in the store that records a rename; the rest is the container's old name.
const INTENT: &str = ".rename-";

impl Machine {
    /// Gives a container that does not run another name. Returns warnings; an error means that nothing was changed, unless
    /// it says so.
    pub fn rename(&self, new: &MachineName) -> Result<Vec<String>> {
        rename(self, new)
    }
}

fn rename(machine: &Machine, new: &MachineName) -> Result<Vec<String>> {
    let (host, root, old) = (machine.host(), machine.root(), &machine.name);
    let main = machine.require()?;
    let state = machine.state()?;
    if !state.is_down() {
        return Err(Error::new(Kind::Busy, format!("'{old}' is {state}"))
            .hint(format!("'containerctl stop {old}' first")));
    }
    let mut warnings = host.sweep()?;
    create::refuse_taken(host, new)?;
    refuse_fixed(machine, &main)?;
    let _locks = [lock::take(root, old)?, lock::take(root, new)?];
    state::refuse_running(root, old)?;
    refuse_in_the_way(root, old, new)?;
    let intent = root.store().join(format!("{INTENT}{old}"));
    crate::storage::store::make(root)?;
    replace(&intent, new.as_str())?;
    let unlinked = carry_out(machine, new, &intent).map_err(|error| {
        error.hint(format!(
            "'containerctl rename' begun with '{old}' goes on with the next create, destroy or rename"
        ))
    })?;
    warnings.extend(unlinked);
    warnings.extend(host.reload().err().map(|error| error.to_string()));
    warnings.extend(mentions(host, old));
    Ok(warnings)
}

impl Host {
    /// Finishes renames that were cut short. Returns warnings.
    pub(in crate::machine) fn finish_renames(&self) -> Vec<String> {
        finish(self)
    }
}

fn finish(host: &Host) -> Vec<String> {
    let root = host.root();
    let entries = fs::read_dir(root.store()).into_iter().flatten().flatten();
    let mut warnings = Vec::new();
    for entry in entries {
        let intent = entry.path();
        let file_name = entry.file_name();
        let Some(old) = file_name.to_str().and_then(|name| name.strip_prefix(INTENT)) else { continue };
        let read = fs::read_to_string(&intent).context(|| format!("failed to read '{}'", intent.display()));
        let done = read.and_then(|new| {
            let (old, new) = (MachineName::new(old)?, MachineName::new(new.trim())?);
            let _locks = [lock::take(root, &old)?, lock::take(root, &new)?];
            carry_out(&Machine::new(host, &old), &new, &intent)?;
            host.reload()?;
            Ok(format!("'{old}' is called '{new}' now: a rename that was cut short is done"))
        });
        warnings.push(done.unwrap_or_else(|error| error.to_string()));
    }
    warnings
}

/// Does every step; a step that was done before does nothing. Returns a warning if machinectl will not find the image.
fn carry_out(machine: &Machine, new: &MachineName, intent: &Path) -> Result<Option<String>> {
    let (root, old) = (machine.root(), &machine.name);
    let target = machine.rootfs().unwrap_or_else(|_| root.rootfs(old));
    journals::rename(root, old, new, &target)?;
    image_entry::remove(root, old, &target)?;
    for (from, to) in moves(root, old, new) {
        shift(&from, &to)?;
    }
    ids::rename(root, old.as_str(), new.as_str())?;
    apparmor::clear(root, old.as_str())?;
    managed::rename(root, old, new)?;
    let unlinked = image_entry::make(root, new).err();
    remove_directory(&root.runtime_of(old))?;
    remove_directory(&root.runtime_of(new))?;
    remove_file(intent)?;
    Ok(unlinked.map(|error| format!("{error}, machinectl will not find its image")))
}

/// The old and the new path of everything, the root file system first: a definition without one says so.
fn moves(root: &Root, old: &MachineName, new: &MachineName) -> Vec<(PathBuf, PathBuf)> {
    let mut moves = vec![(root.store_of(old), root.store_of(new))];
    let [admin, runtime, _] = root.definition_dirs();
    for directory in [admin, runtime] {
        let of = |name: &MachineName, kind| directory.join(format!("{name}.{kind}"));
        moves.extend(["conf.d", "conf"].map(|kind| (of(old, kind), of(new, kind))));
    }
    moves.extend(unit_files::of(root, old).into_iter().zip(unit_files::of(root, new)));
    moves
}

fn shift(from: &Path, to: &Path) -> Result<()> {
    let failed = || format!("failed to rename '{}' to '{}'", from.display(), to.display());
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Err(Errno::NOENT) => Ok(()),
        Ok(()) => to.parent().map_or(Ok(()), image_entry::sync),
        Err(errno) => Err(errno).context(failed),
    }
}

/// A definition of a package keeps its name, and one that names the place of its root file system would lose it.
fn refuse_fixed(machine: &Machine, main: &Path) -> Result<()> {
    let (root, old) = (machine.root(), &machine.name);
    if main.starts_with(root.path("/usr")) {
        return Err(Error::new(Kind::Busy, format!("'{}' belongs to a package", main.display()))
            .hint("write a definition of the new name yourself"));
    }
    // One that is broken may be renamed, too.
    let definition = machine.definition().ok();
    let said = definition.and_then(|definition| definition.settings.files.root_directory.as_ref());
    match said.filter(|said| said.starts_with(root.store_of(old))) {
        None => Ok(()),
        Some(said) => Err(Error::config(format!("RootDirectory= of '{old}' is '{}'", said.display()))
            .hint(format!("'containerctl config unset {old} RootDirectory', that is its place in any case"))),
    }
}

/// Fails where something has the new name already: it is another's.
fn refuse_in_the_way(root: &Root, old: &MachineName, new: &MachineName) -> Result<()> {
    let exists = |path: &Path| path.symlink_metadata().is_ok();
    let in_the_way = moves(root, old, new).into_iter().find(|(from, to)| exists(from) && exists(to));
    let taken = in_the_way.map(|(_, to)| format!("'{}' exists already", to.display()));
    let taken = match ids::find(root, new.as_str())? {
        Some(_) => Some(format!("'{new}' has user ids already")),
        None => taken,
    };
    match taken {
        None => Ok(()),
        Some(taken) => Err(Error::new(Kind::Busy, taken)
            .hint(format!("choose another name, or 'containerctl destroy {new}' first"))),
    }
}

/// Warnings about definitions that name the old unit, which is gone.
fn mentions(host: &Host, old: &MachineName) -> Vec<String> {
    let unit = old.service();
    let mut found = Vec::new();
    for machine in host.machines() {
        let Ok(definition) = machine.definition() else { continue };
        let named =
            definition.assigned().iter().filter(|one| one.value.split_whitespace().any(|word| word == unit));
        found
            .extend(named.map(|one| {
                format!("{}:{}: {}= names '{unit}' still", one.file.display(), one.line, one.key)
            }));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::os::unix::fs::symlink;

    fn host() -> (tempfile::TempDir, Root, [MachineName; 2]) {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::at(dir.path());
        let names = ["web-1", "p1"].map(|name| MachineName::new(name).unwrap());
        fs::create_dir_all(root.rootfs(&names[0]).join("etc")).unwrap();
        ids::range_of(&root, &names[0]).unwrap();
        for path in [
            "/etc/containerctl/web-1.conf",
            "/run/containerctl/web-1.conf.d/10.conf",
            r"/etc/systemd/system.control/machine-web\x2d1.slice.d/50-MemoryMax.conf",
            "/etc/systemd/system/container@web-1.service.d/override.conf",
        ] {
            fs::create_dir_all(root.path(path).parent().unwrap()).unwrap();
            fs::write(root.path(path), "").unwrap();
        }
        let wants = root.path("/etc/systemd/system/machines.target.wants");
        fs::create_dir_all(&wants).unwrap();
        symlink("/x", wants.join(names[0].service())).unwrap();
        image_entry::make(&root, &names[0]).unwrap();
        (dir, root, names)
    }

    fn rename(root: &Root, old: &MachineName, new: &MachineName) -> Result<Vec<String>> {
        Host::new(root.clone()).machine(old)?.rename(new)
    }

    /// Every path with what it holds.
    fn picture(at: &Path, found: &mut BTreeMap<PathBuf, String>, root: &Path) {
        for entry in fs::read_dir(at).unwrap().flatten() {
            let path = entry.path();
            let content = fs::read_link(&path)
                .map(|to| to.strip_prefix(root).map_or(to.clone(), Path::to_path_buf).display().to_string())
                .unwrap_or_else(|_| fs::read_to_string(&path).unwrap_or_default());
            found.insert(path.strip_prefix(root).unwrap().to_path_buf(), content);
            if path.is_dir() && !path.is_symlink() {
                picture(&path, found, root);
            }
        }
    }

    fn look(root: &Root) -> BTreeMap<PathBuf, String> {
        let mut found = BTreeMap::new();
        picture(&root.path("/"), &mut found, &root.path("/"));
        found
    }

    #[test]
    fn nothing_keeps_the_old_name_and_nothing_is_lost() {
        let (_dir, root, [old, new]) = host();
        let range = ids::find(&root, "web-1").unwrap();
        assert_eq!(rename(&root, &old, &new).unwrap(), [""; 0]);
        let after = look(&root);
        let left: Vec<_> = after.iter().filter(|(path, _)| path.to_string_lossy().contains("web")).collect();
        assert!(left.is_empty(), "{left:?}");
        assert_eq!(ids::find(&root, "p1").unwrap(), range);
        for path in [
            "var/lib/containerctl/p1/rootfs/etc",
            "etc/containerctl/p1.conf",
            "run/containerctl/p1.conf.d/10.conf",
            "etc/systemd/system.control/machine-p1.slice.d/50-MemoryMax.conf",
            "etc/systemd/system/container@p1.service.d/override.conf",
            "etc/systemd/system/machines.target.wants/container@p1.service",
            "run/machines/p1",
        ] {
            assert!(after.contains_key(Path::new(path)), "{path}: {after:?}");
        }
        assert_eq!(rename(&root, &old, &new).unwrap_err().kind(), Kind::NotFound);
    }

    #[test]
    fn a_rename_that_crashed_anywhere_is_finished_by_the_next() {
        let (_dir, whole, [old, new]) = host();
        rename(&whole, &old, &new).unwrap();
        let expected = look(&whole);
        for done in 0..=moves(&whole, &old, &new).len() {
            let (_dir, root, _) = host();
            replace(&root.store().join(".rename-web-1"), "p1").unwrap();
            for (from, to) in moves(&root, &old, &new).iter().take(done) {
                shift(from, to).unwrap();
            }
            let warnings = Host::new(root.clone()).sweep().unwrap();
            assert!(warnings[0].contains("'web-1' is called 'p1' now"), "{warnings:?}");
            assert_eq!(look(&root), expected, "after {done} steps");
        }
    }

    #[test]
    fn what_is_taken_or_fixed_is_refused_and_left() {
        let (_dir, root, [old, new]) = host();
        let refused = |words: &str| {
            let before = look(&root);
            let error = rename(&root, &old, &new).unwrap_err();
            assert!(error.to_string().contains(words), "{error}");
            let mut after = look(&root);
            after.retain(|path, _| {
                !path.starts_with("run/containerctl/p1") && !path.starts_with("run/containerctl/web-1")
            });
            assert!(after.iter().all(|one| before.contains_key(one.0)), "{after:?}");
        };
        fs::create_dir_all(root.store_of(&new)).unwrap();
        refused("'p1' exists already");
        fs::remove_dir(root.store_of(&new)).unwrap();
        ids::range_of(&root, &new).unwrap();
        refused("'p1' has user ids already");
        ids::release(&root, &new).unwrap();
        let control = root.path("/etc/systemd/system.control/machine-p1.slice.d");
        fs::create_dir_all(&control).unwrap();
        refused("machine-p1.slice.d' exists already");
        fs::remove_dir(&control).unwrap();
        let said = format!("[Files]\nRootDirectory={}\n", root.rootfs(&old).display());
        fs::write(root.definition(&old), said).unwrap();
        refused("config unset web-1 RootDirectory");
        assert_eq!(rename(&root, &old, &old).unwrap_err().kind(), Kind::Busy);
    }
}
