//! The plan of a start: everything that will be done, decided before anything is done.
//!
//! Pure: made from [`Settings`] and [`Facts`]. `containerctl plan` prints it; the supervisor and its children
//! carry it out. The mounts come in two parts. `outside` is done by a helper that is in no user namespace, in a
//! mount namespace that belongs to the host, so that when the payload copies it the kernel locks every mount and
//! its root can undo none (mount_namespaces(7)). `inside` is done by the leader itself, for what guests remount.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use crate::config::settings::{CustomMount, ResourceLimit, Settings};
use crate::sandbox::capabilities;
use crate::sandbox::init::InitKind;
use crate::sandbox::survey::{Device, DeviceKind, Facts, dashed};

/// One mount operation. Targets are absolute inside, sources absolute on the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "operation", rename_all = "kebab-case")]
pub enum Operation {
    /// The root file system: a detached, idmapped copy of the tree becomes `/`.
    Root {
        /// The tree on the host.
        source: PathBuf,
        /// Mounted read-only.
        read_only: bool,
        /// Ids mapped by the container's user namespace.
        idmap: bool,
    },
    /// A new file system on a directory.
    Mount {
        /// The kernel's name of the type.
        filesystem: &'static str,
        /// Where.
        target: String,
        /// Options of the file system itself.
        options: Vec<(String, String)>,
        /// `ro`, `nosuid`, `nodev`, `noexec`.
        attributes: Attributes,
    },
    /// Wait until the leader sits in its cgroup; what follows shows it.
    AwaitPlacement,
    /// A directory.
    Directory {
        /// Where.
        target: String,
        /// Permission bits.
        mode: u32,
    },
    /// A symbolic link.
    Symlink {
        /// Where.
        target: String,
        /// What it says.
        to: String,
    },
    /// A device node.
    Node {
        /// Where.
        target: String,
        /// Block or character.
        kind: DeviceKind,
        /// Permission bits.
        mode: u32,
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A pseudo terminal from the container's own devpts; its master stays with the supervisor.
    Console {
        /// Where.
        target: String,
    },
    /// Part of the host's tree.
    Bind {
        /// The file or directory on the host.
        source: PathBuf,
        /// Where.
        target: String,
        /// With the mounts below it.
        recursive: bool,
        /// Ids mapped by the container's user namespace.
        idmap: bool,
        /// A missing source is passed over.
        optional: bool,
        /// `ro`, `nosuid`, `nodev`, `noexec`.
        attributes: Attributes,
    },
    /// Something unreadable in place of what is there, if anything is.
    Mask {
        /// What.
        target: String,
    },
    /// What is there, if anything is, but read-only.
    ReadOnly {
        /// What.
        target: String,
    },
    /// The writable original of a part below something that was made read-only.
    Writable {
        /// What.
        target: String,
    },
}

/// Attributes of a mount, as `MOUNT_ATTR_*` bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes(pub u64);

impl Attributes {
    const NAMES: [(u64, &'static str); 4] = [
        (libc::MOUNT_ATTR_RDONLY, "ro"),
        (libc::MOUNT_ATTR_NOSUID, "nosuid"),
        (libc::MOUNT_ATTR_NODEV, "nodev"),
        (libc::MOUNT_ATTR_NOEXEC, "noexec"),
    ];
    /// Nothing special.
    pub const NONE: Attributes = Attributes(0);
    /// Read-only.
    pub const RO: Attributes = Attributes(libc::MOUNT_ATTR_RDONLY);
    /// For kernel interfaces: no set-user-id, no devices, no programs.
    pub const API: Attributes =
        Attributes(libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV | libc::MOUNT_ATTR_NOEXEC);
    /// For data: no set-user-id, no devices.
    pub const DATA: Attributes = Attributes(libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV);

    /// Both.
    const fn and(self, other: Attributes) -> Attributes {
        Attributes(self.0 | other.0)
    }
}

impl fmt::Display for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set: Vec<&str> =
            Self::NAMES.iter().filter(|(bit, _)| self.0 & bit != 0).map(|(_, name)| *name).collect();
        f.write_str(if set.is_empty() { "rw".to_string() } else { set.join(",") }.as_str())
    }
}

