//! Features of the host: those that containers need of kernel, cgroups and systemd, and those that some functions need.

use std::borrow::Cow;
use std::fs;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::CWD;
use rustix::mount::OpenTreeFlags;
use serde::Serialize;

use super::exposure;
use crate::error::{Context, Result};
use crate::machine::Host;
use crate::machine::change::network;
use crate::network::probe::{Outcome, Packet};
use crate::paths::Root;
use crate::sandbox::lsm::Support;
use crate::sandbox::userns::userns;
use crate::sys::idmap::IdRange;
use crate::sys::mount::{Depth, MountAttr, mount_setattr};
use crate::systemd;

/// The oldest systemd and kernel that are supported.
const SYSTEMD: u64 = 257;
/// Major and minor number.
const KERNEL: (u64, u64) = (6, 12);
/// `CGROUP2_SUPER_MAGIC` (linux/magic.h).
const CGROUP2: u64 = 0x6367_7270;

/// One line of `containerctl check`.
#[derive(Clone, Debug, Serialize)]
pub struct Feature {
    /// The feature.
    pub what: String,
    /// The part of containerctl that needs it; `None`: every container.
    pub only_for: Option<&'static str>,
    /// The result of the check.
    pub found: Found,
    /// The remedy if it is missing.
    pub hint: Cow<'static, str>,
}

/// The result of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Found {
    /// It is there: a version, a path, or nothing to add.
    Ok(String),
    /// It is not there.
    Missing(String),
    /// The caller may not look.
    Unknown,
}

impl Found {
    fn when(there: bool) -> Found {
        if there { Found::Ok(String::new()) } else { Found::Missing(String::new()) }
    }

    fn of(text: Option<String>) -> Found {
        text.map_or_else(|| Found::Missing(String::new()), Found::Ok)
    }
}

impl Feature {
    /// Whether no container can run without it, and it is missing.
    pub fn prevents(&self) -> bool {
        self.only_for.is_none() && matches!(self.found, Found::Missing(_))
    }
}

impl Host {
    /// Checks all features. Nothing stays changed.
    pub fn check(&self) -> Vec<Feature> {
        // The kernel first: it is tried in a clone, and a call of the bus leaves a thread.
        let mut features = kernel(self.root());
        features.extend(services(self));
        features.extend(installed(self.root()));
        features.extend(tools(self));
        features.extend(packets(self.root()));
        features.extend(exposure::check(self.root()));
        features
    }
}

fn needed(what: &str, found: Found, hint: &'static str) -> Feature {
    Feature { what: what.to_string(), only_for: None, found, hint: hint.into() }
}

pub(super) fn good(
    what: &str,
    only_for: &'static str,
    found: Found,
    hint: impl Into<Cow<'static, str>>,
) -> Feature {
    Feature { what: what.to_string(), only_for: Some(only_for), found, hint: hint.into() }
}

/// systemd and its services.
fn services(host: &Host) -> Vec<Feature> {
    let root = host.root();
    let exists = |path: &str| Found::when(root.path(path).exists());
    let nss = fs::read_to_string(root.path("/etc/nsswitch.conf")).unwrap_or_default();
    let named = nss.lines().any(|line| line.starts_with("hosts:") && line.contains("mymachines"));
    let machined = "/usr/share/dbus-1/system-services/org.freedesktop.machine1.service";
    vec![
        needed(
            "systemd is PID 1",
            Found::when(systemd::is_running(root)),
            "boot with systemd, containers are its units",
        ),
        needed("systemd 257", systemd_version(host), "upgrade systemd, and have dbus run"),
        good("systemd-machined", "machinectl", exists(machined), "install systemd-container"),
        good(
            "systemd-networkd",
            "Zone=, point-to-point links",
            exists("/usr/lib/systemd/systemd-networkd"),
            "install it",
        ),
        good(
            "nss-mymachines",
            "names of containers",
            Found::when(named),
            "add mymachines to hosts: in nsswitch.conf",
        ),
        good("persistent journal", "LinkJournal=", exists("/var/log/journal"), "mkdir /var/log/journal"),
    ]
}

