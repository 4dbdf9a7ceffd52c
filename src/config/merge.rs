//! The second stage of a definition: which files make it up.
//!
//! As for units: the main file of the strongest directory wins wholly, drop-ins of all directories are added in
//! the order of their names, a stronger one hides a weaker one of the same name, and a symlink to `/dev/null`
//! hides without adding anything.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::error::{Context, Error, Kind, Result};
use crate::name::MachineName;
use crate::paths::Root;

/// The files of one definition.
#[derive(Debug, PartialEq, Eq)]
pub struct Sources {
    /// `NAME.conf`.
    pub main: PathBuf,
    /// `NAME.conf.d/*.conf`, in the order in which they apply.
    pub drop_ins: Vec<PathBuf>,
}

impl Sources {
    /// Finds the files of `name`.
    pub fn find(root: &Root, name: &MachineName) -> Result<Sources> {
        let main = main_file(root, name).ok_or_else(|| {
            Error::new(Kind::NotFound, format!("container '{name}' is not defined")).hint(format!(
                "write '{}' or run 'containerctl create {name}'",
                root.definition(name).display()
            ))
        })?;
        if is_mask(&main) {
            return Err(Error::new(
                Kind::NotFound,
                format!("container '{name}' is masked by '{}'", main.display()),
            )
            .hint("remove that symlink"));
        }
        Ok(Sources { main, drop_ins: drop_ins(root, name)? })
    }

    /// With a file of the administrator's that need not be there yet: the main one, or a drop-in in its place.
    pub fn with(mut self, path: &Path) -> Sources {
        if path.parent().is_some_and(|directory| directory.extension().is_none_or(|kind| kind != "d")) {
            return Sources { main: path.to_path_buf(), ..self };
        }
        self.drop_ins.retain(|other| other.file_name() != path.file_name());
        self.drop_ins.push(path.to_path_buf());
        self.drop_ins.sort_by(|one, other| one.file_name().cmp(&other.file_name()));
        self
    }

    /// All files in the order in which they apply.
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        std::iter::once(&self.main).chain(&self.drop_ins)
    }
}

/// The files in the directories of definitions.
#[derive(Debug, Default)]
pub struct Survey {
    /// All definitions that are not masked, sorted.
    pub names: Vec<MachineName>,
    /// Files whose name is no machine's, for a warning.
    pub misnamed: Vec<PathBuf>,
}

impl Survey {
    /// Looks through all directories; a missing one is empty.
    pub fn of(root: &Root) -> Result<Survey> {
        let mut survey = Survey::default();
        let mut found = BTreeSet::new();
        for dir in root.definition_dirs() {
            for path in conf_files(&dir)? {
                match MachineName::new(&path.file_stem().unwrap_or_default().to_string_lossy()) {
                    Ok(name) => _ = found.insert(name),
                    Err(_) => survey.misnamed.push(path),
                }
            }
        }
        let unmasked = |name: &MachineName| main_file(root, name).is_some_and(|main| !is_mask(&main));
        survey.names = found.into_iter().filter(unmasked).collect();
        Ok(survey)
    }
}

/// The names of all definitions, sorted; none where the directories cannot be read.
pub fn names(root: &Root) -> Vec<MachineName> {
    Survey::of(root).unwrap_or_default().names
}

fn main_file(root: &Root, name: &MachineName) -> Option<PathBuf> {
    let candidates = root.definition_dirs().map(|dir| dir.join(format!("{name}.conf")));
    candidates.into_iter().find(|path| is_entry(path))
}

fn drop_ins(root: &Root, name: &MachineName) -> Result<Vec<PathBuf>> {
    let mut by_name = BTreeMap::new();
    for dir in root.definition_dirs() {
        for path in conf_files(&dir.join(format!("{name}.conf.d")))? {
            by_name.entry(path.file_name().map(ToOwned::to_owned)).or_insert(path);
        }
    }
    Ok(by_name.into_values().filter(|path| !is_mask(path)).collect())
}

