//! The host: boot, commands in it, cases on it, end.

use std::cell::{Cell, RefCell};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::command::{self, Output};
use super::skip::{enter_case, test_name};
use super::{Failure, Result};

/// What a command gets that names no limit of its own.
const COMMAND_LIMIT: Duration = Duration::from_secs(60);
/// Longer than testbed's own limits, which say more when they are reached.
const HOST_LIMIT: Duration = Duration::from_secs(150);

/// A running systemd host with the product installed. Dropped: ended, nothing of it left.
pub struct Host {
    name: String,
    dir: PathBuf,
    failed: RefCell<Vec<String>>,
    finished: Cell<bool>,
}

impl Host {
    /// Boots a fresh host with the tree of `CONTAINERCTL_DESTDIR` installed in it.
    pub fn boot() -> Result<Host> {
        Host::boot_with(&[])
    }

    /// As [`Host::boot`], with options of `testbed boot` such as `--guest` and `--mirror`.
    pub fn boot_with(options: &[&str]) -> Result<Host> {
        let name = fresh_name();
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
        let host = Host { name, dir, failed: RefCell::default(), finished: Cell::new(false) };
        match output? {
            output if output.code == 0 => Ok(host),
            output => Err(Failure::new(format!("host '{}' does not boot: {output}", host.name))),
        }
    }

    /// Runs a shell command line in the host, within 60 seconds. Its exit code is no failure.
    pub fn run(&self, command_line: &str) -> Result<Output> {
        self.run_within(COMMAND_LIMIT, command_line)
    }

    /// Runs a shell command line in the host; what is still there of it after `limit` is killed, and that is a failure.
    pub fn run_within(&self, limit: Duration, command_line: &str) -> Result<Output> {
        let seconds = limit.as_secs().max(1).to_string();
        let mut run = testbed(&["run", &self.name, "--timeout", &seconds, "sh", "-c", command_line]);
        let output = command::run(&mut run, limit + Duration::from_secs(10))?;
        match output.code {
            124 => Err(Failure::new(format!("no end of '{command_line}' after {limit:?}; {output}"))),
            _ => Ok(output),
        }
    }

    /// Runs a shell command line that must succeed, and returns what it printed.
    pub fn ok(&self, command_line: &str) -> Result<String> {
        let output = self.run(command_line)?;
        if output.code != 0 {
            return Err(Failure::new(format!("'{command_line}' failed: {output}")));
        }
        Ok(output.stdout)
    }

    /// Runs a shell command line that must fail, and returns how.
    pub fn fails(&self, command_line: &str) -> Result<Output> {
        let output = self.run(command_line)?;
        if output.code == 0 {
            return Err(Failure::new(format!("'{command_line}' should fail: {output}")));
        }
        Ok(output)
    }

    /// Runs a shell command line again and again until it succeeds; after `limit` that is a failure.
    pub fn wait_until(&self, limit: Duration, command_line: &str) -> Result<()> {
        let end = Instant::now() + limit;
        loop {
            let output = self.run(command_line)?;
            if output.code == 0 {
                return Ok(());
            }
            if Instant::now() > end {
                return Err(Failure::new(format!("'{command_line}' still fails after {limit:?}: {output}")));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Powers the host off cleanly and boots the same disk again.
    pub fn reboot(&self) -> Result<()> {
        let output = command::run(&mut testbed(&["reboot", &self.name]), HOST_LIMIT)?;
        if output.code != 0 {
            return Err(Failure::new(format!("host '{}' does not reboot: {output}", self.name)));
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

    /// Its name, which is its host name, too.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where its disk and its logs are.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Runs one case. If it fails or panics this is kept for [`Host::finish`], and the next case has its turn.
    pub fn case(&self, name: &str, body: impl FnOnce() -> Result<()>) {
        let begin = Instant::now();
        enter_case(Some(name));
        let result = catch_unwind(AssertUnwindSafe(body));
        enter_case(None);
        let seconds = begin.elapsed().as_secs_f64();
        let failure = match result {
            Ok(Ok(())) => return eprintln!("ok      {name} ({seconds:.1} s)"),
            Ok(Err(failure)) => failure.to_string(),
            Err(panic) => panic_text(panic.as_ref()),
        };
        eprintln!("FAILED  {name} ({seconds:.1} s): {failure}");
        self.failed.borrow_mut().push(name.to_owned());
    }

    /// The test's result: fails if a case did.
    pub fn finish(&self) -> Result<()> {
        let failed = self.failed.borrow();
        if !failed.is_empty() {
            return Err(Failure::new(format!("{} failed: '{}'", failed.len(), failed.join("', '"))));
        }
        self.finished.set(true);
        Ok(())
    }

    /// Copies journal and console to `target/host-logs/NAME`.
    fn keep_logs(&self) -> Result<PathBuf> {
        let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/host-logs").join(&self.name);
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
        if !self.finished.get() {
            match self.keep_logs() {
                Ok(kept) => eprintln!("logs of host '{}' are in {}", self.name, kept.display()),
                Err(failure) => eprintln!("failed to keep all logs of host '{}': {failure}", self.name),
            }
        }
        match command::run(&mut testbed(&["stop", &self.name, "--kill"]), HOST_LIMIT) {
            Ok(output) if output.code == 0 => {}
            Ok(output) => eprintln!("failed to stop host '{}': {output}", self.name),
            Err(failure) => eprintln!("failed to stop host '{}': {failure}", self.name),
        }
    }
}

/// The command that makes hosts.
pub fn testbed(arguments: &[&str]) -> Command {
    let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/host/testbed"));
    command.args(arguments);
    command
}

/// A name that no other host has: of the test, this process and a number.
fn fresh_name() -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let test = test_name();
    let test = test.rsplit("::").next().unwrap_or("test").replace('_', "-");
    let test: String = test.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(30).collect();
    format!("{test}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(|text| text.to_string()))
        .unwrap_or_else(|| "panicked".into())
}