fn systemd_version(host: &Host) -> Found {
    if !systemd::is_running(host.root()) {
        return Found::Missing(String::new());
    }
    match host.systemd(async |manager| manager.version().await) {
        Ok(version) if number(&version) >= SYSTEMD => Found::Ok(version),
        Ok(version) => Found::Missing(version),
        Err(error) => Found::Missing(error.message().to_string()),
    }
}

/// The digits that a version begins with.
fn number(version: &str) -> u64 {
    version
        .split(|c: char| !c.is_ascii_digit())
        .next()
        .and_then(|digits| digits.parse().ok())
        .unwrap_or_default()
}

fn kernel(root: &Root) -> Vec<Feature> {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let mut parts = release.split('.').map(number);
    let version = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let kernel = if version >= KERNEL { Found::Ok(release.clone()) } else { Found::Missing(release.clone()) };
    let unified = rustix::fs::statfs("/sys/fs/cgroup").is_ok_and(|found| found.f_type as u64 == CGROUP2);
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let mut features = vec![
        needed("Linux 6.12", kernel, "upgrade the kernel"),
        needed("cgroup2 alone", Found::when(unified), "boot with the unified hierarchy"),
    ];
    for name in ["user", "mnt", "pid", "net", "uts", "ipc", "cgroup"] {
        let there = Path::new("/proc/self/ns").join(name).exists();
        features.push(needed(&format!("namespace: {name}"), Found::when(there), "build the kernel with it"));
    }
    let users = read("/proc/sys/user/max_user_namespaces").trim() != "0";
    let seccomp = read("/proc/sys/kernel/seccomp/actions_avail").contains("errno");
    let hint = "raise user.max_user_namespaces";
    features.push(good("user namespaces allowed", "PrivateUsers=", Found::when(users), hint));
    let hint = "use a file system that can: ext4, xfs, btrfs, tmpfs";
    features.push(good("idmapped mounts of the store", "PrivateUsers=", idmapped(root), hint));
    features.push(needed(
        "seccomp filters",
        Found::when(seccomp),
        "build the kernel with CONFIG_SECCOMP_FILTER",
    ));
    let controllers = read("/sys/fs/cgroup/cgroup.controllers");
    for (name, keys) in
        [("memory", "MemoryMax="), ("cpu", "CPUWeight="), ("pids", "TasksMax="), ("io", "IOWeight=")]
    {
        let there = controllers.split_whitespace().any(|controller| controller == name);
        let hint = "boot with cgroup2 alone, no controller left to cgroup1";
        features.push(good(&format!("cgroup controller: {name}"), keys, Found::when(there), hint));
    }
    let exit = if version >= (6, 15) { Found::Ok(release) } else { Found::Missing(release) };
    features.push(good(
        "exit status by pidfd (Linux 6.15)",
        "the end after a crash",
        exit,
        "upgrade the kernel",
    ));
    let lsm = Support::of(root, &root.store());
    let apparmor = Found::when(lsm.apparmor.parser.is_some());
    features.push(good(
        "AppArmor and its parser",
        "AppArmorProfile=",
        apparmor,
        "boot with it, install apparmor",
    ));
    let selinux = Found::when(Path::new("/sys/fs/selinux/enforce").exists());
    features.push(good("SELinux", "SELinuxContext=", selinux, "boot with it"));
    features
}

/// Tries it on a mount of our own that nobody sees.
fn idmapped(root: &Root) -> Found {
    if !rustix::process::geteuid().is_root() {
        return Found::Unknown;
    }
    let store = root.store();
    let place = store.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    match try_idmap(place) {
        Ok(()) => Found::Ok(String::new()),
        Err(error) => Found::Missing(error.message().to_string()),
    }
}

fn try_idmap(place: &Path) -> Result<()> {
    let failed = || format!("failed to map ids at '{}'", place.display());
    let range = userns(IdRange { base: 1 << 20, size: 65536 })?;
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let tree = rustix::mount::open_tree(CWD, place, flags).context(failed)?;
    let attr = MountAttr { idmap: Some(range.as_fd()), ..MountAttr::default() };
    mount_setattr(&tree, c"", Depth::One, attr).context(failed)
}

