//! The host: boot, reboot, end.

use std::fs;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::command;
use super::place::{self, Place};
use super::{Failure, Result};

/// The script that makes hosts.
const TESTBED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/host/testbed");
/// What a command gets that names no limit of its own.
const COMMAND_LIMIT: Duration = Duration::from_secs(60);
/// Longer than testbed's own limits, which say more when they are reached.
const HOST_LIMIT: Duration = Duration::from_secs(150);

/// A running systemd host with the product installed; commands and cases are those of [`Place`]. Dropped: ended,
/// nothing of it left.
pub struct Host {
    place: Place,
    dir: PathBuf,
}

impl Deref for Host {
    type Target = Place;

    fn deref(&self) -> &Place {
        &self.place
    }
}

impl Host {
    /// Boots a fresh host with the tree of `CONTAINERCTL_DESTDIR` installed in it.
    pub fn boot() -> Result<Host> {
        Host::boot_with(&[])
    }

    /// As [`Host::boot`], with options of `testbed boot` such as `--guest` and `--mirror`.
    pub fn boot_with(options: &[&str]) -> Result<Host> {
        let name = place::fresh_name();
        let mut boot = testbed(&["boot", &name]);
        boot.args(options);
        if let Some(tree) = std::env::var_os("CONTAINERCTL_DESTDIR") {
            boot.arg("--install").arg(tree);
        }
        let output = command::run(&mut boot, HOST_LIMIT);
        let dir = match &output {
            Ok(output) => PathBuf::from(output.stdout.trim()),
            Err(_) => PathBuf::new(),
        };
        // From here on a failed boot is cleared away, too.
        let host = Host { place: Place::new(TESTBED, &name, COMMAND_LIMIT), dir };
        match output? {
            output if output.code == 0 => Ok(host),
            output => Err(Failure::new(format!("host '{}' does not boot: {output}", host.name()))),
        }
    }

    /// Powers the host off cleanly and boots the same disk again.
    pub fn reboot(&self) -> Result<()> {
        let output = command::run(&mut testbed(&["reboot", self.name()]), HOST_LIMIT)?;
        if output.code != 0 {
            return Err(Failure::new(format!("host '{}' does not reboot: {output}", self.name())));
        }
        Ok(())
    }

    /// Where a file of the running host is seen from here. Do not follow links of the host through it.
    pub fn path(&self, absolute: impl AsRef<Path>) -> Result<PathBuf> {
        let absolute = absolute.as_ref();
        let root = format!("/proc/{}/root", self.init_pid()?);
        Ok(Path::new(&root).join(absolute.strip_prefix("/").unwrap_or(absolute)))
    }

    /// The host's PID 1, as it is numbered here.
    pub fn init_pid(&self) -> Result<i32> {
        let text = fs::read_to_string(self.dir.join("init"))?;
        text.split_whitespace()
            .next()
            .and_then(|pid| pid.parse().ok())
            .ok_or_else(|| Failure::new(format!("no pid in '{text}'")))
    }

    /// Where its disk and its logs are.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Copies journal and console to `target/host-logs/NAME`.
    fn keep_logs(&self) -> Result<PathBuf> {
        let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/host-logs").join(self.name());
        fs::create_dir_all(&kept)?;
        if !self.dir.as_os_str().is_empty() {
            fs::copy(self.dir.join("console.log"), kept.join("console.log"))?;
        }
        let journal =
            self.run("journalctl --no-pager -o short-precise; systemctl --no-pager list-units --all")?;
        fs::write(kept.join("journal.txt"), journal.stdout)?;
        Ok(kept)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if !self.is_finished() {
            match self.keep_logs() {
                Ok(kept) => eprintln!("logs of host '{}' are in {}", self.name(), kept.display()),
                Err(failure) => eprintln!("failed to keep all logs of host '{}': {failure}", self.name()),
            }
        }
        match command::run(&mut testbed(&["stop", self.name(), "--kill"]), HOST_LIMIT) {
            Ok(output) if output.code == 0 => {}
            Ok(output) => eprintln!("failed to stop host '{}': {output}", self.name()),
            Err(failure) => eprintln!("failed to stop host '{}': {failure}", self.name()),
        }
    }
}

/// The command that makes hosts.
pub fn testbed(arguments: &[&str]) -> Command {
    let mut command = Command::new(TESTBED);
    command.args(arguments);
    command
}
