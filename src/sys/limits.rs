//! prlimit(2).

use nix::errno::Errno;
use nix::unistd::Pid;

/// Sets a resource limit (`RLIMIT_*`) of another process; `None` is no limit.
pub fn prlimit(pid: Pid, resource: u32, soft: Option<u64>, hard: Option<u64>) -> Result<(), Errno> {
    let value = |value: Option<u64>| value.unwrap_or(libc::RLIM64_INFINITY);
    let new = libc::rlimit64 { rlim_cur: value(soft), rlim_max: value(hard) };
    // SAFETY: the kernel reads one rlimit64; the old one is not asked for.
    let result = unsafe { libc::prlimit64(pid.as_raw(), resource, &raw const new, std::ptr::null_mut()) };
    Errno::result(result).map(drop)
}
