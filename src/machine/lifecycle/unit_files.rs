//! Files that systemctl wrote for a container's units: links by `enable`, drop-ins by `set-property` and `edit`. A later
//! container of the same name must inherit none of them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::name::MachineName;
use crate::paths::Root;
use crate::replace::{remove_directory, remove_file};

/// Directories in which systemctl(1) writes, for good and until the next boot (systemd.unit(5)).
const DIRECTORIES: [&str; 2] = ["/etc/systemd/system", "/run/systemd/system"];
/// Directories in which `set-property` writes, likewise.
pub const CONTROL: [&str; 2] = ["/etc/systemd/system.control", "/run/systemd/system.control"];

/// Removes all of them, also where systemd does not run. Files for all containers stay.
pub fn remove(root: &Root, name: &MachineName) -> Result<()> {
    for directory in DIRECTORIES.map(|path| root.path(path)) {
        disable(&directory, name)?;
    }
    drop_ins(root, name).iter().try_for_each(|path| remove_directory(path).map(drop))
}

/// Directories of drop-ins of its units.
fn drop_ins(root: &Root, name: &MachineName) -> Vec<PathBuf> {
    let units = [name.service(), name.nspawn_service(), name.slice(), name.scope()];
    let directories = DIRECTORIES.iter().chain(&CONTROL).map(|path| root.path(path));
    directories.flat_map(|path| units.each_ref().map(|unit| path.join(format!("{unit}.d")))).collect()
}

/// Every path of a container's files, for each name in the same order.
pub fn of(root: &Root, name: &MachineName) -> Vec<PathBuf> {
    let directories = DIRECTORIES.iter().flat_map(|path| {
        let mut pulling = pulling(&root.path(path));
        pulling.sort();
        pulling
    });
    let links = directories.map(|path| path.join(name.service()));
    drop_ins(root, name).into_iter().chain(links).collect()
}

/// The services that are started along with something else, by links of systemctl(1) or of the generator.
pub fn wanted(root: &Root) -> BTreeSet<String> {
    let directories = DIRECTORIES.iter().chain(&["/run/systemd/generator"]).map(|path| root.path(path));
    let links =
        directories.flat_map(|directory| pulling(&directory)).filter_map(|path| fs::read_dir(path).ok());
    links.flatten().filter_map(|link| link.ok()?.file_name().into_string().ok()).collect()
}

/// The links below `*.wants/` and `*.requires/`.
fn disable(directory: &Path, name: &MachineName) -> Result<()> {
    pulling(directory).iter().try_for_each(|path| remove_file(&path.join(name.service())).map(drop))
}

/// The directories `*.wants/` and `*.requires/` in one of unit files.
fn pulling(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    paths.filter(|path| path.extension().is_some_and(|kind| kind == "wants" || kind == "requires")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_machine_of_the_same_name_inherits_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::at(dir.path());
        let write = |path: &str| {
            let path = root.path(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        };
        let gone = [
            r"/etc/systemd/system.control/machine-web\x2d1.slice.d/50-MemoryMax.conf",
            "/run/systemd/system.control/container@web-1.service.d/50-CPUWeight.conf",
            r"/run/systemd/system.control/machine-web\x2d1.scope.d/50-TasksMax.conf",
            "/etc/systemd/system/container@web-1.service.d/override.conf",
            "/run/systemd/system/systemd-nspawn@web-1.service.d/override.conf",
            "/etc/systemd/system/machines.target.wants/container@web-1.service",
        ];
        let kept = [
            "/etc/systemd/system.control/machine-web.slice.d/50-MemoryMax.conf",
            "/etc/systemd/system/container@.service.d/override.conf",
            "/etc/systemd/system/machines.target.wants/container@web.service",
        ];
        gone.iter().chain(&kept).for_each(|path| write(path));
        let name = MachineName::new("web-1").unwrap();
        remove(&root, &name).unwrap();
        remove(&root, &name).unwrap();
        for path in gone {
            assert!(!root.path(path).exists(), "{path}");
            let drop_ins = root.path(path).parent().unwrap().to_path_buf();
            assert!(!drop_ins.exists() || path.contains(".wants/"), "{path}");
        }
        assert!(kept.iter().all(|path| root.path(path).exists()));
    }
}
