//! The last stage of a definition: every value checked and typed, defaults filled in.
//!
//! Only what the sandbox honours has a field; the table of keys is `directives.rs`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use super::network::Network;

/// A whole, valid definition.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// `[Exec]`: what runs, as whom, with which rights.
    pub exec: Exec,
    /// `[Files]`: the root file system and what is mounted into it.
    pub files: Files,
    /// `[Network]` and the `[Interface NAME]` sections.
    pub network: Network,
    /// `[Console]`: scrollback and journal limits.
    pub console: Console,
    /// `[Container]`: order and groups.
    pub container: Container,
    /// `[Unit]`, passed to the service's drop-in verbatim: key, value.
    pub unit: Vec<(String, String)>,
    /// `[Install]` `WantedBy=`: units that pull this container in.
    pub wanted_by: Vec<String>,
    /// `[Install]` `RequiredBy=`.
    pub required_by: Vec<String>,
    /// `[Resources]`, systemd.resource-control(5) passed to the slice verbatim: key, value.
    pub resources: Vec<(String, String)>,
}

/// `[Exec]`, named as in systemd.nspawn(5).
#[derive(Clone, Debug, PartialEq)]
pub struct Exec {
    /// `Boot=`: look for an init and run it. Off: `Parameters=` is the command.
    pub boot: bool,
    /// `Parameters=`: arguments of the init, or the command and its arguments.
    pub parameters: Vec<String>,
    /// `Environment=`: in order, later ones win.
    pub environment: Vec<(String, String)>,
    /// `WorkingDirectory=`, absolute, inside.
    pub working_directory: Option<PathBuf>,
    /// `KillSignal=` as a number; `None` leaves it to the kind of init.
    pub kill_signal: Option<i32>,
    /// `NotifyReady=`.
    pub notify_ready: Readiness,
    /// `Hostname=`; the machine's name otherwise.
    pub hostname: Option<String>,
    /// `MachineID=`: 32 lower-case hexadecimal digits.
    pub machine_id: Option<String>,
    /// `PrivateUsers=`.
    pub private_users: PrivateUsers,
    /// `Capability=`: bit mask of capabilities kept beyond the default.
    pub capability: u64,
    /// `DropCapability=`: bit mask of capabilities dropped from the default.
    pub drop_capability: u64,
    /// `AmbientCapability=`: bit mask of capabilities that programs inherit without being root.
    pub ambient_capability: u64,
    /// `Privileged=`: root inside may be root of the host.
    pub privileged: bool,
    /// `Nesting=`: room for containers inside.
    pub nesting: bool,
    /// `NoNewPrivileges=`.
    pub no_new_privileges: bool,
    /// `SystemCallFilter=`: system call names, in order.
    pub system_call_filter: Vec<SyscallRule>,
    /// `SeccompProfile=`: a file of LXC's kind on the host, in place of our list.
    pub seccomp_profile: Option<PathBuf>,
    /// `SeccompNotifyProxy=`: a path, or `@` and an abstract name, of a unix socket on the host.
    pub seccomp_notify_proxy: Option<String>,
    /// `SeccompNotifyCookie=`; none is empty.
    pub seccomp_notify_cookie: String,
    /// `AppArmorProfile=`; `None` is the default: generated where it can be.
    pub apparmor_profile: Option<AppArmorProfile>,
    /// `SELinuxContext=`; `None` is the default: a context of its own where there can be one.
    pub selinux_context: Option<String>,
    /// `LimitNOFILE=` and its kin.
    pub limits: Vec<ResourceLimit>,
    /// `OOMScoreAdjust=`, -1000 to 1000.
    pub oom_score_adjust: Option<i32>,
    /// No key of a definition: a first process of our own, for what is executed there later.
    pub own_init: bool,
    /// `LinkJournal=`.
    pub link_journal: LinkJournal,
}

impl Default for Exec {
    fn default() -> Exec {
        Exec {
            boot: true,
            parameters: Vec::new(),
            environment: Vec::new(),
            working_directory: None,
            kill_signal: None,
            notify_ready: Readiness::Started,
            hostname: None,
            machine_id: None,
            private_users: PrivateUsers::Pick,
            capability: 0,
            drop_capability: 0,
            ambient_capability: 0,
            privileged: false,
            nesting: false,
            no_new_privileges: false,
            system_call_filter: Vec::new(),
            seccomp_profile: None,
            seccomp_notify_proxy: None,
            seccomp_notify_cookie: String::new(),
            apparmor_profile: None,
            selinux_context: None,
            limits: Vec::new(),
            oom_score_adjust: None,
            own_init: false,
            link_journal: LinkJournal::TryGuest,
        }
    }
}

/// `NotifyReady=`: when the container's service counts as started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Readiness {
    /// `no`: when its first process was executed.
    #[default]
    Started,
    /// `yes`: when that says so (sd_notify(3)).
    Told,
    /// `network`: when it has an address.
    Network,
}

