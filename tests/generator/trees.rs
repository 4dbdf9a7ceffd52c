//! Each case gives exactly its expected tree and log.

use std::fs;
use std::path::Path;

use super::{cases, generate, tree};
use containerctl::generator::dry_run;
use containerctl::paths::Root;

#[test]
fn each_case_gives_its_expected_tree() {
    for case in cases() {
        let output = tempfile::tempdir().expect("directory");
        let run = generate(&case, output.path());
        assert!(run.status.success(), "{}: {:?}", case.display(), run);
        let log = String::from_utf8(run.stderr).expect("text").replace(&case.display().to_string(), "");
        if std::env::var_os("UPDATE_EXPECTED").is_some() {
            update(&case, output.path(), &log);
        }
        assert_eq!(tree(output.path()), tree(&case.join("expected")), "{}", case.display());
        assert_eq!(
            log,
            fs::read_to_string(case.join("expected.log")).unwrap_or_default(),
            "{}",
            case.display()
        );
    }
}

#[test]
fn a_dry_run_shows_what_is_written() {
    for case in cases() {
        let text = dry_run(&Root::at(&case)).expect("listed");
        for (path, content) in tree(&case.join("expected")) {
            let expected = match content.strip_prefix("-> ") {
                Some(target) => format!("--- {path} -> {target} ---\n"),
                None => format!("--- {path} ---\n{content}"),
            };
            assert!(text.contains(&expected), "{path}");
        }
    }
}

#[test]
fn a_host_without_definitions_gets_nothing() {
    let (root, output) = (tempfile::tempdir().expect("directory"), tempfile::tempdir().expect("directory"));
    assert!(generate(root.path(), output.path()).status.success());
    assert!(tree(output.path()).is_empty());
}

#[test]
fn what_cannot_be_written_is_a_failure() {
    let run = generate(&cases()[0], Path::new("/proc/nowhere"));
    assert_eq!(run.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&run.stderr).contains("failed to create '/proc/nowhere/"));
}

fn update(case: &Path, output: &Path, log: &str) {
    let expected = case.join("expected");
    fs::remove_dir_all(&expected).ok();
    for (path, content) in tree(output) {
        let path = expected.join(path);
        fs::create_dir_all(path.parent().expect("parent")).expect("directory");
        match content.strip_prefix("-> ") {
            Some(target) => std::os::unix::fs::symlink(target, path).expect("linked"),
            None => fs::write(path, content).expect("written"),
        }
    }
    let path = case.join("expected.log");
    if log.is_empty() {
        fs::remove_file(path).ok()
    } else {
        fs::write(path, log).ok()
    };
}
