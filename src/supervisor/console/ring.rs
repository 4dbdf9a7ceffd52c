//! The scrollback: a ring in a memfd, so that it outlives the supervisor in the service manager's store and is
//! never part of its memory.
//!
//! Eight bytes count everything ever written; behind them lies the ring. A writer that dies half-way leaves the
//! old count, and so at worst a few old bytes that are new.

use std::os::fd::OwnedFd;

use rustix::fs::{FallocateFlags, MemfdFlags, fallocate, fstat, ftruncate, memfd_create};

use crate::error::{Context, Result};

/// Bytes before the ring.
const HEADER: u64 = 8;

/// A ring of bytes, the newest overwriting the oldest.
pub struct Ring {
    memfd: OwnedFd,
    size: u64,
    written: u64,
}

impl Ring {
    /// A new ring of `size` bytes.
    pub fn new(size: u64) -> Result<Ring> {
        let failed = || "failed to create the console buffer";
        let memfd = memfd_create("console", MemfdFlags::CLOEXEC).context(failed)?;
        let size = size.max(4096);
        ftruncate(&memfd, HEADER + size).context(failed)?;
        Ok(Ring { memfd, size, written: 0 })
    }

    /// Opens a ring that a previous supervisor stored.
    pub fn from_fd(memfd: OwnedFd) -> Result<Ring> {
        let failed = || "failed to take over the console buffer";
        let size = (fstat(&memfd).context(failed)?.st_size as u64).saturating_sub(HEADER).max(1);
        let mut count = [0; HEADER as usize];
        rustix::io::pread(&memfd, &mut count, 0).context(failed)?;
        Ok(Ring { memfd, size, written: u64::from_ne_bytes(count) })
    }

    /// Makes it larger or smaller, in the same memory; what still fits is kept. A crash in the midst of it costs the
    /// scrollback, nothing else.
    pub fn resize(&mut self, size: u64) -> Result<()> {
        let size = size.max(4096);
        if size == self.size {
            return Ok(());
        }
        let content = self.content();
        ftruncate(&self.memfd, HEADER + size).context(|| "failed to resize the console buffer")?;
        (self.size, self.written) = (size, 0);
        self.write(&content);
        Ok(())
    }

    /// The descriptor, to be kept.
    pub fn into_fd(self) -> OwnedFd {
        self.memfd
    }

    /// Appends; of more than fits, the end. A memfd write fails only without memory, and then scrollback is lost.
    pub fn write(&mut self, bytes: &[u8]) {
        let skipped = bytes.len().saturating_sub(self.size as usize);
        self.written += skipped as u64;
        let mut rest = &bytes[skipped..];
        while !rest.is_empty() {
            let at = self.written % self.size;
            let fits = rest.len().min((self.size - at) as usize);
            let _ = rustix::io::pwrite(&self.memfd, &rest[..fits], HEADER + at);
            self.written += fits as u64;
            rest = &rest[fits..];
        }
        let _ = rustix::io::pwrite(&self.memfd, &self.written.to_ne_bytes(), 0);
    }

    /// Forgets everything: the count first, then the memory, as what was printed may have been a secret.
    pub fn clear(&mut self) {
        self.written = 0;
        self.write(&[]);
        let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        let _ = fallocate(&self.memfd, hole, HEADER, self.size);
    }

    /// Everything that is still there, oldest first.
    pub fn content(&self) -> Vec<u8> {
        let kept = self.written.min(self.size);
        let start = (self.written - kept) % self.size;
        let mut content = self.read(start, kept.min(self.size - start));
        let wrapped = kept - content.len() as u64;
        content.extend(self.read(0, wrapped));
        content
    }

    fn read(&self, at: u64, count: u64) -> Vec<u8> {
        let mut bytes = vec![0; count as usize];
        let read = rustix::io::pread(&self.memfd, &mut bytes, HEADER + at).unwrap_or(0);
        bytes.truncate(read);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_ring_holds_the_end_of_all_that_was_written(
            writes in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..9000), 0..12),
        ) {
            let mut ring = Ring::new(4096).expect("ring");
            let mut all: Vec<u8> = Vec::new();
            for bytes in &writes {
                ring.write(bytes);
                all.extend(bytes);
            }
            let expected = &all[all.len().saturating_sub(4096)..];
            prop_assert_eq!(&ring.content(), expected);
            for size in [5000, 4096, 60_000] {
                ring.resize(size).expect("resized");
                prop_assert_eq!(&ring.content(), expected);
            }
            let again = Ring::from_fd(ring.memfd).expect("adopt");
            prop_assert_eq!(&again.content(), expected);
        }
    }

    #[test]
    fn a_cleared_ring_is_empty_for_a_successor_too_and_goes_on() {
        let mut ring = Ring::new(4096).expect("ring");
        ring.write(&[b'x'; 6000]);
        ring.clear();
        assert!(ring.content().is_empty());
        assert!(ring.read(0, 4096).iter().all(|byte| *byte == 0), "the bytes are still there");
        let mut again = Ring::from_fd(ring.into_fd()).expect("adopt");
        assert!(again.content().is_empty());
        again.write(b"new");
        assert_eq!(again.content(), b"new");
    }
}
