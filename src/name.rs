//! Checked names of machines, and the unit names that follow from them.

use std::fmt;

use crate::error::{Error, Result};

/// A machine name as machined accepts it (`hostname_is_valid()`, machined(8)): 1 to 64 characters of
/// `[A-Za-z0-9._-]`, no empty label, no label that begins or ends with a dash.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MachineName(String);

impl MachineName {
    /// Longest name that machined takes, which is the kernel's limit for host names.
    pub const MAX: usize = 64;

    /// Bytes that a file name of 255 bytes leaves beside `machine-`, `.slice` and the `.d` of the slice's drop-ins.
    const MAX_ESCAPED: usize = 255 - "machine-.slice.d".len();

    /// Checks `name`.
    pub fn new(name: &str) -> Result<MachineName> {
        let refused = |why: &str| {
            Err(Error::config(format!("'{}' is not a machine name: {why}", name.escape_debug()))
                .hint("use 1 to 64 letters, digits, '-', '_' and '.'"))
        };
        if name.is_empty() {
            return refused("it is empty");
        }
        if name.len() > Self::MAX {
            return refused("it is longer than 64 characters");
        }
        if let Some(c) = name.chars().find(|c| !c.is_ascii_alphanumeric() && !"-_.".contains(*c)) {
            return refused(&format!("'{}' is not allowed in it", c.escape_debug()));
        }
        // /run/containerctl holds definitions and run-time directories side by side.
        if name == "profiles" || [".conf", ".conf.d"].iter().any(|ending| name.ends_with(ending)) {
            return refused("its files would be taken for those of a definition");
        }
        if name.split('.').any(|label| label.is_empty() || label.starts_with('-') || label.ends_with('-')) {
            return refused("a part between dots is empty, or begins or ends with '-'");
        }
        if escape(name).len() > Self::MAX_ESCAPED {
            return refused("with its dashes escaped it is too long for a unit");
        }
        Ok(MachineName(name.to_string()))
    }

    /// The name as given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The unit an administrator starts: `container@p1.service`.
    pub fn service(&self) -> String {
        format!("container@{}.service", self.0)
    }

    /// The slice that carries the limits. A dash would nest it, so it is escaped: `machine-web\x2d1.slice`.
    pub fn slice(&self) -> String {
        format!("machine-{}.slice", escape(&self.0))
    }

    /// The delegated scope that holds the payload: `machine-p1.scope`, as machined itself would call it.
    pub fn scope(&self) -> String {
        format!("machine-{}.scope", escape(&self.0))
    }

    /// The machine whose unit is called `unit`, and which of its units that is.
    pub fn of_unit(unit: &str) -> Option<(MachineName, UnitOf)> {
        let service = unit.strip_prefix("container@").and_then(|rest| rest.strip_suffix(".service"));
        let scope = || unit.strip_prefix("machine-")?.strip_suffix(".scope").and_then(unescape);
        let found = service.map(|name| (name.to_string(), UnitOf::Service));
        let (name, kind) = found.or_else(|| Some((scope()?, UnitOf::Scope)))?;
        Some((MachineName::new(&name).ok()?, kind))
    }

    /// The unit that waits as long as those that start next are to wait: `container-delay@p1.service`.
    pub fn delay(&self) -> String {
        format!("container-delay@{}.service", self.0)
    }

    /// The unit that waits for the end of what no kill has ended: `container-reaper@p1.service`.
    pub fn reaper(&self) -> String {
        format!("container-reaper@{}.service", self.0)
    }

    /// The unit that machinectl asks for; the generator makes it an alias of [`Self::service`].
    pub fn nspawn_service(&self) -> String {
        format!("systemd-nspawn@{}.service", self.0)
    }
}

/// A unit of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnitOf {
    /// [`MachineName::service`].
    Service,
    /// [`MachineName::scope`].
    Scope,
}

impl fmt::Display for MachineName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for MachineName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for MachineName {
    type Err = Error;

    fn from_str(name: &str) -> Result<MachineName> {
        MachineName::new(name)
    }
}

/// FNV-1a, 64 bits: the same on every host and with every compiler, for what is to follow from a name for good.
pub(crate) fn fnv1a(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

/// Escapes for use inside a unit name, as systemd-escape(1) does.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for (i, byte) in text.bytes().enumerate() {
        match byte {
            b'/' => escaped.push('-'),
            b'.' if i == 0 => escaped.push_str("\\x2e"),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b':' | b'_' | b'.' => escaped.push(byte.into()),
            _ => escaped.push_str(&format!("\\x{byte:02x}")),
        }
    }
    escaped
}

/// The inverse of [`escape`], for names without a slash.
fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("\\x") {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        bytes.push(u8::from_str_radix(rest.get(at + 2..at + 4)?, 16).ok()?);
        rest = &rest[at + 4..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_known_by_its_units() {
        for name in ["p1", "web-1", "a.b", "A_b"] {
            let name = MachineName::new(name).expect("valid");
            assert_eq!(MachineName::of_unit(&name.service()), Some((name.clone(), UnitOf::Service)));
            assert_eq!(MachineName::of_unit(&name.scope()), Some((name.clone(), UnitOf::Scope)));
        }
        for unit in [
            "dbus.service",
            "machine-p1.slice",
            "container@.service",
            r"machine-a\x2.scope",
            r"machine-\xff.scope",
        ] {
            assert_eq!(MachineName::of_unit(unit), None, "{unit}");
        }
    }

    #[test]
    fn names_that_machined_takes_are_taken() {
        for name in ["p1", "web-1", "a.b", "A_b", &"x".repeat(64)] {
            assert!(MachineName::new(name).is_ok(), "{name}");
        }
    }

    #[test]
    fn names_that_could_become_paths_or_options_are_refused() {
        for name in [
            "",
            ".",
            "..",
            "a/b",
            "-x",
            "x-",
            "a..b",
            ".a",
            "a.",
            "a b",
            "a\nb",
            "ü",
            "@",
            "p1.conf",
            "p1.conf.d",
            "profiles",
            &"x".repeat(65),
        ] {
            let error = MachineName::new(name).expect_err(name);
            assert_eq!(error.kind(), crate::error::Kind::Config, "{name}");
        }
    }

    #[test]
    fn names_whose_slice_would_be_too_long_are_refused() {
        assert!(
            MachineName::new(&format!("a{}b", "-".repeat(59))).is_ok_and(|name| name.slice().len() <= 253)
        );
        assert!(MachineName::new(&format!("a{}b", "-".repeat(60))).is_err());
    }

    #[test]
    fn a_dash_does_not_nest_the_slice() {
        let name = MachineName::new("web-1").expect("valid");
        assert_eq!(name.slice(), "machine-web\\x2d1.slice");
        assert_eq!(name.scope(), "machine-web\\x2d1.scope");
        assert_eq!(name.service(), "container@web-1.service");
    }
}
