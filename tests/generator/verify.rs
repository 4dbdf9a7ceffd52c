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
    for name in [
        "container@.service",
        "container-delay@.service",
        "container-reaper@.service",
        "containerctl-filter.service",
        "containerctl-images.service",
    ] {
        let text = fs::read_to_string(units.join(name)).expect("unit");
        let text = text.replace("/usr/lib/containerctl/containerctl-supervisor", "/bin/true");
        fs::write(dir.join(name), text.replace("/usr/bin/containerctl", "/bin/true")).expect("written");
    }
}

/// The units of `case` beside the packaged ones, and the search path that finds them.
struct Units {
    own: tempfile::TempDir,
    generated: tempfile::TempDir,
}

impl Units {
    fn of(case: &Path) -> Units {
        let new = || tempfile::tempdir().expect("directory");
        let units = Units { own: new(), generated: new() };
        packaged(units.own.path());
        assert!(generate(case, units.generated.path()).status.success());
        units
    }

    /// Units that have drop-ins, and the packaged ones that have none.
    fn names(&self) -> Vec<String> {
        let tree = tree(self.generated.path());
        let drop_ins =
            tree.keys().filter_map(|path| path.split_once(".d/").map(|(unit, _)| unit.to_string()));
        drop_ins.chain(["images", "filter"].map(|name| format!("containerctl-{name}.service"))).collect()
    }

    /// What systemd-analyze prints and complains of; `None`, loudly, where it is missing.
    fn verify(&self, log_level: &str) -> Option<(String, String)> {
        let run = Command::new("systemd-analyze")
            .args(["verify", "--man=no", "--recursive-errors=yes"])
            .args(self.names())
            // The empty last entry stands for the host's own directories.
            .env(
                "SYSTEMD_UNIT_PATH",
                format!("{}:{}:", self.generated.path().display(), self.own.path().display()),
            )
            .env("SYSTEMD_LOG_LEVEL", log_level)
            .output();
        let Ok(run) = run else {
            eprintln!("SKIPPED: systemd-analyze is missing");
            return None;
        };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Some((text(&run.stdout), text(&run.stderr)))
    }
}

#[test]
fn systemd_accepts_the_packaged_and_the_generated_units() {
    let is_newer = |line: &&str| line.contains("Unknown key") && NEWER.iter().any(|key| line.contains(key));
    for case in cases() {
        let Some((_, complaints)) = Units::of(&case).verify("info") else { return };
        let complaints: Vec<_> = complaints.lines().filter(|line| !is_newer(line)).collect();
        assert!(complaints.is_empty(), "{}: {complaints:#?}", case.display());
    }
}

#[test]
fn systemd_reads_escaped_names_and_paths_as_meant() {
    let cases_dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/generator");
    for (case, line) in [
        ("07-dash", "Requires: machine-web\\x2d1.slice ("),
        ("09-paths", "RequiresMountsFor: /srv/my containers/100% \"real\" ("),
        ("09-paths", "RequiresMountsFor: /srv/a:b ("),
    ] {
        let Some((dump, log)) = Units::of(&cases_dir.join(case)).verify("debug") else { return };
        assert!(dump.contains(line) || log.contains(line), "{case}: no '{line}'");
    }
}
