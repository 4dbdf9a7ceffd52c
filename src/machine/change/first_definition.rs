//! The definition that create writes: as short as it can be, the administrator's from then on.

use std::fs::{DirBuilder, File};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;

use crate::error::{Context, Error, Kind, Result};
use crate::name::MachineName;
use crate::paths::Root;

/// The text; `command` runs in place of an init unless it is empty.
pub fn text(root_directory: Option<&Path>, command: &[String]) -> Result<String> {
    let mut text =
        String::from("# Written by 'containerctl create', yours to edit: see containerctl.conf(5).\n");
    // Without a command nothing is said of one: booting is the default, and an image may know better.
    if !command.is_empty() {
        let words: Result<Vec<String>> = command.iter().map(|word| quote(word)).collect();
        text.push_str(&format!("[Exec]\nBoot=no\nParameters={}\n", words?.join(" ")));
    }
    if let Some(path) = root_directory {
        text.push_str(&format!("\n[Files]\nRootDirectory={}\n", path.display()));
    }
    Ok(text)
}

/// One word of a value, in double quotes where it must be (systemd.syntax(7)).
fn quote(word: &str) -> Result<String> {
    if word.contains(char::is_control) {
        return Err(Error::config(format!("'{}' cannot stand in a definition", word.escape_debug()))
            .hint("put the command into a script"));
    }
    let is_plain = |c: char| c.is_alphanumeric() || "-_./:=,+@".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return Ok(word.to_string());
    }
    Ok(format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\"")))
}

/// Writes the definition of `name`: all of it, on disk, and never over one that is there.
pub fn write(root: &Root, name: &MachineName, text: &str) -> Result<()> {
    let path = root.definition(name);
    let failed = || format!("failed to write '{}'", path.display());
    let directory = root.path("/etc/containerctl");
    DirBuilder::new().recursive(true).mode(0o755).create(&directory).context(failed)?;
    // Without a name until it is whole, so that a crash leaves nothing.
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    let file = rustix::fs::open(&directory, flags, Mode::from_raw_mode(0o640)).context(failed)?;
    let mut file = File::from(file);
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).context(failed)?;
    let nameless = format!("/proc/self/fd/{}", file.as_raw_fd());
    match rustix::fs::linkat(CWD, nameless, CWD, &path, AtFlags::SYMLINK_FOLLOW) {
        Err(Errno::EXIST) => {
            return Err(Error::new(Kind::Busy, format!("'{}' exists already", path.display()))
                .hint("choose another name, or destroy the one that has it"));
        }
        result => result.context(failed)?,
    }
    File::open(&directory).and_then(|directory| directory.sync_all()).context(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::at(dir.path());
        let name = MachineName::new("p1").unwrap();
        let command = ["/bin/sh", "-c", "echo \"a\\b\" $x %n 'y' ;#", "", "ü", "end\\"].map(String::from);
        let path = Path::new("/srv/a b/%p/p1");
        write(&root, &name, &text(Some(path), &command).unwrap()).unwrap();
        let settings = crate::config::load(&root, &name).unwrap().settings;
        assert!(!settings.exec.boot);
        assert_eq!(settings.exec.parameters, command);
        assert_eq!(settings.files.root_directory.as_deref(), Some(path));
        assert!(text(None, &["a\nBoot=yes".to_string()]).is_err());
    }

    #[test]
    fn a_definition_is_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::at(dir.path());
        let name = MachineName::new("p1").unwrap();
        write(&root, &name, "one").unwrap();
        assert_eq!(write(&root, &name, "two").unwrap_err().kind(), Kind::Busy);
        assert_eq!(std::fs::read_to_string(root.definition(&name)).unwrap(), "one");
        assert_eq!(std::fs::read_dir(root.path("/etc/containerctl")).unwrap().count(), 1);
    }
}
