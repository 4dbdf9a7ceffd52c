//! The mounts of a container: operations of every plan.

use std::path::PathBuf;

use crate::config::settings::{CustomMount, Settings};
use crate::runtime::directory::{BOOT_ID, HOST_DIR};
use crate::sandbox::operation::{Attributes, Operation};
use crate::sandbox::survey::{Device, DeviceKind, Facts};
use crate::sandbox::terminal;

/// Mounts made from outside, in this order: the root first, the cgroups last. `custom` are the definition's.
pub fn outside_operations(settings: &Settings, facts: &Facts, custom: Vec<Operation>) -> Vec<Operation> {
    let mut list = vec![Operation::Root {
        source: facts.rootfs.clone(),
        read_only: settings.files.read_only,
        ephemeral: settings.files.ephemeral,
        idmap: facts.ids.is_some(),
    }];
    list.extend(device_operations(facts));
    list.extend(terminal::operations(settings.console.ttys, facts.init_kind()));
    if settings.exec.nesting {
        list.extend(nesting_operations());
    }
    list.push(mount("proc", "/proc", &[], Attributes::API));
    list.push(mount("sysfs", "/sys", &[], Attributes::API.and(Attributes::RO)));
    list.extend(proc_operations(settings, facts));
    list.push(own(facts, BOOT_ID, "/proc/sys/kernel/random/boot_id"));
    list.extend(MASKED.map(|target| Operation::Mask { target: target.to_string() }));
    list.extend(READ_ONLY.map(|target| Operation::ReadOnly { target: target.to_string() }));
    list.extend(custom);
    list.push(Operation::AwaitPlacement);
    list.push(mount("cgroup2", "/sys/fs/cgroup", &[], Attributes::API));
    list
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

/// `/dev`: a tmpfs of the container's root, the six nodes, a devpts of its own.
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
fn proc_operations(settings: &Settings, facts: &Facts) -> Vec<Operation> {
    let mut list = vec![Operation::ReadOnly { target: "/proc/sys".to_string() }];
    list.extend(
        writable_sysctls(settings.network.private, facts.ids.is_some())
            .map(|name| Operation::Writable { target: format!("/proc/sys/{name}") }),
    );
    list
}

/// Sysctls that stay writable below `/proc/sys`.
pub fn writable_sysctls(private_network: bool, user_namespace: bool) -> impl Iterator<Item = &'static str> {
    let own = [("net", private_network), ("user", user_namespace)];
    own.into_iter().filter(|(_, own)| *own).map(|(name, _)| name).chain(WRITABLE_SYSCTLS)
}

/// Mounts that guests remount, so the leader makes them itself.
pub fn inside_operations(facts: &Facts, custom: Vec<Operation>) -> Vec<Operation> {
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
pub fn is_inside(operation: &Operation) -> bool {
    let (Operation::Bind { target, .. } | Operation::Mount { target, .. } | Operation::Mask { target }) =
        operation
    else {
        return false;
    };
    is_made_inside(target)
}

fn is_made_inside(target: &str) -> bool {
    ["/run/", "/dev/shm/", "/dev/mqueue/"].iter().any(|prefix| target.starts_with(prefix))
}

/// The operation of a mount of the definition; `root` is the host id of the container's root.
pub fn custom(mount: &CustomMount, root: u32) -> Operation {
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
        CustomMount::Tmpfs { target, options } => {
            let mut options = options.clone();
            // What the leader mounts is its own anyway, by the ids of its namespace.
            if !is_made_inside(&text(target)) {
                options.extend(["uid", "gid"].map(|key| (key.to_string(), root.to_string())));
            }
            Operation::Mount {
                filesystem: "tmpfs",
                target: text(target),
                options,
                attributes: Attributes::DATA,
            }
        }
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

/// Sysctls that are the container's own, because they are per IPC namespace; `net` and `user` are where those namespaces are.
const WRITABLE_SYSCTLS: [&str; 13] = [
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

/// Files that describe the host or reach into it; masked.
pub const MASKED: [&str; 28] = [
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

/// Directories that a container may read but not write.
pub const READ_ONLY: [&str; 4] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/driver"];