/// The `*.conf` of a directory, which need not exist; sorted.
fn conf_files(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(dir) {
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.context(|| format!("failed to list '{}'", dir.display()))?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.context(|| format!("failed to list '{}'", dir.display()))?.path();
        let skipped = !is_entry(&path)
            || path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !skipped && path.extension().is_some_and(|extension| extension == "conf") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Directories are none: the run-time state of a machine called 'p1.conf' is `/run/containerctl/p1.conf/`.
fn is_entry(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|metadata| !metadata.is_dir())
}

fn is_mask(path: &Path) -> bool {
    std::fs::read_link(path).is_ok_and(|target| target == Path::new("/dev/null"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    struct Tree(tempfile::TempDir);

    impl Tree {
        fn new() -> Tree {
            Tree(tempfile::tempdir().expect("directory"))
        }

        fn root(&self) -> Root {
            Root::at(self.0.path())
        }

        fn path(&self, path: &str) -> PathBuf {
            let path = self.0.path().join(path);
            std::fs::create_dir_all(path.parent().expect("parent")).expect("directory");
            path
        }

        fn add(&self, path: &str) {
            std::fs::write(self.path(path), "").expect("written");
        }

        fn mask(&self, path: &str) {
            symlink("/dev/null", self.path(path)).expect("linked");
        }

        fn files(&self) -> Vec<String> {
            let sources = Sources::find(&self.root(), &p1()).expect("found");
            let relative =
                |path: &PathBuf| path.strip_prefix(self.0.path()).expect("below").display().to_string();
            sources.files().map(relative).collect()
        }
    }

    fn p1() -> MachineName {
        MachineName::new("p1").expect("valid")
    }

    #[test]
    fn the_strongest_main_file_wins_wholly() {
        let tree = Tree::new();
        tree.add("usr/lib/containerctl/p1.conf");
        assert_eq!(tree.files(), ["usr/lib/containerctl/p1.conf"]);
        tree.add("run/containerctl/p1.conf");
        assert_eq!(tree.files(), ["run/containerctl/p1.conf"]);
        tree.add("etc/containerctl/p1.conf");
        assert_eq!(tree.files(), ["etc/containerctl/p1.conf"]);
    }

    #[test]
    fn drop_ins_of_all_directories_apply_by_name() {
        let tree = Tree::new();
        tree.add("etc/containerctl/p1.conf");
        tree.add("etc/containerctl/p1.conf.d/20-b.conf");
        tree.add("usr/lib/containerctl/p1.conf.d/20-b.conf");
        tree.add("usr/lib/containerctl/p1.conf.d/10-a.conf");
        tree.add("usr/lib/containerctl/p1.conf.d/40-d.conf");
        tree.mask("run/containerctl/p1.conf.d/40-d.conf");
        tree.add("run/containerctl/p1.conf.d/30-c.conf");
        tree.add("run/containerctl/p1.conf.d/notes.txt");
        assert_eq!(
            tree.files(),
            [
                "etc/containerctl/p1.conf",
                "usr/lib/containerctl/p1.conf.d/10-a.conf",
                "etc/containerctl/p1.conf.d/20-b.conf",
                "run/containerctl/p1.conf.d/30-c.conf",
            ]
        );
    }

    #[test]
    fn a_directory_of_run_time_state_is_no_definition() {
        let tree = Tree::new();
        tree.add("usr/lib/containerctl/p1.conf");
        tree.add("run/containerctl/p1.conf/state");
        tree.add("run/containerctl/p2.conf/state");
        assert_eq!(tree.files(), ["usr/lib/containerctl/p1.conf"]);
        assert_eq!(names(&tree.root()), [p1()]);
    }

    #[test]
    fn a_masked_definition_is_not_there() {
        let tree = Tree::new();
        tree.add("usr/lib/containerctl/p1.conf");
        tree.add("usr/lib/containerctl/p2.conf");
        tree.add("etc/containerctl/no name.conf");
        tree.mask("etc/containerctl/p1.conf");
        let error = Sources::find(&tree.root(), &p1()).expect_err("masked");
        assert_eq!(error.kind(), Kind::NotFound);
        assert_eq!(names(&tree.root()), [MachineName::new("p2").expect("valid")]);
        let survey = Survey::of(&tree.root()).expect("readable");
        assert_eq!(survey.misnamed, [tree.path("etc/containerctl/no name.conf")]);
    }

    #[test]
    fn an_undefined_container_has_a_hint() {
        let error = Sources::find(&Tree::new().root(), &p1()).expect_err("missing");
        assert_eq!(error.kind(), Kind::NotFound);
        assert!(error.to_string().contains("containerctl create p1"), "{error}");
    }
}
