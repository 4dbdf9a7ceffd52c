//! The run-time directory of a container: `/run/containerctl/NAME/`, 0700.
//!
//! | name | what |
//! |---|---|
//! | `control` | the control socket |
//! | `host/` | what the container sees, read-only, as `/run/host` |
//! | `boot-id` | the id of this boot, shown in place of the host's |
//! | `blank`, `blank.d/` | what covers masked files and directories |
//! | `root/` | where the root is put together, in the helper's mount namespace only |
//! | `state` | [`State`] for readers |
//! | `rights` | [`Rights`] for whoever enters |
//! | `execute` | somebody executes a command: what becomes of what it writes, see [`execution`](super::execution) |
//! | `apparmor` | the generated AppArmor profile, while it is loaded |
//! | `timings` | how long each stage of the last start took, `STAGE MICROSECONDS` a line |
//! | `trace` | the operations of the plan that the last start carried out, one a line |

use std::fs::{DirBuilder, Permissions};
use std::io::ErrorKind;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, bind, setsockopt, socket, sockopt};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use nix::unistd::{Gid, Uid, chown};

use crate::error::{Context, Result};
use crate::name::MachineName;
use crate::paths::Root;
use crate::replace::publish;
use crate::runtime::lock::{self, Lock};
use crate::runtime::rights::Rights;
use crate::runtime::state::{self, State};
use crate::sys::id128;

/// Below the directory: what the container sees as `/run/host`.
pub const HOST_DIR: &str = "host";
/// Below the directory: the id of this boot.
pub const BOOT_ID: &str = "boot-id";

/// The directory, and the lock that makes us its only writer.
pub struct Runtime {
    path: PathBuf,
    _lock: Lock,
}

impl Runtime {
    /// Opens and locks the directory of a machine, making it where it is missing.
    pub fn open(root: &Root, name: &MachineName) -> Result<Runtime> {
        Ok(Runtime { path: root.runtime_of(name), _lock: lock::take(root, name)? })
    }

    /// Something in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Lays out what a plan's mounts take from here, and the socket on which the payload's PID 1 notifies. What is shown to
    /// the container belongs to its root, the host id `owner`, but for what hides something from it.
    pub fn prepare(&self, machine_id: &str, owner: u32) -> Result<OwnedFd> {
        make_dir(&self.path("root"), 0o700)?;
        make_file(&self.path("blank"), "", 0o000)?;
        make_dir(&self.path("blank.d"), 0o000)?;
        make_file(&self.path(BOOT_ID), &format!("{}\n", id128::dashed(&id128::random()?)), 0o444)?;
        let notifications = self.prepare_host(machine_id)?;
        let host = self.path(HOST_DIR);
        let files =
            ["container-manager", "container-uuid", "os-release", "notify"].map(|name| host.join(name));
        for path in files.iter().chain([&host, &self.path(BOOT_ID)]) {
            chown(path, Some(Uid::from_raw(owner)), Some(Gid::from_raw(owner)))
                .context(|| format!("failed to hand over '{}'", path.display()))?;
        }
        Ok(notifications)
    }

    /// `/run/host` as the container interface has it (systemd.io/CONTAINER_INTERFACE).
    fn prepare_host(&self, machine_id: &str) -> Result<OwnedFd> {
        let host = self.path(HOST_DIR);
        make_dir(&host, 0o755)?;
        make_file(&host.join("container-manager"), "containerctl\n", 0o444)?;
        make_file(&host.join("container-uuid"), &format!("{}\n", id128::dashed(machine_id)), 0o444)?;
        let os_release =
            ["/etc/os-release", "/usr/lib/os-release"].iter().find_map(|p| std::fs::read_to_string(p).ok());
        make_file(&host.join("os-release"), &os_release.unwrap_or_default(), 0o444)?;
        make_inaccessible(&host.join("inaccessible"))?;
        listen_for_notifications(&host.join("notify"))
    }

    /// Writes the state for readers; they see the old one or the new one.
    pub fn write_state(&self, state: &State) -> Result<()> {
        publish(&self.path(state::FILE), state.to_text()?.as_bytes(), 0o644)
    }

    /// Writes what the payload may do, for whoever enters.
    pub fn write_rights(&self, rights: &Rights) -> Result<()> {
        publish(&self.path(state::RIGHTS), rights.to_text()?.as_bytes(), 0o600)
    }

    /// Writes the operations that a start has carried out, one a line.
    pub fn write_trace(&self, operations: &[String]) {
        // As the timings.
        let _ = publish(&self.path("trace"), (operations.join("\n") + "\n").as_bytes(), 0o644);
    }

    /// Writes how long each stage of a start took.
    pub fn write_timings(&self, timings: &[(&'static str, u128)]) {
        let text: String = timings.iter().map(|(stage, usec)| format!("{stage} {usec}\n")).collect();
        // They are for the curious; a start does not fail for them.
        let _ = publish(&self.path("timings"), text.as_bytes(), 0o644);
    }
}

/// Takes the directory away.
pub fn remove(root: &Root, name: &MachineName) -> Result<()> {
    let path = root.runtime_of(name);
    match std::fs::remove_dir_all(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other.context(|| format!("failed to remove '{}'", path.display())),
    }
}

fn make_dir(path: &Path, mode: u32) -> Result<()> {
    match DirBuilder::new().mode(mode).create(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        other => other.context(|| format!("failed to create '{}'", path.display())),
    }
}

/// Makes a file anew, with just this content and mode, whatever the umask.
fn make_file(path: &Path, content: &str, mode: u32) -> Result<()> {
    let failed = || format!("failed to write '{}'", path.display());
    let _ = std::fs::remove_file(path);
    std::fs::write(path, content).context(failed)?;
    std::fs::set_permissions(path, Permissions::from_mode(mode)).context(failed)
}

/// One unreadable node of each type, which the guest's service manager mounts over what it hides.
fn make_inaccessible(path: &Path) -> Result<()> {
    make_dir(path, 0o755)?;
    make_dir(&path.join("dir"), 0o000)?;
    let nodes = [
        ("reg", SFlag::S_IFREG),
        ("fifo", SFlag::S_IFIFO),
        ("sock", SFlag::S_IFSOCK),
        ("chr", SFlag::S_IFCHR),
        ("blk", SFlag::S_IFBLK),
    ];
    for (name, kind) in nodes {
        match mknod(&path.join(name), kind, Mode::empty(), makedev(0, 0)) {
            // A host that is a container itself may make no devices; guests do without these two.
            Ok(()) | Err(nix::errno::Errno::EEXIST | nix::errno::Errno::EPERM) => {}
            Err(errno) => {
                return Err(errno).context(|| format!("failed to create '{}'", path.join(name).display()));
            }
        }
    }
    Ok(())
}

/// A datagram socket that tells who sent each message; everybody inside may write to it, and only PID 1 is heard.
fn listen_for_notifications(path: &Path) -> Result<OwnedFd> {
    let failed = || format!("failed to listen at '{}'", path.display());
    let _ = std::fs::remove_file(path);
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket(AddressFamily::Unix, SockType::Datagram, flags, None).context(failed)?;
    bind(fd.as_raw_fd(), &UnixAddr::new(path).context(failed)?).context(failed)?;
    setsockopt(&fd, sockopt::PassCred, &true).context(failed)?;
    std::fs::set_permissions(path, Permissions::from_mode(0o666)).context(failed)?;
    Ok(fd)
}
