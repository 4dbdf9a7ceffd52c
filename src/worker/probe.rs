//! The posture probe: tries, inside a container and with its rights, what a check names. Every try is made in a
//! process and a mount namespace that end with it.

use nix::errno::Errno;
use rustix::fs::{Mode, OFlags, StatVfsMountFlags};
use rustix::mount::{MountFlags, UnmountFlags};
use rustix::thread::UnshareFlags;

use crate::sandbox::posture::{Finding, Probe};
use crate::sys::{probe, tty};

/// The mount point of a fresh file system: any directory will do, as the mount namespace is the probe's own.
const MOUNT_POINT: &str = "/dev/shm";

/// The user and group that the kernel shows for those that a user namespace does not know (user_namespaces(7)).
const NOBODY: u32 = 65534;

/// Tries one thing.
pub fn run(what: Probe) -> Finding {
    match what {
        Probe::Read(path) => read(path),
        Probe::Write(path) => write(path),
        Probe::Unmount(path) => own_mounts(|| rustix::mount::unmount(path, UnmountFlags::DETACH)),
        Probe::Remount(path) => own_mounts(|| {
            rustix::mount::mount_remount(path, MountFlags::BIND | MountFlags::NOSUID | MountFlags::NODEV, "")
        }),
        Probe::Fresh(filesystem) => own_mounts(|| {
            rustix::mount::mount(filesystem, MOUNT_POINT, filesystem, MountFlags::empty(), None)
        }),
        Probe::MakeDevice => own_mounts(make_device),
        // SAFETY: the process has one thread, and a user namespace shares no memory or descriptors.
        Probe::UserNamespace => finding(unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWUSER) }),
        Probe::Call(number) => called(probe::call(number)),
        Probe::Socket(family, kind, protocol) => called(probe::socket(family, kind, protocol)),
        Probe::Forge(request) => forge(request),
        Probe::Own(path) => own(path),
    }
}

/// A file that gives nothing is as good as one that cannot be opened.
fn read(path: &str) -> Finding {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let fd = match rustix::fs::open(path, flags, Mode::empty()) {
        Err(rustix::io::Errno::NOENT) => return Finding::Absent,
        Err(_) => return Finding::Refused,
        Ok(fd) => fd,
    };
    let mut byte = [0];
    match rustix::io::read(&fd, &mut byte) {
        Ok(0) => Finding::Refused,
        Err(rustix::io::Errno::ISDIR) => list(&fd),
        Err(_) => Finding::Refused,
        Ok(_) => Finding::Allowed,
    }
}

/// Whether an object has an owner that the container knows; what is not there belongs to nobody, either way.
fn own(path: &str) -> Finding {
    match rustix::fs::lstat(path) {
        Ok(found) if found.st_uid == NOBODY || found.st_gid == NOBODY => Finding::Refused,
        _ => Finding::Allowed,
    }
}

fn list(dir: &impl std::os::fd::AsFd) -> Finding {
    let mut buffer = [std::mem::MaybeUninit::uninit(); 1024];
    let mut entries = rustix::fs::RawDir::new(dir, &mut buffer);
    while let Some(Ok(entry)) = entries.next() {
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            return Finding::Allowed;
        }
    }
    Finding::Refused
}

fn write(path: &str) -> Finding {
    match rustix::fs::statvfs(path) {
        Err(_) => Finding::Absent,
        Ok(stat) if stat.f_flag.contains(StatVfsMountFlags::RDONLY) => Finding::Refused,
        Ok(_) => Finding::Allowed,
    }
}

fn make_device() -> Result<(), rustix::io::Errno> {
    let device = rustix::fs::makedev(8, 0);
    rustix::fs::mknodat(
        rustix::fs::CWD,
        "/dev/shm/probe",
        rustix::fs::FileType::BlockDevice,
        Mode::RUSR,
        device,
    )?;
    rustix::fs::unlink("/dev/shm/probe")
}

/// Forges input on a terminal of the probe's own.
fn forge(request: u64) -> Finding {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let Ok(master) = rustix::fs::open("/dev/ptmx", flags, Mode::empty()) else { return Finding::Absent };
    match tty::unlock(&master).and_then(|()| tty::peer(&master)) {
        Ok(peer) => called(probe::tty_ioctl(peer, request)),
        Err(_) => Finding::Absent,
    }
}

/// Tries it in a copy of the container's mounts, in which what is locked stays locked.
fn own_mounts(attempt: impl FnOnce() -> Result<(), rustix::io::Errno>) -> Finding {
    // SAFETY: the process has one thread, and a mount namespace shares no memory or descriptors.
    match unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS) } {
        Ok(()) => {
            let _ = rustix::mount::mount_change(
                "/",
                rustix::mount::MountPropagationFlags::PRIVATE | rustix::mount::MountPropagationFlags::REC,
            );
            finding(attempt())
        }
        Err(_) => Finding::Absent,
    }
}

fn finding(result: Result<(), rustix::io::Errno>) -> Finding {
    match result {
        Ok(()) => Finding::Allowed,
        Err(rustix::io::Errno::NOENT) => Finding::Absent,
        Err(_) => Finding::Refused,
    }
}

/// A call that complains of its arguments was let through.
fn called(result: Result<(), Errno>) -> Finding {
    match result {
        Err(Errno::EPERM | Errno::EACCES | Errno::EAFNOSUPPORT) => Finding::Refused,
        Err(Errno::ENOSYS) => Finding::Absent,
        _ => Finding::Allowed,
    }
}
