//! Warnings of library code about failures that it ignores. They are records of the `log` crate: our programs print them,
//! and in another program they go to its logger, if it has one.

use log::{LevelFilter, Log, Metadata, Record};

/// Prints warnings to standard error from here on. For programs of ours.
pub fn print() {
    if log::set_logger(&StandardError).is_ok() {
        log::set_max_level(LevelFilter::Warn);
    }
}

struct StandardError;

impl Log for StandardError {
    fn enabled(&self, metadata: &Metadata) -> bool {
        metadata.target().split("::").next() == Some(env!("CARGO_CRATE_NAME"))
    }

    fn log(&self, record: &Record) {
        if self.enabled(record.metadata()) {
            eprintln!("{}", record.args());
        }
    }

    fn flush(&self) {}
}
