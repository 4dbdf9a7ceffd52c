//! A system in which tests run commands: a host or a virtual machine that a script has made, and the cases on it.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::command::{self, Output};
use super::skip::{enter_case, test_name};
use super::{Failure, Result};

/// Commands and cases in a running system, which its script knows by a name.
pub struct Place {
    script: &'static str,
    name: String,
    limit: Duration,
    failed: RefCell<Vec<String>>,
    finished: Cell<bool>,
}

impl Place {
    /// The system `name` that `script` has made; a command that names no limit of its own gets `limit`.
    pub fn new(script: &'static str, name: &str, limit: Duration) -> Place {
        let name = name.to_owned();
        Place { script, name, limit, failed: RefCell::default(), finished: Cell::new(false) }
    }

    /// Name of the system, and host name of a host.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs a shell command line in it, within 60 seconds or what it was made with. Its exit code is no failure.
    pub fn run(&self, command_line: &str) -> Result<Output> {
        self.run_within(self.limit, command_line)
    }

    /// Runs a shell command line in it; what is still there of it after `limit` is killed, and that is a failure.
    pub fn run_within(&self, limit: Duration, command_line: &str) -> Result<Output> {
        let seconds = limit.as_secs().max(1).to_string();
        let mut run = Command::new(self.script);
        run.args(["run", &self.name, "--timeout", &seconds, "sh", "-c", command_line]);
        let output = command::run(&mut run, limit + Duration::from_secs(30))?;
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

    /// Runs one case. If it fails or panics this is kept for [`Place::finish`], and the next case has its turn.
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

    /// Whether [`Place::finish`] was reached without a failure.
    pub fn is_finished(&self) -> bool {
        self.finished.get()
    }
}

/// A name that nothing else has: of the test, this process and a number.
pub fn fresh_name() -> String {
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
