//! The template `debian`: a minimal system with systemd, by mmdebstrap, or debootstrap where that is all there is.

use std::path::Path;
use std::process::Command;

use super::tool;
use crate::cancellation::Cancellation;
use crate::error::{Error, Kind, Result};
use crate::name::MachineName;
use crate::progress::{Amount, Listener};
use crate::storage::tree::Tree;

/// Packages that a container needs to boot and for logins.
const PACKAGES: [&str; 4] = ["systemd", "systemd-sysv", "dbus", "libpam-systemd"];

/// Choices of the template `debian`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Debian {
    /// `--release`, a suite such as `trixie`.
    pub release: String,
    /// `--mirror`; the tool's own choice otherwise.
    pub mirror: Option<String>,
    /// `--packages`, beyond the least that boots.
    pub packages: Vec<String>,
}

/// Builds the tree at `rootfs`.
pub fn build(
    debian: &Debian,
    name: &MachineName,
    rootfs: &Path,
    cancellation: &Cancellation,
    listener: &Listener,
) -> Result<()> {
    debian.check()?;
    let mut command = debian.command(rootfs)?;
    let what = format!("'{}' failed", command.get_program().to_string_lossy());
    let work = format!("building '{name}'");
    tool::execute(&mut command, &what, cancellation, |line| listener.report(&work, Amount::Unknown, line))?;
    // Empty, so that the first boot makes the id, and takes the one that the host gives (machine-id(5)).
    Tree::open(rootfs)?.replace_file("/etc/machine-id", 0o444, "")
}

impl Debian {
    /// Refuses values that look like an option, since they become arguments of a program.
    fn check(&self) -> Result<()> {
        let refused = |what: &str, value: &str| Err(Error::config(format!("'{value}' is not a {what}")));
        if !is_word(&self.release) {
            return refused("Debian release", &self.release);
        }
        if let Some(package) = self.packages.iter().find(|package| !is_word(package)) {
            return refused("package name", package);
        }
        match &self.mirror {
            Some(mirror) if !is_mirror(mirror) => {
                refused("mirror: an http, https, file or copy URL, or a line of sources.list(5)", mirror)
            }
            _ => Ok(()),
        }
    }

    fn command(&self, rootfs: &Path) -> Result<Command> {
        let include = format!("--include={}", self.include());
        let mut command = if has("mmdebstrap") {
            let mut command = Command::new("mmdebstrap");
            command.args(["--mode=root", "--format=directory", "--variant=minbase"]);
            command
        } else if has("debootstrap") {
            let mut command = Command::new("debootstrap");
            command.arg("--variant=minbase");
            command
        } else {
            return Err(Error::new(Kind::Unsupported, "the host has neither mmdebstrap nor debootstrap")
                .hint("install the package mmdebstrap"));
        };
        command.arg(include).arg(&self.release).arg(rootfs).args(&self.mirror);
        command.stdin(std::process::Stdio::null()).env("DEBIAN_FRONTEND", "noninteractive");
        Ok(command)
    }

    fn include(&self) -> String {
        let all: Vec<&str> = PACKAGES.into_iter().chain(self.packages.iter().map(String::as_str)).collect();
        all.join(",")
    }
}

fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "+-.~:".contains(c))
}

/// Whether mmdebstrap(1) takes it as a mirror: a URL, or a whole line `deb [OPTIONS] URL SUITE COMPONENT…`.
fn is_mirror(text: &str) -> bool {
    let url = ["http://", "https://", "file:///", "copy:/"].iter().any(|scheme| text.starts_with(scheme));
    let graphic = |c: char| c.is_ascii_graphic();
    url && text.chars().all(graphic)
        || text.starts_with("deb ") && text.chars().all(|c| c == ' ' || graphic(c))
}

fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn debian(release: &str, mirror: Option<&str>, package: &str) -> Debian {
        Debian { release: release.into(), mirror: mirror.map(String::from), packages: vec![package.into()] }
    }

    #[test]
    fn nothing_typed_can_become_an_option() {
        assert!(debian("trixie", Some("http://deb.debian.org/debian"), "g++").check().is_ok());
        for wrong in [
            debian("-x", None, "vim"),
            debian("trixie", Some("--hook=x"), "vim"),
            debian("trixie", Some("http://a b"), "vim"),
            debian("trixie", None, "--x"),
            debian("trixie", None, "a,b"),
            debian("", None, "vim"),
        ] {
            assert_eq!(wrong.check().unwrap_err().kind(), Kind::Config, "{wrong:?}");
        }
    }
}
