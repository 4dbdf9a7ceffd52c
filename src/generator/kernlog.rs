//! The generator's log: the kernel's buffer, since journald may not run yet (systemd.generator(7)).

use std::fs::{File, OpenOptions};
use std::io::Write;

/// The kernel refuses longer records (`PRINTKRB_RECORD_MAX`, less its own prefix).
const MAX_BYTES: usize = 900;

/// Facility `daemon` of syslog(3).
const FACILITY: u8 = 3 << 3;

/// `/dev/kmsg`, or standard error where that cannot be written.
pub struct Log(Option<File>);

impl Log {
    /// Opens the kernel's buffer.
    pub fn kernel() -> Log {
        Log(OpenOptions::new().write(true).open("/dev/kmsg").ok())
    }

    /// Standard error alone, for runs that are not systemd's.
    pub fn stderr() -> Log {
        Log(None)
    }

    /// Writes one message; there is nobody to tell of a failure.
    pub fn write(&self, level: log::Level, message: &str) {
        let kernel = self.0.as_ref().map(|mut kmsg| kmsg.write_all(record(level, message).as_bytes()));
        if !matches!(kernel, Some(Ok(()))) {
            writeln!(std::io::stderr(), "{}: {message}", level.as_str().to_ascii_lowercase()).ok();
        }
    }
}

/// One record: one line, one write.
fn record(level: log::Level, message: &str) -> String {
    let severity = match level {
        log::Level::Error => 3,
        log::Level::Warn => 4,
        log::Level::Info => 6,
        log::Level::Debug | log::Level::Trace => 7,
    };
    // Without control characters a message cannot forge a second record.
    let fitting = message.char_indices().take_while(|(at, _)| *at < MAX_BYTES);
    let message: String = fitting.map(|(_, c)| if c.is_control() { ' ' } else { c }).collect();
    format!("<{}>containerctl-generator[{}]: {message}\n", FACILITY | severity, std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_one_short_line_with_its_severity() {
        let text = record(log::Level::Warn, &format!("a\n{}", "ü".repeat(1000)));
        assert!(text.starts_with("<28>containerctl-generator["), "{text}");
        assert!(text.contains("]: a ü"));
        assert!(text.ends_with("ü\n") && text.len() < 1000);
    }
}
