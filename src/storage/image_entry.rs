//! `/run/machines/NAME`: the image entries by which machinectl finds our root file systems.
//!
//! Only links are touched that point into our store, or to what a definition says; whatever else has the name
//! is the administrator's.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::config;
use crate::error::{Context, Error, Result};
use crate::name::MachineName;
use crate::paths::Root;
use crate::replace::remove_file;

/// Makes the entries of all machines and removes those of ours that belong to no machine. Returns warnings.
pub fn refresh(root: &Root) -> Result<Vec<String>> {
    let names = config::names(root);
    let failed = names.iter().filter_map(|name| make(root, name).err());
    let mut warnings: Vec<String> = failed.map(|error| error.to_string()).collect();
    let directory = root.path("/run/machines");
    let entries = match fs::read_dir(&directory) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(warnings),
        entries => entries.context(|| format!("failed to list '{}'", directory.display()))?,
    };
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let owner = path.file_name().and_then(|name| MachineName::new(name.to_str()?).ok());
        if is_in_store(root, &path) && owner.is_none_or(|owner| !names.contains(&owner)) {
            warnings.extend(remove_file(&path).err().map(|error| error.to_string()));
        }
    }
    Ok(warnings)
}

/// Makes the entry of one machine, in place of an older one of ours.
pub fn make(root: &Root, name: &MachineName) -> Result<()> {
    make_to(root, name, &super::locate(root, name, &config::load(root, name)?.settings))
}

/// As [`make`], where the root file system is known already.
pub fn make_to(root: &Root, name: &MachineName, target: &Path) -> Result<()> {
    let link = root.image_link(name);
    let failed = || format!("failed to link '{}' to '{}'", link.display(), target.display());
    match fs::read_link(&link) {
        Ok(found) if found == target => return Ok(()),
        Ok(_) if is_in_store(root, &link) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        _ => return Err(Error::failed(format!("'{}' is not ours, left as it is", link.display()))),
    }
    let directory = root.path("/run/machines");
    fs::create_dir_all(&directory).context(failed)?;
    // A name that no image can have, with our process id so that two of us do not meet.
    let new = directory.join(format!(".{name}.{}", std::process::id()));
    symlink(target, &new).context(failed)?;
    fs::rename(&new, &link).inspect_err(|_| drop(fs::remove_file(&new))).context(failed)
}

/// Removes the entry of one machine, where it is ours: it leads to `target`, or into the store.
pub fn remove(root: &Root, name: &MachineName, target: &Path) -> Result<()> {
    let link = root.image_link(name);
    match fs::read_link(&link) {
        Ok(found) if found == target || is_in_store(root, &link) => remove_file(&link).map(drop),
        _ => Ok(()),
    }
}

fn is_in_store(root: &Root, link: &Path) -> bool {
    fs::read_link(link).is_ok_and(|target| target.starts_with(root.store()))
}

/// Directories of which entries were made or removed, on disk.
pub fn sync(directory: &Path) -> Result<()> {
    let synced = File::open(directory).and_then(|directory| directory.sync_all());
    synced.context(|| format!("failed to write '{}' to disk", directory.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_follow_the_definitions_and_strangers_are_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::at(dir.path());
        let [p1, p2, gone, foreign] = ["p1", "p2", "gone", "foreign"].map(|n| MachineName::new(n).unwrap());
        fs::create_dir_all(root.path("/etc/containerctl")).unwrap();
        fs::create_dir_all(root.path("/run/machines")).unwrap();
        fs::write(root.definition(&p1), "").unwrap();
        fs::write(root.definition(&p2), "[Files]\nRootDirectory=/srv/p2\n").unwrap();
        fs::write(root.definition(&foreign), "").unwrap();
        symlink(root.rootfs(&gone), root.image_link(&gone)).unwrap();
        symlink("/elsewhere", root.image_link(&foreign)).unwrap();
        let warnings = refresh(&root).unwrap();
        assert_eq!(fs::read_link(root.image_link(&p1)).unwrap(), root.rootfs(&p1));
        assert_eq!(fs::read_link(root.image_link(&p2)).unwrap(), Path::new("/srv/p2"));
        assert!(fs::read_link(root.image_link(&gone)).is_err());
        assert_eq!(fs::read_link(root.image_link(&foreign)).unwrap(), Path::new("/elsewhere"));
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert_eq!(fs::read_dir(root.path("/run/machines")).unwrap().count(), 3);
    }
}
