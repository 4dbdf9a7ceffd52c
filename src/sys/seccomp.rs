//! seccomp(2): loading a filter that was built before.

use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;

/// One instruction of classic BPF, as the kernel lays it out (linux/filter.h).
pub type Instruction = libc::sock_filter;

/// Reads instructions from the bytes that libseccomp exported.
pub fn program(bytes: &[u8]) -> Vec<Instruction> {
    bytes
        .chunks_exact(size_of::<Instruction>())
        .map(|chunk| Instruction {
            code: u16::from_ne_bytes([chunk[0], chunk[1]]),
            jt: chunk[2],
            jf: chunk[3],
            k: u32::from_ne_bytes([chunk[4], chunk[5], chunk[6], chunk[7]]),
        })
        .collect()
}

/// An instruction as one number, to be written down.
pub fn to_word(instruction: &Instruction) -> u64 {
    let Instruction { code, jt, jf, k } = *instruction;
    u64::from(code) << 48 | u64::from(jt) << 40 | u64::from(jf) << 32 | u64::from(k)
}

/// The inverse of [`to_word`].
pub fn from_word(word: u64) -> Instruction {
    Instruction { code: (word >> 48) as u16, jt: (word >> 40) as u8, jf: (word >> 32) as u8, k: word as u32 }
}

/// Whether a filter comes with a descriptor on which it asks about calls (seccomp_unotify(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listening {
    /// It does not. Where it would ask, calls give ENOSYS.
    No,
    /// It does.
    Yes,
}

/// A program to load.
#[derive(Clone, Debug)]
pub struct Filter {
    /// The BPF instructions.
    pub program: Vec<Instruction>,
    /// Whether somebody outside is asked about some calls.
    pub listening: Listening,
}

/// To be loaded in this order; the kernel takes the strictest answer of all. One of them may listen, as the kernel has
/// no second listener for a process.
pub type Filters = Vec<Filter>;

/// Loads `program` for the calling thread; needs no-new-privs or CAP_SYS_ADMIN in its user namespace. The result is
/// the listener, close-on-exec, where there is to be one.
///
/// Once a call was received from the listener, only a fatal signal interrupts it: any other would have it made twice.
pub fn load(program: &[Instruction], listening: Listening) -> Result<Option<OwnedFd>, Errno> {
    let Ok(len) = u16::try_from(program.len()) else { return Err(Errno::EINVAL) };
    let prog = libc::sock_fprog { len, filter: program.as_ptr().cast_mut() };
    let flags = match listening {
        Listening::No => 0,
        Listening::Yes => {
            libc::SECCOMP_FILTER_FLAG_NEW_LISTENER | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
        }
    };
    // SAFETY: the kernel only reads `prog` and the `len` instructions behind it.
    let result =
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const prog) };
    let fd = Errno::result(result)?;
    match listening {
        Listening::No => Ok(None),
        // SAFETY: the kernel has just made this descriptor for us alone.
        Listening::Yes => Ok(Some(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })),
    }
}
