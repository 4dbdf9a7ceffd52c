//! Executing our own program from a copy that nobody can write to.
//!
//! A container's first process is cloned from us, and until it executes something else its `/proc/PID/exe` is our
//! program. An init that begins with `#!/proc/self/exe` keeps it so. Inside, root of the host's ids could wait until
//! nobody runs that file, and write to it (CVE-2019-5736); to a sealed memfd nobody can.

use std::ffi::OsString;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;

use rustix::fs::{MemfdFlags, SealFlags};

use crate::error::{Context, Error, Result};
use crate::sys::exec::StringList;

/// All that can be sealed.
const SEALS: SealFlags =
    SealFlags::SEAL.union(SealFlags::SHRINK).union(SealFlags::GROW).union(SealFlags::WRITE);
/// The running program, by whatever path it was executed.
const OURSELVES: &str = "/proc/self/exe";

/// Whether the program that we run is sealed.
pub fn is_sealed() -> bool {
    let seals = File::open(OURSELVES).ok().and_then(|file| rustix::fs::fcntl_get_seals(&file).ok());
    seals.is_some_and(|seals| seals.contains(SEALS))
}

/// Executes a sealed copy of our program in our place; returns only why it could not.
fn execute(arguments: &StringList, environment: &StringList) -> Error {
    match copy(Path::new(OURSELVES)) {
        Ok(program) => Error::failed(format!(
            "failed to execute a sealed copy of our program: {}",
            crate::sys::exec::fexecve(program.as_raw_fd(), arguments, environment).desc()
        )),
        Err(error) => error,
    }
}

/// The same with the arguments that we have, and these variables.
pub fn execute_ourselves(variables: impl Iterator<Item = (OsString, OsString)>) -> Error {
    let variables = variables.map(|(key, value)| [key, value].join("=".as_ref()));
    match (StringList::of(std::env::args_os()), StringList::of(variables)) {
        (Ok(arguments), Ok(variables)) => execute(&arguments, &variables),
        (Err(error), _) | (_, Err(error)) => error,
    }
}

/// Copies `program` into memory, and seals the copy.
pub fn copy(program: &Path) -> Result<File> {
    let failed = || format!("failed to make a sealed copy of '{}'", program.display());
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING | MemfdFlags::EXEC;
    let memfd = rustix::fs::memfd_create("containerctl", flags).context(failed)?;
    let mut copy = File::from(memfd);
    let mut program = File::open(program).context(failed)?;
    std::io::copy(&mut program, &mut copy).context(failed)?;
    rustix::fs::fcntl_add_seals(copy.as_fd(), SEALS).context(failed)?;
    Ok(copy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_cannot_be_written() {
        assert!(!is_sealed());
        let copy = copy(Path::new(OURSELVES)).expect("copied");
        let again = File::options().write(true).open(format!("/proc/self/fd/{}", copy.as_raw_fd()));
        let written = again.and_then(|mut again| std::io::Write::write_all(&mut again, b"x"));
        assert!(written.is_err());
        let original = File::open(OURSELVES).expect("open").metadata().expect("stat").len();
        assert_eq!(copy.metadata().expect("stat").len(), original);
    }
}