fn installed(root: &Root) -> Vec<Feature> {
    let files = [
        "/usr/lib/systemd/system/container@.service",
        "/usr/lib/systemd/system-generators/containerctl-generator",
        "/usr/lib/containerctl/containerctl-supervisor",
    ];
    let of = |path: &str| needed(path, Found::when(root.path(path).exists()), "install containerctl whole");
    files.into_iter().map(of).collect()
}

fn tools(host: &Host) -> Vec<Feature> {
    let root = host.root();
    let find = |name: &str| {
        let paths = ["/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"]
            .map(|path| Path::new(path).join(name));
        paths.into_iter().find(|path| root.path(path).exists()).map(|path| path.display().to_string())
    };
    let debian = find("mmdebstrap").or_else(|| find("debootstrap"));
    vec![
        good("nft", "networks of containers", Found::of(find("nft")), "install nftables"),
        good(
            "rules of running containers",
            "networks of containers",
            rules(root),
            "somebody has flushed them: 'containerctl network restore' puts them back",
        ),
        good(
            "names and DHCP for containers",
            "networks of containers",
            service(host),
            "see 'systemctl status containerctl-names'",
        ),
        good("busybox", "--template busybox", Found::of(find("busybox")), "install busybox-static"),
        good("mmdebstrap", "--template debian", Found::of(debian), "install it"),
        good("tar", "--from-tar", Found::of(find("tar")), "install it"),
    ]
}

/// Whether the service for guests of the managed network works, once there is one.
fn service(host: &Host) -> Found {
    match host.network() {
        Ok(Some(network)) if !network.problems.is_empty() => Found::Missing(network.problems.join("; ")),
        Ok(_) => Found::Ok(String::new()),
        Err(_) => Found::Unknown,
    }
}

/// The fate of packets of containers, whatever firewall the host has; only root may try.
fn packets(root: &Root) -> Vec<Feature> {
    const NETWORKS: &str = "networks of containers";
    let what = |packet| match packet {
        Packet::Names => "the name server gets questions of containers",
        Packet::Dhcp => "the DHCP server gets questions of containers",
        Packet::World => "packets of containers are forwarded",
    };
    let unknown =
        |found: Found| Packet::ALL.map(|packet| good(what(packet), NETWORKS, found.clone(), "")).to_vec();
    if !root.is_system() || !rustix::process::geteuid().is_root() {
        return unknown(Found::Unknown);
    }
    match network::probe(root) {
        Err(error) => unknown(Found::Missing(error.to_string())),
        Ok(outcomes) => outcomes
            .into_iter()
            .map(|(packet, outcome)| match outcome {
                Outcome::Passes => good(what(packet), NETWORKS, Found::Ok(String::new()), ""),
                Outcome::Fails { by, remedy } => good(what(packet), NETWORKS, Found::Missing(by), remedy),
            })
            .collect(),
    }
}

/// Whether the packet filter has the rules of all running containers; only root may look.
fn rules(root: &Root) -> Found {
    if !root.is_system() || !rustix::process::geteuid().is_root() {
        return Found::Unknown;
    }
    match network::lacking_rules(root) {
        Ok(lacking) if lacking.is_empty() => Found::Ok(String::new()),
        Ok(lacking) => {
            let names: Vec<String> = lacking.iter().map(ToString::to_string).collect();
            Found::Missing(format!("not those of {}", names.join(", ")))
        }
        Err(_) => Found::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_installed_prevents_containers() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::at(dir.path());
        let missing = |features: &[Feature]| {
            features.iter().filter(|one| one.prevents()).map(|one| one.what.clone()).collect::<Vec<_>>()
        };
        assert_eq!(missing(&installed(&root)).len(), 3);
        fs::create_dir_all(root.path("/usr/lib/systemd/system")).unwrap();
        fs::write(root.path("/usr/lib/systemd/system/container@.service"), "").unwrap();
        assert_eq!(missing(&installed(&root)).len(), 2);
        assert_eq!(missing(&services(&Host::new(root.clone()))), ["systemd is PID 1", "systemd 257"]);
        assert!(missing(&tools(&Host::new(root.clone()))).is_empty(), "nobody needs them all");
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        assert_eq!([number("257.13-1~deb13u1"), number("99"), number("x")], [257, 99, 0]);
    }
}
