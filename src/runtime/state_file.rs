//! The [`State`] in a memfd, which the service manager's store keeps exactly as long as the payload's descriptors.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{MemfdFlags, fstat, memfd_create};

use crate::error::{Context, Result};
use crate::runtime::state::State;

/// The largest state that is read: the root's path may have 4096 bytes, is there twice, and escaped once.
const READ_LIMIT: usize = 64 * 1024;

/// The state as it is kept in the store.
pub struct StateFile(OwnedFd);

impl StateFile {
    /// A new, empty one.
    pub fn new() -> Result<StateFile> {
        let fd = memfd_create("state", MemfdFlags::CLOEXEC).context(|| "failed to create the state memfd")?;
        Ok(StateFile(fd))
    }

    /// Opens a state that a previous supervisor stored.
    pub fn from_fd(fd: OwnedFd) -> StateFile {
        StateFile(fd)
    }

    /// Writes the whole state in one call, over all of the old one: whoever is killed beside it leaves one or the
    /// other, and no end of the old behind the new.
    pub fn write(&self, state: &State) -> Result<()> {
        StateFile::write_to(&self.0, state)
    }

    /// The same to a descriptor that is kept.
    pub fn write_to(fd: impl AsFd, state: &State) -> Result<()> {
        let failed = || "failed to write the state memfd";
        let old = fstat(&fd).context(failed)?.st_size as usize;
        let mut text = state.to_text()?.into_bytes();
        text.resize(text.len().max(old), b'\n');
        rustix::io::pwrite(fd, &text, 0).context(failed).map(drop)
    }

    /// Reads the state in a descriptor that was kept.
    pub fn read_from(fd: impl AsFd) -> Result<State> {
        let failed = || "failed to read the state memfd";
        let size = usize::try_from(fstat(&fd).context(failed)?.st_size).unwrap_or_default();
        let mut bytes = vec![0; size.min(READ_LIMIT)];
        let read = rustix::io::pread(fd, &mut bytes, 0).context(failed)?;
        State::parse(&String::from_utf8_lossy(&bytes[..read]))
    }

    /// The descriptor.
    pub fn fd(&self) -> &OwnedFd {
        &self.0
    }

    /// The descriptor, to be kept.
    pub fn into_fd(self) -> OwnedFd {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::state::tests::sample;

    #[test]
    fn a_state_survives_its_memfd() {
        let file = StateFile::new().expect("memfd");
        file.write(&State { shutdown: "x".repeat(100), ..sample() }).expect("write");
        file.write(&sample()).expect("write shorter");
        assert_eq!(StateFile::read_from(file.fd()).expect("read"), sample());
    }

    #[test]
    fn a_long_path_hides_nothing_that_comes_after_it() {
        let file = StateFile::new().expect("memfd");
        let state = State { root: format!("/{}", "x".repeat(4095)), ..sample() };
        file.write(&state).expect("write");
        assert_eq!(StateFile::read_from(file.fd()).expect("read"), state);
    }
}
