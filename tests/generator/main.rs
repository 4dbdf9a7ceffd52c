//! The generator, run on whole trees. `NN-name/{etc,usr,run}` is what it reads, `expected` what it writes, and
//! `expected.log` what it says; a run with `UPDATE_EXPECTED=1` writes the latter two.

mod concurrency;
mod trees;
mod verify;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The directories of all cases.
fn cases() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/generator");
    let mut cases: Vec<PathBuf> = fs::read_dir(dir)
        .expect("cases")
        .map(|entry| entry.expect("case").path())
        .filter(|p| p.is_dir())
        .collect();
    cases.sort();
    cases
}

/// Runs the generator on the tree at `root`, writing to `normal`.
fn generate(root: &Path, normal: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_containerctl-generator"))
        .arg("--root")
        .args([root, normal])
        .env_remove("SYSTEMD_SCOPE")
        .env_remove("SYSTEMD_IN_INITRD")
        .output()
        .expect("run")
}

/// Every file's content and every symlink's target below `dir`, by relative path.
fn tree(dir: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut pending = vec![dir.to_path_buf()];
    while let Some(next) = pending.pop() {
        for entry in fs::read_dir(&next).into_iter().flatten() {
            let path = entry.expect("entry").path();
            let name = path.strip_prefix(dir).expect("below").display().to_string();
            match fs::read_link(&path) {
                Ok(target) => _ = found.insert(name, format!("-> {}", target.display())),
                Err(_) if path.is_dir() => pending.push(path),
                Err(_) => _ = found.insert(name, fs::read_to_string(&path).expect("text")),
            }
        }
    }
    found
}
