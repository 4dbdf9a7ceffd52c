//! Tests that cannot run here say so, on the terminal and in a list that `tests/run` prints at its end.

use std::cell::RefCell;
use std::fs::OpenOptions;
use std::io::{Write, stderr};
use std::path::PathBuf;

thread_local! {
    static CASE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Names the case that runs from now on, for the skip list.
pub fn enter_case(name: Option<&str>) {
    CASE.set(name.map(str::to_owned));
}

/// The test that runs on this thread.
pub fn test_name() -> String {
    std::env::var("NEXTEST_TEST_NAME")
        .ok()
        .or_else(|| std::thread::current().name().map(str::to_owned))
        .unwrap_or_else(|| "test".into())
}

/// What the `skip!` macro does before it returns.
pub fn record_skip(reason: &str) {
    let case = CASE.with_borrow(|case| case.as_ref().map(|case| format!(" '{case}'"))).unwrap_or_default();
    let line = format!("SKIPPED {}{case}: {reason}\n", test_name());
    // Not by `eprintln!`, which the test runner captures.
    let _ = stderr().write_all(line.as_bytes());
    if let Some(path) = std::env::var_os("CONTAINERCTL_SKIPPED").map(PathBuf::from)
        && let Ok(mut list) = OpenOptions::new().create(true).append(true).open(path)
    {
        let _ = list.write_all(line.as_bytes());
    }
}

/// Why no host can be booted with the product in it, if so.
pub fn obstacle() -> Option<String> {
    if !nix::unistd::geteuid().is_root() {
        return Some("a host needs root".into());
    }
    match std::env::var_os("CONTAINERCTL_DESTDIR") {
        None => Some("CONTAINERCTL_DESTDIR names no installed tree: tests/run makes one".into()),
        Some(_) => None,
    }
}