/// `PrivateUsers=` (systemd.nspawn(5)): which host ids the container's ids are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PrivateUsers {
    /// `pick`, the default: a range of 65536 ids of the container's own, kept over restarts.
    #[default]
    Pick,
    /// `no`: the host's ids, no user namespace.
    No,
    /// `identity`: a user namespace in which ids are the host's.
    Identity,
    /// `BASE[:SIZE]`: this range; the size is 65536 unless given.
    Range {
        /// First host id.
        base: u32,
        /// The number of ids.
        size: u32,
    },
}

impl PrivateUsers {
    /// Whether root inside is, by its number, root of the host.
    pub fn has_hosts_root(&self) -> bool {
        matches!(self, PrivateUsers::No | PrivateUsers::Identity | PrivateUsers::Range { base: 0, .. })
    }
}

/// One entry of `SystemCallFilter=`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyscallRule {
    /// `name`: allowed beyond the default.
    Allow(String),
    /// `~name`: refused with EPERM.
    Deny(String),
}

/// `AppArmorProfile=`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppArmorProfile {
    /// `generated`: one made for this container.
    Generated,
    /// `unconfined`: none.
    Unconfined,
    /// A profile that the host has loaded.
    Named(String),
}

/// One `Limit…=` (setrlimit(2)); `None` is `infinity`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResourceLimit {
    /// The kernel's number, `libc::RLIMIT_*`.
    pub resource: u32,
    /// Soft limit in the resource's own unit.
    pub soft: Option<u64>,
    /// Hard limit in the resource's own unit.
    pub hard: Option<u64>,
}

/// `LinkJournal=` (systemd.nspawn(5)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LinkJournal {
    /// `no`: the guest's journal stays in the guest.
    No,
    /// `host`: the files are the host's, bound into the guest; failing is an error.
    Host,
    /// `try-host`.
    TryHost,
    /// `guest`: the files are the guest's, linked on the host; failing is an error.
    Guest,
    /// `try-guest`, the default as in systemd-nspawn@.service.
    #[default]
    TryGuest,
    /// `auto`: as `host` where `/var/log/journal/MACHINE-ID` exists on the host.
    Auto,
}

/// `[Files]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Files {
    /// `RootDirectory=`, absolute on the host; the store's `NAME/rootfs` otherwise.
    pub root_directory: Option<PathBuf>,
    /// `ReadOnly=`: the whole root file system.
    pub read_only: bool,
    /// No key of a definition: what is written to the root file system is gone afterwards.
    pub ephemeral: bool,
    /// `DeviceAllow=`: device nodes of the host.
    pub devices: Vec<DeviceAllow>,
    /// `Bind=`, `BindReadOnly=`, `TemporaryFileSystem=`, `Inaccessible=`, in the order written.
    pub mounts: Vec<CustomMount>,
}

/// `DeviceAllow=PATH [ACCESS]`: a device node of the host that the container gets one of its own of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceAllow {
    /// Absolute path below `/dev`, on the host and inside.
    pub path: PathBuf,
    /// Of `r`, `w` and `m` (systemd.resource-control(5)).
    pub access: String,
}

/// A mount that the definition asks for. Targets are absolute paths inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CustomMount {
    /// `Bind=SOURCE[:TARGET[:OPTIONS]]`, `BindReadOnly=` alike.
    Bind {
        /// Absolute path on the host.
        source: PathBuf,
        /// Path inside; the source's where it is not given.
        target: PathBuf,
        /// `BindReadOnly=`.
        read_only: bool,
        /// Options `rbind` (default) or `norbind`.
        recursive: bool,
        /// Option `idmap`: the container's ids on the host's files.
        idmap: bool,
        /// A source written `-/path` may be missing.
        optional: bool,
    },
    /// `TemporaryFileSystem=TARGET[:OPTIONS]`.
    Tmpfs {
        /// Path inside.
        target: PathBuf,
        /// Mount options of tmpfs(5): `size=`, `nr_inodes=`, `mode=`, in order.
        options: Vec<(String, String)>,
    },
    /// `Inaccessible=TARGET`.
    Inaccessible {
        /// Path inside.
        target: PathBuf,
    },
}

/// `[Console]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Console {
    /// `Ttys=`: terminals beside the console.
    pub ttys: u8,
    /// `BufferSize=`: bytes of scrollback kept.
    pub buffer_bytes: u64,
    /// `LogRateLimitIntervalSec=` (as in systemd.exec(5)), in microseconds; 0 is no limit.
    pub rate_interval_usec: u64,
    /// `LogRateLimitBurst=`: lines journaled per interval; 0 is no limit.
    pub rate_burst: u32,
}

impl Default for Console {
    fn default() -> Console {
        Console { ttys: 0, buffer_bytes: 1 << 20, rate_interval_usec: 30_000_000, rate_burst: 10_000 }
    }
}

/// `[Container]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Container {
    /// `StartPriority=`: higher ones start first.
    pub start_priority: i32,
    /// `StartDelay=`: microseconds until those of a lower priority start.
    pub start_delay_usec: u64,
    /// `Groups=`.
    pub groups: Vec<String>,
}
