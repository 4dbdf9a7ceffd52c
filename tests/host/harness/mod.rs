//! A throw-away systemd host as a value: booted by [`Host::boot`], gone when dropped.
//!
//! ```ignore
//! #[test]
//! fn containers_start() -> Result<()> {
//!     let host = boot!();                       // skips the test, loudly, where no host can be booted
//!     host.case("a container starts", || {
//!         host.ok("systemctl start container@p1")?;
//!         Ok(())
//!     });
//!     host.finish()                             // fails if a case did; without it the host counts as failed
//! }
//! ```
//! A host that failed leaves its journal and console in `target/host-logs/NAME`.
// Later tests use what the first do not.
#![allow(dead_code, unused_imports)]

pub mod command;
mod failure;
mod host;
pub mod place;
mod skip;

pub use command::Output;
pub use failure::{Failure, Result};
pub use host::Host;
pub use skip::{obstacle, record_skip};

/// Number of repetitions: `short` as a rule, `long` with `tests/run --long`. Prints it for the log.
pub fn rounds(what: &str, short: u32, long: u32) -> u32 {
    let count = if std::env::var_os("CONTAINERCTL_LONG").is_some() { long } else { short };
    eprintln!("rounds  {what}: {count} (short {short}, long {long})");
    count
}

/// Ends the test or case that it stands in as skipped, with a reason that `tests/run` repeats at its end.
#[macro_export]
macro_rules! skip {
    ($($reason:tt)+) => {{
        $crate::harness::record_skip(&format!($($reason)+));
        return Ok(());
    }};
}

/// Boots a host with the product installed, with options of `testbed boot` (`boot!("--guest")`), or skips the test.
#[macro_export]
macro_rules! boot {
    ($($option:expr),*) => {{
        if let Some(obstacle) = $crate::harness::obstacle() {
            skip!("{obstacle}");
        }
        $crate::harness::Host::boot_with(&[$($option),*])?
    }};
}

/// Fails the case unless the condition holds; what follows is the message, as in `assert!`.
#[macro_export]
macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err($crate::harness::Failure::new(format!($($message)+)));
        }
    };
}
