//! The program `containerctl-worker` and its helpers: pieces of work that need a process of their own, since they clone,
//! change namespaces or drop rights, which a program with threads must not do.
//!
//! The first argument names the helper. The name is to be changed together with the format of its input, so that a service
//! that has outlived an upgrade gets an error instead of a misunderstanding.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use super::sealed;
use crate::error::{Context, Error, Kind, Result};
use crate::paths::Root;

/// A helper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Helper {
    /// Audits a container: `audit ROOT NAME`. The rows are written to standard output, in JSON.
    Audit,
    /// Makes a call of the bus: `call`. The call comes from standard input, a socket, and the answer goes there.
    Call,
    /// Unpacks an archive: `unpack WORK`. The archive is standard input.
    Unpack,
}

impl Helper {
    /// All of them, with their names.
    const TABLE: [(Helper, &str); 3] =
        [(Helper::Audit, "audit"), (Helper::Call, "call"), (Helper::Unpack, "unpack")];

    /// The helper called `name`.
    pub fn of(name: &str) -> Option<Helper> {
        Helper::TABLE.into_iter().find(|(_, known)| *known == name).map(|(helper, _)| helper)
    }

    /// The name of the helper.
    pub fn name(self) -> &'static str {
        Helper::TABLE.into_iter().find(|(helper, _)| *helper == self).map_or("", |(_, name)| name)
    }

    /// The command that runs it.
    pub fn command(self, root: &Root) -> Command {
        let mut command = Command::new(root.worker_program());
        command.arg(self.name());
        command
    }

    /// Runs it to its end, and returns its standard output. A failure has the kind of its exit status, and the message
    /// that it wrote to standard error.
    pub fn output(self, root: &Root, arguments: &[&OsStr], program: Program) -> Result<Vec<u8>> {
        let failed = || format!("failed to run '{}'", root.worker_program().display());
        let copy = match program {
            Program::Installed => None,
            Program::Sealed => Some(sealed::copy(&root.worker_program())?),
        };
        let mut command = self.program_command(root, copy.as_ref());
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let output = command.output().context(failed)?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let message = String::from_utf8_lossy(&output.stderr).trim().to_string();
        let kind = output
            .status
            .code()
            .and_then(|code| u64::try_from(code).ok())
            .map_or(Kind::Failed, Kind::of_exit_code);
        match message.is_empty() {
            true => Err(Error::failed(format!("{}: {}", failed(), output.status))),
            false => Err(Error::new(kind, message)),
        }
    }

    /// The command, executing `copy` in the place of the installed program. The copy is close-on-exec, and is executed
    /// before that closes it.
    fn program_command(self, root: &Root, copy: Option<&File>) -> Command {
        let Some(copy) = copy else { return self.command(root) };
        let mut command = Command::new(format!("/proc/self/fd/{}", copy.as_raw_fd()));
        command.arg0("containerctl-worker").arg(self.name()).env_clear();
        command
    }
}

/// The file from which a helper is executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// The installed program.
    Installed,
    /// A sealed copy, without an environment: for work in a container whose root may write to files of the host's root.
    Sealed,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_helper_is_found_by_its_name() {
        for (helper, name) in Helper::TABLE {
            assert_eq!((Helper::of(name), helper.name()), (Some(helper), name));
        }
        assert_eq!(Helper::of("nosuch"), None);
    }
}
