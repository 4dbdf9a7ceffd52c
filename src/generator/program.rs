//! The generator as systemd runs it: `containerctl-generator [--root DIR] NORMAL [EARLY LATE]`.
//!
//! All goes to NORMAL, so that the administrator's units win. `--root` is for tests.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::kernlog::Log;
use crate::error::Result;
use crate::paths::Root;

/// Exit code of a wrong command line.
const USAGE: u8 = 2;

/// Generates and logs; returns the exit code. `args` are those behind the program's name.
pub fn run(args: impl Iterator<Item = OsString>) -> u8 {
    if is_foreign(|key| std::env::var(key).ok()) {
        return 0;
    }
    let args: Vec<PathBuf> = args.map(PathBuf::from).collect();
    let (root, dirs, log) = match &args[..] {
        [option, root, dirs @ ..] if option == Path::new("--root") => (Root::at(root), dirs, Log::stderr()),
        dirs => (Root::system(), dirs, Log::kernel()),
    };
    let normal = match dirs {
        [normal] | [normal, _, _] if !normal.as_os_str().as_encoded_bytes().starts_with(b"-") => normal,
        _ => {
            log.write(log::Level::Error, "usage: containerctl-generator NORMAL [EARLY LATE]");
            return USAGE;
        }
    };
    match generate(&root, normal, &log) {
        Ok(()) => 0,
        Err(error) => {
            log.write(log::Level::Error, &error.to_string());
            error.kind().exit_code()
        }
    }
}

fn generate(root: &Root, normal: &Path, log: &Log) -> Result<()> {
    let output = super::generate(root)?;
    for (level, message) in &output.messages {
        log.write(*level, message);
    }
    super::write(&output.tree, normal)
}

/// User managers have no containers of ours, and the initrd does not have the host's definitions.
fn is_foreign(variable: impl Fn(&str) -> Option<String>) -> bool {
    variable("SYSTEMD_SCOPE").is_some_and(|scope| scope == "user")
        || variable("SYSTEMD_IN_INITRD").is_some_and(|initrd| initrd == "1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_system_manager_of_the_host_gets_units() {
        let with = |name: &str, value: &str| {
            let (name, value) = (name.to_string(), value.to_string());
            move |key: &str| (key == name).then(|| value.clone())
        };
        assert!(is_foreign(with("SYSTEMD_SCOPE", "user")));
        assert!(is_foreign(with("SYSTEMD_IN_INITRD", "1")));
        assert!(!is_foreign(with("SYSTEMD_SCOPE", "system")));
        assert!(!is_foreign(with("SYSTEMD_IN_INITRD", "0")));
    }
}
