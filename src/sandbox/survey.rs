//! Facts about host and root file system that a plan needs. Reads, and changes nothing.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rustix::fs::FileType;
use rustix::io::Errno;
use rustix::thread::CapabilitySet;
use serde::Serialize;

use crate::config::Definition;
use crate::config::settings::{CustomMount, DeviceAllow, PrivateUsers, Settings};
use crate::error::{Cause, Error, Result};
use crate::name::MachineName;
use crate::network::links::{self, NetworkConfig};
use crate::network::site::host_id;
use crate::paths::Root;
use crate::sandbox::init::{self, Init, InitKind};
use crate::sandbox::journal::{self, Guest, Journal};
use crate::sandbox::lsm;
use crate::storage;
use crate::storage::host_path::{HostPaths, fd_path};
use crate::storage::reach;
use crate::storage::tree::Tree;
use crate::sys::capabilities::{self, Mask};
use crate::sys::id128;
use crate::sys::idmap::IdRange;

/// The facts that a plan is made from, beside the settings.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The machine.
    pub name: MachineName,
    /// The root file system on the host.
    pub rootfs: PathBuf,
    /// The same, open.
    pub tree: Rc<Tree>,
    /// The run-time directory on the host.
    pub runtime: PathBuf,
    /// The range of ids; `None` shares the host's.
    pub ids: Option<IdRange>,
    /// The init that was found, where one is to be booted.
    pub init: Option<Init>,
    /// 32 hexadecimal digits: the definition's, the image's, or random.
    pub machine_id: String,
    /// The capabilities that we ourselves may pass on.
    pub bounding: Mask,
    /// The network namespace and links.
    pub network: NetworkConfig,
    /// AppArmor and SELinux on the host.
    pub lsm: lsm::Support,
    /// The host's devices that `DeviceAllow=` names.
    pub devices: Vec<Device>,
    /// `ID`, `VERSION_ID`, `BUILD_ID` and `VARIANT_ID` of the host, for `$container_host_…`.
    pub host: Vec<(String, String)>,
    /// The place of the guest's journal, if host and guest share it.
    pub journal: Option<Journal>,
    /// Sentences about what is left out.
    pub warnings: Vec<String>,
}

impl Facts {
    /// The family of the init, where one is to be booted.
    pub fn init_kind(&self) -> Option<InitKind> {
        self.init.as_ref().map(|init| init.kind)
    }
}

/// A device node of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// The path, on the host and inside.
    pub path: String,
    /// Block or character.
    pub kind: DeviceKind,
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
    /// Permission bits.
    pub mode: u32,
    /// Of `r`, `w` and `m`.
    pub access: String,
}

/// The kind of a device node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceKind {
    /// A block device.
    Block,
    /// A character device.
    Char,
}

/// Looks at the root file system and the host. `pick` gives the range of a machine that asks for one.
pub fn survey(
    root: &Root,
    name: &MachineName,
    definition: &Definition,
    pick: impl FnOnce() -> Result<IdRange>,
) -> Result<Facts> {
    let settings = &definition.settings;
    let rootfs = storage::locate(root, name, settings);
    let paths = HostPaths::new(root);
    let tree = paths.tree(&rootfs)?.require_filled(&rootfs)?;
    refuse_links(&tree, &rootfs)?;
    let init = if settings.exec.boot { Some(init::require(&tree, &rootfs)?) } else { None };
    if !settings.exec.boot && !settings.exec.own_init && settings.exec.parameters.is_empty() {
        return Err(Error::config(format!("container '{name}' has Boot=no but no command"))
            .hint("set Parameters= in [Exec]"));
    }
    let machine_id = match &settings.exec.machine_id {
        Some(id) => id.clone(),
        None => image_machine_id(&tree).map_or_else(id128::random, Ok)?,
    };
    let ids = match settings.exec.private_users {
        PrivateUsers::No => None,
        PrivateUsers::Identity => Some(IdRange::IDENTITY),
        PrivateUsers::Range { base, size } => Some(IdRange { base, size }),
        PrivateUsers::Pick => Some(pick()?),
    };
    if ids.is_some() && root.is_system() {
        require_closed(settings, &tree, &rootfs, &paths)?;
    }
    let lsm = lsm::Support::of(root, fd_path(tree.as_fd()).as_ref());
    let network = links::network(definition, name, &host_id(root))?;
    let key = definition.named("Files", "DeviceAllow");
    let device = |allow: &DeviceAllow| device_of(&paths, &key, &allow.path, &allow.access);
    let devices = settings.files.devices.iter().map(device).collect::<Result<_>>()?;
    let runtime = root.runtime_of(name);
    let kind = init.as_ref().map(|init| init.kind);
    let guest = Guest { name, machine_id: &machine_id, ids, init: kind };
    let (journal, failed) = journal::look(root, settings.exec.link_journal, &guest)?;
    Ok(Facts {
        name: name.clone(),
        rootfs,
        tree: Rc::new(tree),
        runtime,
        ids,
        init,
        machine_id,
        bounding: bounding_set(),
        devices,
        network,
        lsm,
        host: host_os(),
        journal,
        warnings: failed.into_iter().collect(),
    })
}

