//! A throw-away virtual machine as a value: booted by [`Machine::boot`], gone when dropped.
//!
//! ```ignore
//! #[test]
//! fn containers_are_confined() -> Result<()> {
//!     let machine = boot_machine!();               // skips the test, loudly, where there can be none
//!     machine.case("a profile is enforced", || { machine.ok("…")?; Ok(()) });
//!     machine.finish()                             // fails if a case did
//! }
//! ```
//! A machine that failed leaves its console and its journal in `target/vm-logs/NAME`.

use std::fs;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::harness::place::{self, Place};
use crate::harness::{Failure, Output, Result, command, obstacle};

/// The script that makes machines.
const MACHINE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vm/machine");
/// Limit of a command that names none of its own.
const COMMAND_LIMIT: Duration = Duration::from_secs(180);
/// Longer than the script's own limits, which say more when they are reached.
const SCRIPT_LIMIT: Duration = Duration::from_secs(700);

/// A running virtual machine with the product installed. Dropped: gone, and its disk with it.
pub struct Machine {
    place: Place,
    dir: PathBuf,
}

impl Deref for Machine {
    type Target = Place;

    fn deref(&self) -> &Place {
        &self.place
    }
}

impl Machine {
    /// A fresh machine that has booted, with the tree of `CONTAINERCTL_DESTDIR` installed in it, with options of
    /// `machine boot`.
    pub fn boot(options: &[&str]) -> Result<Machine> {
        let name = place::fresh_name();
        let mut boot = script(&["boot", &name, "--owner", &std::process::id().to_string()]);
        boot.args(options);
        if let Some(tree) = std::env::var_os("CONTAINERCTL_DESTDIR") {
            boot.arg("--install").arg(tree);
        }
        let output = command::run(&mut boot, SCRIPT_LIMIT);
        let dir = output.as_ref().map_or_else(|_| PathBuf::new(), |output| output.stdout.trim().into());
        // From here on a failed boot is cleared away, too.
        let machine = Machine { place: Place::new(MACHINE, &name, COMMAND_LIMIT), dir };
        expect_ok("boot", &name, output?)?;
        Ok(machine)
    }

    /// Reboots it by its own hand and waits until it is up again.
    pub fn reboot(&self) -> Result<()> {
        self.control(&["reboot", self.name()])
    }

    /// Pulls the plug: what its kernel had not yet sent to its disk is lost.
    pub fn cut(&self) -> Result<()> {
        self.control(&["cut", self.name()])
    }

    /// Boots its own disk after [`Machine::cut`].
    pub fn start(&self) -> Result<()> {
        self.control(&["boot", self.name()])
    }

    fn control(&self, arguments: &[&str]) -> Result<()> {
        let output = command::run(&mut script(arguments), SCRIPT_LIMIT)?;
        expect_ok(arguments[0], self.name(), output)
    }

    /// Copies journal and console to `target/vm-logs/NAME`.
    fn keep_logs(&self) -> Result<PathBuf> {
        let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/vm-logs").join(self.name());
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

impl Drop for Machine {
    fn drop(&mut self) {
        if !self.is_finished() {
            match self.keep_logs() {
                Ok(kept) => eprintln!("logs of machine '{}' are in {}", self.name(), kept.display()),
                Err(failure) => eprintln!("failed to keep all logs of machine '{}': {failure}", self.name()),
            }
        }
        if let Err(failure) = self.control(&["remove", self.name()]) {
            eprintln!("{failure}");
        }
    }
}

/// Why there can be no machine here, if so.
pub fn no_machine() -> Option<String> {
    obstacle().or_else(|| match command::run(&mut script(&["tools"]), SCRIPT_LIMIT) {
        Ok(output) if output.code == 0 => None,
        Ok(output) => Some(format!("qemu cannot be had: {}", output.stderr.trim())),
        Err(failure) => Some(format!("qemu cannot be had: {failure}")),
    })
}

/// Boots a fresh machine with the product installed, with options of `machine boot`, or skips the test.
#[macro_export]
macro_rules! boot_machine {
    ($($option:expr),*) => {{
        if let Some(obstacle) = $crate::machine::no_machine() {
            skip!("{obstacle}");
        }
        $crate::machine::Machine::boot(&[$($option),*])?
    }};
}

fn script(arguments: &[&str]) -> Command {
    let mut command = Command::new(MACHINE);
    command.args(arguments);
    command
}

fn expect_ok(what: &str, name: &str, output: Output) -> Result<()> {
    match output.code {
        0 => Ok(()),
        _ => Err(Failure::new(format!("'machine {what}' of '{name}' failed: {output}"))),
    }
}
