//! seccomp(2): loading a filter that was built before.

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

/// Loads `program` for the calling thread; needs no-new-privs or CAP_SYS_ADMIN in its user namespace.
pub fn load(program: &[Instruction]) -> Result<(), Errno> {
    let Ok(len) = u16::try_from(program.len()) else { return Err(Errno::EINVAL) };
    let prog = libc::sock_fprog { len, filter: program.as_ptr().cast_mut() };
    // SAFETY: the kernel only reads `prog` and the `len` instructions behind it.
    let result =
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const prog) };
    Errno::result(result).map(drop)
}
