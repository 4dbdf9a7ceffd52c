//! The exclusive lock of a machine: its supervisor holds it from start to end, or destroy. It is on the machine's
//! run-time directory itself.

use std::fs::{DirBuilder, File};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::time::Duration;

use nix::fcntl::Flock;

use crate::error::{Context, Error, Kind, Result};
use crate::name::MachineName;
use crate::paths::Root;
use crate::sys::lock::lock_directory;

/// Held as long as it lives.
pub type Lock = Flock<File>;

/// Takes the lock of a machine, never waiting for it. Makes its run-time directory where it is missing.
pub fn take(root: &Root, name: &MachineName) -> Result<Lock> {
    let path = root.runtime_of(name);
    loop {
        make(&root.runtime(), 0o755)?;
        make(&path, 0o700)?;
        match lock_directory(&path) {
            // A destroy took it away before we had it.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                return Err(Error::new(Kind::Busy, format!("container '{name}' has a supervisor already"))
                    .hint(format!("see 'systemctl status {}'", name.service())));
            }
            result => return result.context(|| format!("failed to lock '{}'", path.display())),
        }
    }
}

/// Waits for a moment until nobody has the lock of a machine.
pub fn wait(root: &Root, name: &MachineName) {
    const STEPS: u32 = 250;
    for _ in 0..STEPS {
        match lock_directory(&root.runtime_of(name)) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            _ => return,
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn make(path: &Path, mode: u32) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(path)
        .context(|| format!("failed to create '{}'", path.display()))
}
