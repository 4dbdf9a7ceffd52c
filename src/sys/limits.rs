//! prlimit(2). rustix sets limits of other processes, but does not read them; both are here.

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

/// Gives one process the resource limits of another. One that we may not raise is raised as far as we may.
pub fn copy(from: Pid, to: Pid) -> Result<(), Errno> {
    for resource in 0..RESOURCES {
        let wanted = limit(from, resource)?;
        let (soft, hard) = (Some(wanted.rlim_cur), Some(wanted.rlim_max));
        if prlimit(to, resource, soft, hard).is_err() {
            let most = limit(to, resource)?.rlim_max;
            let (soft, hard) = (wanted.rlim_cur.min(most), wanted.rlim_max.min(most));
            prlimit(to, resource, Some(soft), Some(hard))?;
        }
    }
    Ok(())
}

/// The number of resource limits (`RLIM_NLIMITS`).
const RESOURCES: u32 = 16;

fn limit(pid: Pid, resource: u32) -> Result<libc::rlimit64, Errno> {
    let mut limit = libc::rlimit64 { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel writes one rlimit64; no new one is given.
    let result = unsafe { libc::prlimit64(pid.as_raw(), resource, std::ptr::null(), &raw mut limit) };
    Errno::result(result).map(|_| limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_gets_the_limits_of_another_process() {
        let mut child = std::process::Command::new("sleep").arg("100").spawn().expect("child");
        let (us, pid) = (Pid::from_raw(std::process::id() as i32), Pid::from_raw(child.id() as i32));
        let core = limit(us, libc::RLIMIT_CORE).expect("limit");
        prlimit(pid, libc::RLIMIT_CORE, Some(0), Some(core.rlim_max)).expect("lowered");
        copy(us, pid).expect("copied");
        assert_eq!(limit(pid, libc::RLIMIT_CORE).expect("limit").rlim_cur, core.rlim_cur);
        child.kill().and_then(|()| child.wait()).expect("ended");
    }
}
