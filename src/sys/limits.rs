//! prlimit(2).

use nix::errno::Errno;
use nix::unistd::Pid;

use crate::config::settings::ResourceLimit;

/// Sets a resource limit of another process.
pub fn prlimit(pid: Pid, limit: &ResourceLimit) -> Result<(), Errno> {
    let value = |value: Option<u64>| value.unwrap_or(libc::RLIM64_INFINITY);
    let new = libc::rlimit64 { rlim_cur: value(limit.soft), rlim_max: value(limit.hard) };
    // SAFETY: the kernel reads one rlimit64; the old one is not asked for.
    let result =
        unsafe { libc::prlimit64(pid.as_raw(), limit.resource, &raw const new, std::ptr::null_mut()) };
    Errno::result(result).map(drop)
}
