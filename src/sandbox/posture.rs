//! The promised confinement of a container, as a list of checks that can be made inside one. Pure.

use serde::Serialize;

use crate::sandbox::layout::{MASKED, READ_ONLY};

/// One thing to try inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// Read the file, or list the directory.
    Read(&'static str),
    /// Look whether what lies there is mounted read-only.
    Write(&'static str),
    /// Take away a mount.
    Unmount(&'static str),
    /// Make a read-only mount writable.
    Remount(&'static str),
    /// Mount a new instance of a file system.
    Fresh(&'static str),
    /// Make a block device.
    MakeDevice,
    /// Make a new user namespace.
    UserNamespace,
    /// Call the kernel by this number, with arguments that mean nothing.
    Call(i64),
    /// Make a socket of this family, type and protocol.
    Socket(i32, i32, i32),
    /// Forge input on a terminal by this ioctl.
    Forge(u64),
    /// Own what was made here for the container, which belongs to nobody otherwise.
    Own(&'static str),
}

/// The outcome of a probe, found or promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Finding {
    /// It can be done.
    Allowed,
    /// It cannot.
    Refused,
    /// There is nothing there to try it on, or the kernel says that it does not know the call.
    Absent,
}

/// A check: what is tried, and what is promised to come of it.
#[derive(Clone, Debug)]
pub struct Check {
    /// In words.
    pub what: String,
    /// The attempt.
    pub probe: Probe,
    /// The promised outcome; an absent object is accepted, too.
    pub promised: Finding,
}

/// Sockets that are allowed: UNIX, INET, INET6, NETLINK, PACKET.
const FAMILIES: [(&str, i32); 5] = [("unix", 1), ("inet", 2), ("inet6", 10), ("netlink", 16), ("packet", 17)];
/// Sockets that are not, among those that have been somebody's way out.
const CLOSED_FAMILIES: [(&str, i32); 8] = [
    ("appletalk", 5),
    ("key", 15),
    ("rds", 21),
    ("can", 29),
    ("tipc", 30),
    ("alg", 38),
    ("vsock", 40),
    ("xdp", 44),
];
/// System calls that are refused, by the number that they have here.
const CLOSED_CALLS: [(&str, i64); 12] = [
    ("bpf", libc::SYS_bpf),
    ("perf_event_open", libc::SYS_perf_event_open),
    ("userfaultfd", libc::SYS_userfaultfd),
    ("kexec_load", libc::SYS_kexec_load),
    ("init_module", libc::SYS_init_module),
    ("delete_module", libc::SYS_delete_module),
    ("swapon", libc::SYS_swapon),
    ("acct", libc::SYS_acct),
    ("open_by_handle_at", libc::SYS_open_by_handle_at),
    ("fanotify_init", libc::SYS_fanotify_init),
    ("clock_settime", libc::SYS_clock_settime),
    ("syslog", libc::SYS_syslog),
];
/// System calls that do not seem to be there.
const ABSENT_CALLS: [(&str, i64); 7] = [
    ("keyctl", libc::SYS_keyctl),
    ("add_key", libc::SYS_add_key),
    ("request_key", libc::SYS_request_key),
    ("io_uring_setup", libc::SYS_io_uring_setup),
    ("fsopen", libc::SYS_fsopen),
    ("quotactl_fd", libc::SYS_quotactl_fd),
    ("a call of the future", 4000),
];
/// Calls that must be allowed, so that a filter that refuses everything does not pass.
const OPEN_CALLS: [(&str, i64); 3] =
    [("getpid", libc::SYS_getpid), ("sched_yield", libc::SYS_sched_yield), ("gettid", libc::SYS_gettid)];

/// Files and directories made for a container; they belong to its root.
const OWNED: [&str; 17] = [
    "/dev",
    "/dev/null",
    "/dev/console",
    "/dev/fd",
    "/dev/pts",
    "/dev/pts/ptmx",
    "/dev/shm",
    "/dev/mqueue",
    "/run",
    "/run/host",
    "/run/host/container-manager",
    "/run/host/container-uuid",
    "/run/host/os-release",
    "/run/host/notify",
    "/proc/sys/kernel/random/boot_id",
    "/sys/fs/cgroup",
    "/sys/fs/cgroup/.containerctl",
];

/// The checks of a container; `confined` by a user namespace of its own or not, with `Nesting=` or without.
pub fn checks(confined: bool, nesting: bool) -> Vec<Check> {
    let mut list = Vec::new();
    let mut check = |what: String, probe, promised| list.push(Check { what, probe, promised });
    for path in MASKED {
        check(format!("read {path}"), Probe::Read(path), Finding::Refused);
    }
    for path in ["/sys", "/proc/sys"].into_iter().chain(READ_ONLY) {
        check(format!("write below {path}"), Probe::Write(path), Finding::Refused);
    }
    // Only a user namespace locks mounts; without one the container's root is the host's.
    if confined {
        for path in ["/proc/sys", "/sys", "/proc/kallsyms"] {
            check(format!("unmount {path}"), Probe::Unmount(path), Finding::Refused);
        }
        for path in ["/proc/sys", "/sys"] {
            check(format!("remount {path} writable"), Probe::Remount(path), Finding::Refused);
        }
        let fresh = if nesting { Finding::Allowed } else { Finding::Refused };
        for filesystem in ["proc", "sysfs"] {
            check(format!("mount a fresh {filesystem}"), Probe::Fresh(filesystem), fresh);
        }
        check("make a block device".to_string(), Probe::MakeDevice, Finding::Refused);
    }
    check("make a user namespace".to_string(), Probe::UserNamespace, Finding::Allowed);
    for (name, call) in OPEN_CALLS {
        check(format!("call {name}"), Probe::Call(call), Finding::Allowed);
    }
    for (name, call) in CLOSED_CALLS {
        check(format!("call {name}"), Probe::Call(call), Finding::Refused);
    }
    for (name, call) in ABSENT_CALLS {
        check(format!("call {name}"), Probe::Call(call), Finding::Absent);
    }
    for (name, family) in FAMILIES {
        check(format!("open a socket: {name}"), Probe::Socket(family, libc::SOCK_DGRAM, 0), Finding::Allowed);
    }
    for (name, family) in CLOSED_FAMILIES {
        check(format!("open a socket: {name}"), Probe::Socket(family, libc::SOCK_DGRAM, 0), Finding::Refused);
    }
    check("open a socket: audit".to_string(), Probe::Socket(16, libc::SOCK_RAW, 9), Finding::Refused);
    for path in OWNED {
        check(format!("own {path}"), Probe::Own(path), Finding::Allowed);
    }
    for (name, request) in [("TIOCSTI", 0x5412), ("TIOCLINUX", 0x541c)] {
        check(format!("forge terminal input by {name}"), Probe::Forge(request), Finding::Refused);
    }
    list
}

/// Whether what was found is what was promised. Nothing to be had is as good as a refusal.
pub fn holds(promised: Finding, found: Finding) -> bool {
    promised == found || promised == Finding::Refused && found == Finding::Absent
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_may_turn_out_as_absence_and_nothing_else_may() {
        assert!(holds(Finding::Refused, Finding::Absent));
        assert!(!holds(Finding::Absent, Finding::Refused));
        assert!(!holds(Finding::Refused, Finding::Allowed));
        assert!(!holds(Finding::Allowed, Finding::Absent));
    }
}
