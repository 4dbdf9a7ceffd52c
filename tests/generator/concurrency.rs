//! Generators that run at once, as happens on two reloads in a row.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{generate, tree};

/// Two definitions of the same name whose drop-ins differ in length.
fn root(description: &str) -> tempfile::TempDir {
    let root = tempfile::tempdir().expect("directory");
    let dir = root.path().join("etc/containerctl");
    fs::create_dir_all(&dir).expect("directory");
    fs::write(dir.join("p1.conf"), format!("[Unit]\nDescription={description}\n")).expect("written");
    root
}

#[test]
fn a_reader_never_sees_half_a_file() {
    let roots = [root("a"), root(&"b".repeat(100_000))];
    let output = tempfile::tempdir().expect("directory");
    let done = AtomicBool::new(false);
    let whole = roots.each_ref().map(|root| {
        let own = tempfile::tempdir().expect("directory");
        generate(root.path(), own.path());
        tree(own.path())
    });
    let file = "container@p1.service.d/10-containerctl.conf";
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let Ok(text) = fs::read_to_string(output.path().join(file)) else { continue };
                assert!(whole.iter().any(|tree| tree[file] == text), "{} bytes", text.len());
            }
        });
        let writers = roots.each_ref().map(|root| scope.spawn(|| write_often(root.path(), output.path())));
        writers.into_iter().for_each(|writer| writer.join().expect("writer"));
        done.store(true, Ordering::Relaxed);
        reader.join().expect("reader");
    });
    let left: Vec<_> = tree(output.path()).into_keys().collect();
    assert_eq!(left, whole[0].keys().cloned().collect::<Vec<_>>(), "something was left behind");
}

fn write_often(root: &Path, output: &Path) {
    for _ in 0..20 {
        assert!(generate(root, output).status.success());
    }
}