impl Serialize for Attributes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Everything a start does.
#[derive(Clone, Debug, Serialize)]
pub struct Plan {
    /// The machine.
    pub machine: String,
    /// Kernel names of the namespaces that are new.
    pub namespaces: Vec<&'static str>,
    /// `0 BASE SIZE`, as it is written to `uid_map` and `gid_map`; none shares the host's ids.
    pub id_map: Option<String>,
    /// Mounts made by the helper, in this order.
    pub outside: Vec<Operation>,
    /// Mounts made by the leader, in this order.
    pub inside: Vec<Operation>,
    /// What the kernel calls the machine.
    pub hostname: String,
    /// 32 hexadecimal digits, `$container_uuid`.
    pub machine_id: String,
    /// Names of the capabilities that are kept.
    pub capabilities: Vec<String>,
    /// The same as bits.
    #[serde(skip)]
    pub capability_mask: capabilities::Mask,
    /// Capabilities that programs which are not root's inherit, as bits.
    #[serde(skip)]
    pub ambient_mask: capabilities::Mask,
    /// Devices beyond the standard ones that the scope allows, with `r`, `w` and `m`.
    pub devices: Vec<(String, String)>,
    /// `no_new_privs` is set.
    pub no_new_privileges: bool,
    /// Resource limits (setrlimit(2)).
    #[serde(skip)]
    pub limits: Vec<ResourceLimit>,
    /// What is written to `oom_score_adj`.
    pub oom_score_adjust: i32,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Its environment.
    pub environment: Vec<(String, String)>,
    /// Its working directory, inside.
    pub working_directory: Option<PathBuf>,
    /// The family of the init, where one is booted.
    pub init: Option<InitKind>,
    /// Number of the signal that asks for shutdown.
    pub stop_signal: i32,
    /// Ready when the payload says so.
    pub notify_ready: bool,
    /// The scope that holds the payload.
    pub scope: String,
    /// The slice that carries the limits.
    pub slice: String,
}

/// Below the machine's run-time directory: what the container sees as `/run/host`.
pub const HOST_DIR: &str = "host";
/// Below the machine's run-time directory: the id of this boot.
pub const BOOT_ID: &str = "boot-id";

/// Makes the plan.
pub fn plan(settings: &Settings, facts: &Facts) -> Plan {
    let (inside, outside): (Vec<_>, Vec<_>) =
        settings.files.mounts.iter().map(custom).partition(|o| is_inside(o));
    let exec = &settings.exec;
    let mask = capabilities::kept(exec.capability, exec.drop_capability, facts.bounding);
    let kind = facts.init.as_ref().map(|init| init.kind);
    Plan {
        machine: facts.name.to_string(),
        namespaces: namespaces(settings, facts),
        id_map: facts.ids.map(|ids| ids.to_string()),
        outside: outside_operations(settings, facts, outside),
        inside: inside_operations(facts, inside),
        hostname: exec.hostname.clone().unwrap_or_else(|| facts.name.to_string()),
        machine_id: facts.machine_id.clone(),
        capabilities: capabilities::names(mask),
        capability_mask: mask,
        ambient_mask: exec.ambient_capability & mask,
        devices: facts.devices.iter().map(|device| (device.path.clone(), device.access.clone())).collect(),
        no_new_privileges: exec.no_new_privileges,
        limits: exec.limits.clone(),
        oom_score_adjust: exec.oom_score_adjust.unwrap_or(0),
        command: command(settings, facts),
        environment: environment(settings, facts),
        working_directory: exec.working_directory.clone(),
        init: kind,
        stop_signal: exec.kill_signal.unwrap_or(kind.map_or(libc::SIGTERM, InitKind::poweroff_signal)),
        notify_ready: exec.notify_ready,
        scope: facts.name.scope(),
        slice: facts.name.slice(),
    }
}

fn namespaces(settings: &Settings, facts: &Facts) -> Vec<&'static str> {
    let mut names = vec!["mnt", "pid", "uts", "ipc", "cgroup"];
    names.extend(settings.network.private.then_some("net"));
    names.extend(facts.ids.map(|_| "user"));
    names
}

fn command(settings: &Settings, facts: &Facts) -> Vec<String> {
    let init = facts.init.iter().map(|init| init.path.clone());
    init.chain(settings.exec.parameters.iter().cloned()).collect()
}

