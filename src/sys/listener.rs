//! The listener of a system call filter (seccomp_unotify(2)): taking the calls that it asks about, and answering them.
//!
//! A call that was taken and is not answered waits for ever, as long as anybody has the listener open: and the service
//! manager's store has it open, so that it outlives us. So calls are taken into a memfd that is kept there, too. The
//! kernel itself writes each down, in the same system call that takes it: whoever is killed at any moment has either not
//! taken it, or has left word of it.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::errno::Errno;
use rustix::fs::{MemfdFlags, fstat, ftruncate, memfd_create};

/// Calls that can be taken before the first of them is answered.
pub const SLOTS: usize = 32;
/// Bytes for each; today's kernel needs 80.
const SLOT: usize = 128;
/// Bytes of the memfd.
const LENGTH: usize = SLOTS * SLOT;

/// Sizes of the kernel's structures in bytes (`struct seccomp_notif_sizes`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// `struct seccomp_notif`, a call.
    pub call: u16,
    /// `struct seccomp_notif_resp`, an answer.
    pub answer: u16,
    /// `struct seccomp_data`, a part of the call.
    pub data: u16,
}

impl Sizes {
    /// Asks the kernel; EOPNOTSUPP if it can do none of this, or in structures that do not fit here.
    pub fn of_the_kernel() -> Result<Sizes, Errno> {
        // SAFETY: an all-zero value of this struct of numbers is valid.
        let mut sizes: libc::seccomp_notif_sizes = unsafe { std::mem::zeroed() };
        // SAFETY: the kernel writes to `sizes`, whose type is what it expects.
        let result =
            unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_GET_NOTIF_SIZES, 0, &raw mut sizes) };
        Errno::result(result)?;
        let sizes =
            Sizes { call: sizes.seccomp_notif, answer: sizes.seccomp_notif_resp, data: sizes.seccomp_data };
        let fits = |size: u16, least: usize| (least..=SLOT).contains(&usize::from(size));
        let known = fits(sizes.call, size_of::<libc::seccomp_notif>())
            && fits(sizes.answer, size_of::<libc::seccomp_notif_resp>());
        known.then_some(sizes).ok_or(Errno::EOPNOTSUPP)
    }
}

/// A call as the kernel told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call([u8; SLOT]);

impl Call {
    /// The kernel's id of the call; an answer carries the same id.
    pub fn id(&self) -> u64 {
        id(&self.0)
    }

    /// The thread that makes it, in the pid namespace of who took it; 0 if it is not seen from there.
    pub fn pid(&self) -> i32 {
        i32::from_ne_bytes([self.0[8], self.0[9], self.0[10], self.0[11]])
    }

    /// The whole `struct seccomp_notif`.
    pub fn bytes(&self, sizes: Sizes) -> &[u8] {
        &self.0[..usize::from(sizes.call).min(SLOT)]
    }
}

/// The number that a call or an answer begins with.
pub fn id(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |bytes| u64::from_ne_bytes(*bytes))
}

/// An answer to call `id`: it fails with `errno`.
pub fn failure(id: u64, errno: Errno, sizes: Sizes) -> Vec<u8> {
    let mut answer = [&id.to_ne_bytes()[..], &0i64.to_ne_bytes(), &(-(errno as i32)).to_ne_bytes()].concat();
    answer.resize(usize::from(sizes.answer), 0);
    answer
}

/// Answers a call; `answer` is a `struct seccomp_notif_resp`. ENOENT: nobody waits for it any more. EINPROGRESS: it was
/// answered. EINVAL: the kernel does not take such an answer.
pub fn answer(listener: impl AsFd, answer: &[u8]) -> Result<(), Errno> {
    if answer.len() < size_of::<libc::seccomp_notif_resp>() {
        return Err(Errno::EINVAL);
    }
    // The kernel's interface lets it write here; it does not.
    let mut answer = answer.to_vec();
    let raw = listener.as_fd().as_raw_fd();
    // SAFETY: the buffer has at least the bytes that this request is about.
    let result = unsafe { libc::ioctl(raw, libc::SECCOMP_IOCTL_NOTIF_SEND, answer.as_mut_ptr()) };
    Errno::result(result).map(drop)
}