/// Refuses trees that the container writes as the owner of the files of the host, and that users of the host can reach.
pub fn require_closed(settings: &Settings, tree: &Tree, rootfs: &Path, paths: &HostPaths) -> Result<()> {
    if !settings.files.read_only && !settings.files.ephemeral {
        reach::require_closed(tree.as_fd(), rootfs)?;
    }
    for mount in &settings.files.mounts {
        let CustomMount::Bind { source, read_only: false, idmap: true, .. } = mount else { continue };
        // Whoever mounts it tells what is wrong with the path.
        if let Ok(place) = paths.open(source) {
            reach::require_closed(place.as_fd(), source)?;
        }
    }
    Ok(())
}

/// Our own mount points have to be directories. That no link is followed there is seen to when they are mounted on;
/// this says in time, and in words, what to do about one.
fn refuse_links(tree: &Tree, shown: &Path) -> Result<()> {
    for target in ["/proc", "/sys", "/dev", "/run"] {
        let what = match tree.resolve_strict(target).and_then(rustix::fs::fstat) {
            Err(Errno::LOOP) => "a symbolic link",
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) != FileType::Directory => "not a directory",
            _ => continue,
        };
        let place = format!("{}{target}", shown.display().to_string().trim_end_matches('/'));
        return Err(Error::config(format!("'{place}' is {what}, and cannot be mounted on"))
            .hint("remove it: an empty directory is made in its place"));
    }
    Ok(())
}

/// The id that the image carries, unless it is yet to be initialised (machine-id(5)).
fn image_machine_id(tree: &Tree) -> Option<String> {
    let id = tree.read("/etc/machine-id").ok()?;
    let id = id.trim();
    let valid = id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase());
    valid.then(|| id.to_string())
}

/// The device node of the host at `path`, with the rights in `access`.
pub fn device_at(root: &Root, path: &Path, access: &str) -> Result<Device> {
    device_of(&HostPaths::new(root), "", path, access)
}

/// `key` begins the sentence about what is wrong.
fn device_of(paths: &HostPaths, key: &str, path: &Path, access: &str) -> Result<Device> {
    let refused = |why: String| {
        let path = path.display();
        Err(Error::config(format!("{key}{path}: {why}")).hint("name a device node that the host has"))
    };
    let stat = match paths.open(path).and_then(|node| Ok(rustix::fs::fstat(&node)?)) {
        Ok(stat) => stat,
        Err(fault) => return refused(fault.cause()),
    };
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::BlockDevice => DeviceKind::Block,
        FileType::CharacterDevice => DeviceKind::Char,
        _ => return refused("it is no device node".to_string()),
    };
    Ok(Device {
        path: path.display().to_string(),
        kind,
        major: rustix::fs::major(stat.st_rdev),
        minor: rustix::fs::minor(stat.st_rdev),
        mode: stat.st_mode & 0o777,
        access: access.to_string(),
    })
}

fn bounding_set() -> Mask {
    let held =
        |bit: &u32| rustix::thread::capability_is_in_bounding_set(CapabilitySet::from_bits_retain(1 << bit));
    let all = 0..capabilities::all().count_ones();
    all.filter(|bit| held(bit).unwrap_or(false)).map(|bit| 1 << bit).sum()
}

/// The host's os-release(5) fields that the container interface passes on.
fn host_os() -> Vec<(String, String)> {
    let text = ["/etc/os-release", "/usr/lib/os-release"]
        .iter()
        .find_map(|path| std::fs::read_to_string(Path::new(path)).ok())
        .unwrap_or_default();
    os_fields(&text)
}

fn os_fields(text: &str) -> Vec<(String, String)> {
    let wanted = ["ID", "VERSION_ID", "BUILD_ID", "VARIANT_ID"];
    let field = |line: &str| {
        let (key, value) = line.split_once('=')?;
        let value = value.trim().trim_matches(['"', '\'']);
        wanted.contains(&key).then(|| (format!("container_host_{}", key.to_lowercase()), value.to_string()))
    };
    text.lines().filter_map(field).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_root_is_told_where_its_mount_points_are_links() {
        let dir = tempfile::tempdir().expect("tempdir");
        let told = |target: &str| {
            let tree = Tree::open(dir.path()).expect("open");
            let told = refuse_links(&tree, Path::new("/srv/p1")).map_err(|error| error.message().to_string());
            let _ = std::fs::remove_file(dir.path().join(target));
            told
        };
        assert_eq!(told("none"), Ok(()));
        symlink("/etc", dir.path().join("proc")).expect("symlink");
        assert_eq!(
            told("proc"),
            Err("'/srv/p1/proc' is a symbolic link, and cannot be mounted on".to_string())
        );
        std::fs::write(dir.path().join("run"), "").expect("write");
        assert_eq!(
            told("run"),
            Err("'/srv/p1/run' is not a directory, and cannot be mounted on".to_string())
        );
        std::fs::create_dir(dir.path().join("sys")).expect("mkdir");
        assert_eq!(told("none"), Ok(()));
    }

    #[test]
    fn the_hosts_identity_is_passed_on_without_quotes() {
        let fields = os_fields("NAME=\"Debian\"\nID=debian\nVERSION_ID=\"13\"\nHOME_URL=x\n");
        let expected = [("container_host_id", "debian"), ("container_host_version_id", "13")];
        assert_eq!(fields, expected.map(|(k, v)| (k.to_string(), v.to_string())));
    }
}
