//! pidfd ioctls: namespaces and the exit status of a process that is not our
//! child (linux/pidfd.h).

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};

/// The time that the parent of an ended process has to wait for it.
const REAP_LIMIT: Duration = Duration::from_secs(1);

/// The exit status of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// exit(2) with this status.
    Code(i32),
    /// Killed by this signal.
    Signal(i32),
    /// It ended, and nobody can say how.
    Unknown,
}

impl Exit {
    /// Decodes a wait(2) status.
    fn from_wait(status: i32) -> Exit {
        match (libc::WIFEXITED(status), libc::WIFSIGNALED(status)) {
            (true, _) => Exit::Code(libc::WEXITSTATUS(status)),
            (_, true) => Exit::Signal(libc::WTERMSIG(status)),
            _ => Exit::Unknown,
        }
    }
}

/// The user namespace of the process (`PIDFD_GET_USER_NAMESPACE`, Linux 6.11).
pub fn user_namespace(pidfd: impl AsFd) -> Result<OwnedFd, Errno> {
    namespace(pidfd, libc::PIDFD_GET_USER_NAMESPACE)
}

/// The network namespace of the process (`PIDFD_GET_NET_NAMESPACE`, Linux 6.11).
pub fn network_namespace(pidfd: impl AsFd) -> Result<OwnedFd, Errno> {
    namespace(pidfd, libc::PIDFD_GET_NET_NAMESPACE)
}

fn namespace(pidfd: impl AsFd, request: libc::Ioctl) -> Result<OwnedFd, Errno> {
    // SAFETY: these ioctls take no argument and return a new descriptor.
    let fd = unsafe { libc::ioctl(pidfd.as_fd().as_raw_fd(), request, 0) };
    // SAFETY: the descriptor is new and nobody else's.
    Errno::result(fd).map(|fd| unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Joins the namespaces of the process that `flags` (`CLONE_NEW*`) names, all or none (setns(2)).
pub fn setns(pidfd: BorrowedFd, flags: libc::c_int) -> Result<(), Errno> {
    // SAFETY: no memory is passed.
    Errno::result(unsafe { libc::setns(pidfd.as_raw_fd(), flags) }).map(drop)
}

/// Takes the exit status of an ended process: by wait(2) where it is our child; where it was adopted, from its
/// last trace in /proc, or by `PIDFD_INFO_EXIT` (Linux 6.15). [`Exit::Unknown`] where the kernel does not tell.
pub fn exit_status(pidfd: impl AsFd) -> Exit {
    let pidfd = pidfd.as_fd();
    childs_status(pidfd).or_else(|| zombie_status(pidfd)).unwrap_or_else(|| reaped_status(pidfd))
}

/// Takes the exit status of a child of ours; none if it has not ended, or if somebody traces it who is told first.
pub fn childs_status(pidfd: impl AsFd) -> Option<Exit> {
    match waitid(Id::PIDFd(pidfd.as_fd()), WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG) {
        Ok(WaitStatus::Exited(_, code)) => Some(Exit::Code(code)),
        Ok(WaitStatus::Signaled(_, signal, _)) => Some(Exit::Signal(signal as i32)),
        _ => None,
    }
}

/// The status of a process that has ended and that its parent has not waited for (proc_pid_stat(5), field 52).
/// Here, as in wait(2), the end by reboot(2) is told from a kill; whoever wants to see it must be quick.
fn zombie_status(pidfd: BorrowedFd) -> Option<Exit> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid(pidfd)?)).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split_whitespace().collect();
    // The command before it may hold anything, so these are counted from the state, which is field 3.
    let (state, status) = (fields.first()?, fields.get(49)?.parse().ok()?);
    (*state == "Z").then(|| Exit::from_wait(status))
}

/// The kernel tells of a process that is not our child only once its parent has waited for it: a moment after we
/// hear of its end, and not at all if the parent does not care.
fn reaped_status(pidfd: BorrowedFd) -> Exit {
    let began = Instant::now();
    loop {
        let told = info(pidfd, libc::PIDFD_INFO_EXIT as u64);
        if let Ok(info) = told
            && info.mask & libc::PIDFD_INFO_EXIT as u64 != 0
        {
            return match Exit::from_wait(info.exit_code) {
                // Of an end by reboot(2) this shows the kill by which the kernel brings it about.
                Exit::Signal(libc::SIGKILL) => Exit::Unknown,
                exit => exit,
            };
        }
        if told.is_err() || began.elapsed() > REAP_LIMIT {
            return Exit::Unknown;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The number of the process in our pid namespace (`PIDFD_GET_INFO`, Linux 6.13, else the descriptor's fdinfo).
pub fn pid(pidfd: impl AsFd) -> Option<i32> {
    let pidfd = pidfd.as_fd();
    if let Ok(info) = info(pidfd, libc::PIDFD_INFO_PID as u64) {
        return i32::try_from(info.pid).ok().filter(|pid| *pid > 0);
    }
    let fdinfo = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd())).ok()?;
    let line = fdinfo.lines().find_map(|line| line.strip_prefix("Pid:"))?;
    line.trim().parse().ok().filter(|pid| *pid > 0)
}

fn info(pidfd: BorrowedFd, mask: u64) -> Result<libc::pidfd_info, Errno> {
    // SAFETY: an all-zero pidfd_info is valid.
    let mut info: libc::pidfd_info = unsafe { std::mem::zeroed() };
    info.mask = mask;
    // SAFETY: the kernel writes at most the size that the request number carries.
    let result = unsafe { libc::ioctl(pidfd.as_raw_fd(), libc::PIDFD_GET_INFO, &raw mut info) };
    Errno::result(result).map(|_| info)
}
