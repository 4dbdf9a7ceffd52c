//! systemd-analyze(1) reads the packaged units together with each case's output.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{cases, generate, tree};

/// Keys that are newer than the systemd that may run this test.
const NEWER: [&str; 2] = ["FileDescriptorStorePreserve", "WantsMountsFor"];

/// Copies the packaged units, with programs that exist here.
fn packaged(dir: &Path) {
    let units = Path::new(env!("CARGO_MANIFEST_DIR")).join("units");
    for name in ["container@.service", "containerctl-images.service"] {
        let text = fs::read_to_string(units.join(name)).expect("unit");
        let text = text.replace("/usr/lib/containerctl/containerctl-supervisor", "/bin/true");
        fs::write(dir.join(name), text.replace("/usr/bin/containerctl", "/bin/true")).expect("written");
    }
}

/// What systemd-analyze has against `units`, newer keys aside; `None` where it is missing.
fn complaints(path: &str, units: &[String]) -> Option<Vec<String>> {
    let run = Command::new("systemd-analyze")
        .args(["verify", "--man=no", "--recursive-errors=yes"])
        .args(units)
        .env("SYSTEMD_UNIT_PATH", path)
        .output()
        .ok()?;
    let stderr = String::from_utf8_lossy(&run.stderr).into_owned();
    let newer = |line: &str| line.contains("Unknown key") && NEWER.iter().any(|key| line.contains(key));
    Some(stderr.lines().filter(|line| !newer(line)).map(String::from).collect())
}

#[test]
fn systemd_accepts_the_packaged_and_the_generated_units() {
    for case in cases() {
        let (own, generated) =
            (tempfile::tempdir().expect("directory"), tempfile::tempdir().expect("directory"));
        packaged(own.path());
        generate(&case, generated.path());
        let drop_ins = tree(generated.path());
        let names =
            drop_ins.keys().filter_map(|path| path.split_once(".d/").map(|(unit, _)| unit.to_string()));
        let mut units: Vec<String> = names.collect();
        units.push("containerctl-images.service".to_string());
        // The empty last entry stands for the host's own directories.
        let path = format!("{}:{}:", generated.path().display(), own.path().display());
        let Some(complaints) = complaints(&path, &units) else {
            eprintln!("SKIPPED: systemd-analyze is missing");
            return;
        };
        assert!(complaints.is_empty(), "{}: {complaints:#?}", case.display());
    }
}
