//! A tree that exists, used where it is.

use std::path::{Component, Path};

use crate::error::{Error, Result};
use crate::paths::Root;
use crate::storage::host_path::HostPaths;
use crate::storage::tree::Tree;

/// Opens what is at `path`, if it can be a machine's root file system as it stands.
pub fn open(root: &Root, path: &Path) -> Result<Tree> {
    let shown = path.to_string_lossy();
    let refused = |why: &str| Error::config(format!("'{shown}' cannot be a root file system: {why}"));
    if path
        .to_str()
        .is_none_or(|path| path.contains(char::is_control) || path.trim() != path || path.ends_with('\\'))
    {
        return Err(refused("its name has characters that a definition cannot carry").hint("rename it"));
    }
    if !path.is_absolute() || path.components().any(|part| part == Component::ParentDir) {
        return Err(refused("the path is not absolute").hint("begin it with '/', without '..'"));
    }
    if path.parent().is_none() {
        return Err(refused("it is the host's own root"));
    }
    if root.store().starts_with(path) || path.starts_with(root.store()) {
        return Err(refused("containerctl's own store is there").hint("use a directory elsewhere"));
    }
    HostPaths::new(root).tree(path)?.require_filled(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn trees_that_cannot_be_a_root_are_refused_in_a_sentence_each() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::at(dir.path().join("host"));
        fs::create_dir_all(root.store()).unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir(at("empty")).unwrap();
        fs::write(at("file"), "").unwrap();
        symlink(at("empty"), at("link")).unwrap();
        for (path, why) in [
            (at("missing"), "does not exist"),
            (at("empty"), "is empty"),
            (at("file"), "not a directory"),
            (at("link"), "symbolic link"),
            (at("host"), "own store"),
            ("/".into(), "host's own root"),
            ("tree".into(), "not absolute"),
            ("/a/../b".into(), "not absolute"),
            ("/a\nb".into(), "cannot carry"),
        ] {
            let error = open(&root, &path).expect_err(why);
            assert!(error.message().contains(why), "{error}");
        }
        assert!(open(&root, dir.path().parent().unwrap()).is_err());
    }
}