/// Whether a call that was taken still waits for its answer.
pub fn is_waiting(listener: impl AsFd, id: u64) -> bool {
    let raw = listener.as_fd().as_raw_fd();
    // SAFETY: the kernel reads one number.
    unsafe { libc::ioctl(raw, libc::SECCOMP_IOCTL_NOTIF_ID_VALID, &raw const id) == 0 }
}

/// The calls that were taken and are not answered, in a memfd.
pub struct Calls {
    memfd: OwnedFd,
    mapping: Mapping,
}

impl Calls {
    /// None so far.
    pub fn new() -> std::io::Result<Calls> {
        let memfd = memfd_create("calls", MemfdFlags::CLOEXEC)?;
        ftruncate(&memfd, LENGTH as u64)?;
        Calls::from_fd(memfd)
    }

    /// Takes over the calls that a previous supervisor recorded.
    pub fn from_fd(memfd: OwnedFd) -> std::io::Result<Calls> {
        if fstat(&memfd)?.st_size < LENGTH as i64 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let mapping = Mapping::of(&memfd)?;
        Ok(Calls { memfd, mapping })
    }

    /// The memfd, to be kept.
    pub fn into_fd(self) -> OwnedFd {
        self.memfd
    }

    /// Takes the next call into a slot that is empty. ENOENT: who made it was interrupted meanwhile.
    ///
    /// Waits for a call where poll(2) has not said that there is one; only whoever else reads from the listener can
    /// take it away in between, and nobody is to.
    pub fn take(&self, listener: impl AsFd, slot: usize) -> Result<Call, Errno> {
        let place = self.mapping.slot(slot).ok_or(Errno::EINVAL)?;
        let raw = listener.as_fd().as_raw_fd();
        // SAFETY: the slot is mapped, and has more bytes than this request is about.
        Errno::result(unsafe { libc::ioctl(raw, libc::SECCOMP_IOCTL_NOTIF_RECV, place) })?;
        self.get(slot).ok_or(Errno::ENOENT)
    }

    /// The call in a slot; none if it is empty.
    pub fn get(&self, slot: usize) -> Option<Call> {
        let mut bytes = [0; SLOT];
        let read = rustix::io::pread(&self.memfd, &mut bytes, (slot * SLOT) as u64);
        (read == Ok(SLOT) && bytes.iter().any(|byte| *byte != 0)).then_some(Call(bytes))
    }

    /// Empties a slot, for its call is answered.
    pub fn clear(&self, slot: usize) {
        // A page of a memfd that was written to before can be written to again.
        let _ = rustix::io::pwrite(&self.memfd, &[0; SLOT], (slot * SLOT) as u64);
    }
}

/// The memfd's bytes.
struct Mapping(*mut libc::c_void);

impl Mapping {
    fn of(memfd: &OwnedFd) -> std::io::Result<Mapping> {
        let (both, fd) = (libc::PROT_READ | libc::PROT_WRITE, memfd.as_raw_fd());
        // SAFETY: new memory at no particular place.
        let place = unsafe { libc::mmap(std::ptr::null_mut(), LENGTH, both, libc::MAP_SHARED, fd, 0) };
        if place == libc::MAP_FAILED { Err(std::io::Error::last_os_error()) } else { Ok(Mapping(place)) }
    }

    /// The address of a slot. Only the kernel writes through it.
    fn slot(&self, slot: usize) -> Option<*mut libc::c_void> {
        // SAFETY: within the mapping.
        (slot < SLOTS).then(|| unsafe { self.0.byte_add(slot * SLOT) })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped by us, and nobody has a pointer into it any more.
        unsafe { libc::munmap(self.0, LENGTH) };
    }
}