/// The environment of PID 1 as the container interface has it, with `Environment=` last so that it wins.
fn environment(settings: &Settings, facts: &Facts) -> Vec<(String, String)> {
    let pair = |key: &str, value: &str| (key.to_string(), value.to_string());
    let mut environment = vec![
        pair("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
        pair("container", "containerctl"),
        pair("container_uuid", &dashed(&facts.machine_id)),
        pair("HOME", "/root"),
        pair("USER", "root"),
        pair("LOGNAME", "root"),
        pair("TERM", "xterm-256color"),
        pair("NOTIFY_SOCKET", "/run/host/notify"),
    ];
    environment.extend(facts.host.iter().cloned());
    for (key, value) in &settings.exec.environment {
        environment.retain(|(known, _)| known != key);
        environment.push((key.clone(), value.clone()));
    }
    environment
}

fn mount(
    filesystem: &'static str,
    target: &str,
    options: &[(&str, &str)],
    attributes: Attributes,
) -> Operation {
    let options = options.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
    Operation::Mount { filesystem, target: target.to_string(), options, attributes }
}

fn outside_operations(settings: &Settings, facts: &Facts, custom: Vec<Operation>) -> Vec<Operation> {
    let mut list = vec![Operation::Root {
        source: facts.rootfs.clone(),
        read_only: settings.files.read_only,
        idmap: facts.ids.is_some(),
    }];
    list.extend(device_operations(facts));
    if settings.exec.nesting {
        list.extend(nesting_operations());
    }
    list.push(mount("proc", "/proc", &[], Attributes::API));
    list.push(mount("sysfs", "/sys", &[], Attributes::API.and(Attributes::RO)));
    list.extend(proc_operations());
    list.push(own(facts, BOOT_ID, "/proc/sys/kernel/random/boot_id"));
    list.extend(MASKED.map(|target| Operation::Mask { target: target.to_string() }));
    list.extend(READ_ONLY.map(|target| Operation::ReadOnly { target: target.to_string() }));
    list.extend(custom);
    list.push(Operation::AwaitPlacement);
    list.push(mount("cgroup2", "/sys/fs/cgroup", &[], Attributes::API));
    list
}

/// `/dev`: a tmpfs of the container's root, the six nodes, its own pseudo terminals, the console.
fn device_operations(facts: &Facts) -> Vec<Operation> {
    let root = facts.ids.map_or(0, |ids| ids.base);
    let (root, tty) = (root.to_string(), (root + TTY_GROUP).to_string());
    let dev = [("mode", "0755"), ("uid", &root), ("gid", &root), ("size", "1m"), ("nr_inodes", "4k")];
    let pts = [("newinstance", ""), ("ptmxmode", "0666"), ("mode", "0620"), ("gid", &tty), ("max", "1024")];
    let no_programs = Attributes(libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NOEXEC);
    let mut list = vec![mount("tmpfs", "/dev", &dev, no_programs)];
    let directory = |target: &str| Operation::Directory { target: target.to_string(), mode: 0o755 };
    list.extend(["/dev/pts", "/dev/shm", "/dev/mqueue"].map(directory));
    list.push(mount("devpts", "/dev/pts", &pts, no_programs));
    list.extend(NODES.map(|(name, major, minor)| Operation::Node {
        target: format!("/dev/{name}"),
        kind: DeviceKind::Char,
        mode: 0o666,
        major,
        minor,
    }));
    list.extend(facts.devices.iter().flat_map(host_device));
    list.extend(
        LINKS.map(|(name, to)| Operation::Symlink { target: format!("/dev/{name}"), to: to.to_string() }),
    );
    list.push(Operation::Console { target: "/dev/console".to_string() });
    list
}

/// Something of the machine's run-time directory, read-only.
fn own(facts: &Facts, name: &str, target: &str) -> Operation {
    Operation::Bind {
        source: facts.runtime.join(name),
        target: target.to_string(),
        recursive: false,
        idmap: false,
        optional: false,
        attributes: Attributes::API.and(Attributes::RO),
    }
}

/// The kernel lets a user namespace mount procfs and sysfs only where it sees uncovered ones already.
fn nesting_operations() -> [Operation; 5] {
    let directory = |target: &str| Operation::Directory { target: target.to_string(), mode: 0o700 };
    [
        directory("/dev/.nest"),
        directory("/dev/.nest/proc"),
        directory("/dev/.nest/sys"),
        mount("proc", "/dev/.nest/proc", &[], Attributes::API),
        mount("sysfs", "/dev/.nest/sys", &[], Attributes::API),
    ]
}

/// A node of the host's device, in a directory that may be missing.
fn host_device(device: &Device) -> [Operation; 2] {
    let target = device.path.clone();
    let parent = target.rsplit_once('/').map_or("/dev", |(parent, _)| parent).to_string();
    let Device { kind, mode, major, minor, .. } = *device;
    [
        Operation::Directory { target: parent, mode: 0o755 },
        Operation::Node { target, kind, mode, major, minor },
    ]
}

/// `/proc/sys` read-only, but for what belongs to the container's own namespaces.
fn proc_operations() -> Vec<Operation> {
    let mut list = vec![Operation::ReadOnly { target: "/proc/sys".to_string() }];
    list.extend(WRITABLE_SYSCTLS.map(|name| Operation::Writable { target: format!("/proc/sys/{name}") }));
    list
}

/// What guests remount, so the leader mounts it itself.
fn inside_operations(facts: &Facts, custom: Vec<Operation>) -> Vec<Operation> {
    let no_programs = Attributes(libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV);
    let mut list = vec![
        mount("tmpfs", "/run", &[("mode", "0755"), ("size", "20%"), ("nr_inodes", "800k")], no_programs),
        mount("tmpfs", "/dev/shm", &[("mode", "1777")], no_programs),
        mount("mqueue", "/dev/mqueue", &[], Attributes::API),
        own(facts, HOST_DIR, "/run/host"),
    ];
    list.extend(custom);
    list
}

/// Whether the target lies on something that the leader mounts.
fn is_inside(operation: &Operation) -> bool {
    let (Operation::Bind { target, .. } | Operation::Mount { target, .. } | Operation::Mask { target }) =
        operation
    else {
        return false;
    };
    ["/run/", "/dev/shm/", "/dev/mqueue/"].iter().any(|prefix| target.starts_with(prefix))
}

fn custom(mount: &CustomMount) -> Operation {
    let text = |path: &PathBuf| path.to_string_lossy().into_owned();
    match mount {
        CustomMount::Bind { source, target, read_only, recursive, idmap, optional } => Operation::Bind {
            source: source.clone(),
            target: text(target),
            recursive: *recursive,
            idmap: *idmap,
            optional: *optional,
            attributes: if *read_only { Attributes::RO } else { Attributes::NONE },
        },
        CustomMount::Tmpfs { target, options } => Operation::Mount {
            filesystem: "tmpfs",
            target: text(target),
            options: options.clone(),
            attributes: Attributes::DATA,
        },
        CustomMount::Inaccessible { target } => Operation::Mask { target: text(target) },
    }
}

/// The `tty` group of Debian, Fedora and everybody else.
pub const TTY_GROUP: u32 = 5;

const NODES: [(&str, u32, u32); 6] =
    [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];

const LINKS: [(&str, &str); 5] = [
    ("ptmx", "pts/ptmx"),
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
];

/// Sysctls that are the container's own, because they are per network, user or IPC namespace.
const WRITABLE_SYSCTLS: [&str; 15] = [
    "net",
    "user",
    "fs/mqueue",
    "kernel/shmmax",
    "kernel/shmall",
    "kernel/shmmni",
    "kernel/shm_rmid_forced",
    "kernel/shm_next_id",
    "kernel/msgmax",
    "kernel/msgmni",
    "kernel/msgmnb",
    "kernel/msg_next_id",
    "kernel/auto_msgmni",
    "kernel/sem",
    "kernel/sem_next_id",
];

/// What tells about the host or reaches into it.
const MASKED: [&str; 28] = [
    "/proc/kcore",
    "/proc/kmsg",
    "/proc/kallsyms",
    "/proc/keys",
    "/proc/key-users",
    "/proc/sysrq-trigger",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/interrupts",
    "/proc/kpagecount",
    "/proc/kpageflags",
    "/proc/kpagecgroup",
    "/proc/modules",
    "/proc/slabinfo",
    "/proc/vmallocinfo",
    "/proc/pagetypeinfo",
    "/proc/config.gz",
    "/proc/acpi",
    "/proc/asound",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/kernel/debug",
    "/sys/kernel/tracing",
    "/sys/kernel/security",
    "/sys/fs/pstore",
    "/sys/devices/virtual/powercap",
];

const READ_ONLY: [&str; 4] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/driver"];

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Operation::Root { source, read_only, idmap } => {
                let (mode, ids) = (if *read_only { "ro" } else { "rw" }, if *idmap { ",idmap" } else { "" });
                write!(f, "mount '{}' as the root ({mode}{ids})", source.display())
            }
            Operation::Mount { filesystem, target, options, attributes } => {
                write!(f, "mount {filesystem} on '{target}' ({attributes}")?;
                options.iter().try_for_each(|(key, value)| match value.as_str() {
                    "" => write!(f, ",{key}"),
                    value => write!(f, ",{key}={value}"),
                })?;
                f.write_str(")")
            }
            Operation::AwaitPlacement => f.write_str("wait until the leader is in its cgroup"),
            Operation::Directory { target, mode } => write!(f, "make directory '{target}' ({mode:o})"),
            Operation::Symlink { target, to } => write!(f, "link '{target}' to '{to}'"),
            Operation::Node { target, kind, mode, major, minor } => {
                let kind = if *kind == DeviceKind::Block { "block" } else { "character" };
                write!(f, "make {kind} device '{target}' ({major}:{minor}, {mode:o})")
            }
            Operation::Console { target } => write!(f, "put a terminal on '{target}'"),
            Operation::Bind { source, target, attributes, idmap, .. } => {
                let ids = if *idmap { ",idmap" } else { "" };
                write!(f, "bind '{}' to '{target}' ({attributes}{ids})", source.display())
            }
            Operation::Mask { target } => write!(f, "mask '{target}'"),
            Operation::ReadOnly { target } => write!(f, "make '{target}' read-only"),
            Operation::Writable { target } => write!(f, "keep '{target}' writable"),
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "machine {} in {} below {}", self.machine, self.scope, self.slice)?;
        writeln!(f, "new namespaces: {}", self.namespaces.join(" "))?;
        writeln!(f, "user and group ids: {}", self.id_map.as_deref().unwrap_or("the host's own"))?;
        writeln!(f, "outside, locked against the payload:")?;
        self.outside.iter().try_for_each(|operation| writeln!(f, "  {operation}"))?;
        writeln!(f, "inside:")?;
        self.inside.iter().try_for_each(|operation| writeln!(f, "  {operation}"))?;
        writeln!(f, "host name: {}", self.hostname)?;
        writeln!(f, "machine id: {}", self.machine_id)?;
        writeln!(f, "capabilities: {}", self.capabilities.join(" "))?;
        writeln!(f, "environment:")?;
        self.environment.iter().try_for_each(|(key, value)| writeln!(f, "  {key}={value}"))?;
        writeln!(f, "run: {}", self.command.join(" "))?;
        write!(f, "stop by signal {}", self.stop_signal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::MachineName;
    use crate::sandbox::idmap::IdRange;
    use crate::sandbox::init::Init;

    fn facts() -> Facts {
        Facts {
            name: MachineName::new("p1").expect("valid"),
            rootfs: PathBuf::from("/srv/p1"),
            runtime: PathBuf::from("/run/containerctl/p1"),
            ids: Some(IdRange { base: 524288, size: 65536 }),
            init: Some(Init { path: "/sbin/init".to_string(), kind: InitKind::Busybox }),
            machine_id: "0123456789abcdef0123456789abcdef".to_string(),
            bounding: capabilities::all(),
            devices: Vec::new(),
            host: Vec::new(),
        }
    }

    #[test]
    fn the_root_comes_first_and_the_cgroup_last() {
        let plan = plan(&Settings::default(), &facts());
        assert!(matches!(plan.outside.first(), Some(Operation::Root { idmap: true, .. })));
        let last = plan.outside.last().expect("operations");
        assert!(matches!(last, Operation::Mount { filesystem: "cgroup2", .. }), "{last}");
    }

    #[test]
    fn a_mount_below_run_is_made_where_run_is_made() {
        let mut settings = Settings::default();
        for target in ["/run/x", "/srv/x"] {
            settings.files.mounts.push(CustomMount::Tmpfs { target: target.into(), options: vec![] });
        }
        let plan = plan(&settings, &facts());
        let has = |list: &[Operation], wanted: &str| {
            list.iter().any(|o| matches!(o, Operation::Mount { target, .. } if target == wanted))
        };
        assert!(has(&plan.inside, "/run/x") && !has(&plan.outside, "/run/x"));
        assert!(has(&plan.outside, "/srv/x") && !has(&plan.inside, "/srv/x"));
    }

    #[test]
    fn the_definitions_environment_wins() {
        let mut settings = Settings::default();
        settings.exec.environment = vec![("TERM".to_string(), "dumb".to_string())];
        let plan = plan(&settings, &facts());
        let terms: Vec<_> = plan.environment.iter().filter(|(key, _)| key == "TERM").collect();
        assert_eq!(terms, [&("TERM".to_string(), "dumb".to_string())]);
    }

    #[test]
    fn the_stop_signal_is_the_inits_own_unless_one_is_given() {
        let mut settings = Settings::default();
        assert_eq!(plan(&settings, &facts()).stop_signal, libc::SIGUSR2);
        settings.exec.kill_signal = Some(libc::SIGINT);
        assert_eq!(plan(&settings, &facts()).stop_signal, libc::SIGINT);
    }

    #[test]
    fn sharing_the_hosts_ids_and_network_shows_in_the_namespaces() {
        let mut settings = Settings::default();
        settings.network.private = false;
        let plan = plan(&settings, &Facts { ids: None, ..facts() });
        assert_eq!(plan.namespaces, ["mnt", "pid", "uts", "ipc", "cgroup"]);
        assert_eq!(plan.id_map, None);
    }
}
