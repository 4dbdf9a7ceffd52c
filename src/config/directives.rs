//! The one table of keys: what each means, how it is read, who may set it, and when it takes effect.
//!
//! Parser, manual page, trust rule and what is said of a change are made from it. A row without a class of each kind
//! does not compile, so no key comes in unclassified. The keys that systemd reads and we only pass on are in `verbatim.rs`.

use super::key::{Directive, Effect, Field, Keeps, Reach, Trust};
use super::network::{Interface, values as links};
use super::settings::{CustomMount, ResourceLimit, Settings};
use super::values::{Parsed, Wrong};
use super::{capability, mounts, quantity, signal, tty, values, words};

/// All sections in the manual's order.
pub const SECTIONS: [&str; 9] =
    ["Exec", "Files", "Network", "Interface", "Console", "Container", "Resources", "Unit", "Install"];

/// A field that the last assignment sets.
macro_rules! set {
    ($($field:ident).+, $parse:expr) => {
        Field {
            keeps: Keeps::Last,
            reach: Reach::Settings {
                assign: |settings, text| {
                    settings.$($field).+ = $parse(text)?.into();
                    Ok(())
                },
                reset: |settings| settings.$($field).+ = Settings::default().$($field).+,
            },
        }
    };
}

/// A list that each assignment adds to.
macro_rules! add {
    ($($field:ident).+, $parse:expr) => {
        Field {
            keeps: Keeps::All,
            reach: Reach::Settings {
                assign: |settings, text| {
                    settings.$($field).+.extend($parse(text)?);
                    Ok(())
                },
                reset: |settings| settings.$($field).+.clear(),
            },
        }
    };
}

/// A bit mask that each assignment adds to.
macro_rules! mask {
    ($($field:ident).+) => {
        Field {
            keeps: Keeps::All,
            reach: Reach::Settings {
                assign: |settings, text| {
                    settings.$($field).+ |= capability::mask(text)?;
                    Ok(())
                },
                reset: |settings| settings.$($field).+ = 0,
            },
        }
    };
}

/// Mounts of one kind; all kinds share a list, since their order counts.
macro_rules! mount {
    ($kind:pat, $parse:expr) => {
        Field {
            keeps: Keeps::All,
            reach: Reach::Settings {
                assign: |settings, text| {
                    settings.files.mounts.push($parse(text)?);
                    Ok(())
                },
                reset: |settings| settings.files.mounts.retain(|mount| !matches!(mount, $kind)),
            },
        }
    };
}

/// A key of `[Interface NAME]` that the last assignment sets.
macro_rules! of_interface {
    ($key:literal, $value:literal, $field:ident, $parse:expr, $doc:literal) => {
        Directive {
            section: "Interface",
            key: $key,
            value: $value,
            trust: Trust::Host,
            doc: $doc,
            effect: Effect::Restart,
            field: Field {
                keeps: Keeps::Last,
                reach: Reach::Interface {
                    assign: |interface, text| {
                        interface.$field = $parse(text)?.into();
                        Ok(())
                    },
                    reset: |interface| interface.$field = Interface::new(interface.section.clone()).$field,
                },
            },
        }
    };
}

/// A key of `[Interface NAME]` that each assignment adds to.
macro_rules! list_of_interface {
    ($key:literal, $value:literal, $field:ident, $parse:expr, $doc:literal) => {
        Directive {
            section: "Interface",
            key: $key,
            value: $value,
            trust: Trust::Host,
            doc: $doc,
            effect: Effect::Restart,
            field: Field {
                keeps: Keeps::All,
                reach: Reach::Interface {
                    assign: |interface, text| {
                        interface.$field.extend($parse(text)?);
                        Ok(())
                    },
                    reset: |interface| interface.$field.clear(),
                },
            },
        }
    };
}

/// The row of one `Limit…=`.
macro_rules! limit {
    ($key:literal, $resource:ident, $parse:expr, $doc:literal) => {
        Directive {
            section: "Exec",
            key: $key,
            value: "VALUE|SOFT:HARD",
            trust: Trust::Host,
            effect: Effect::Restart,
            doc: $doc,
            field: Field {
                keeps: Keeps::Last,
                reach: Reach::Settings {
                    assign: |settings, text| {
                        let (soft, hard) = quantity::limits(text, $parse)?;
                        drop_limit(settings, libc::$resource);
                        settings.exec.limits.push(ResourceLimit { resource: libc::$resource, soft, hard });
                        Ok(())
                    },
                    reset: |settings| drop_limit(settings, libc::$resource),
                },
            },
        }
    };
}

fn drop_limit(settings: &mut Settings, resource: u32) {
    settings.exec.limits.retain(|limit| limit.resource != resource);
}

/// Scrollback is memory that the supervisor holds.
fn buffer_size(text: &str) -> Parsed<u64> {
    match quantity::size(text)? {
        size if (4 << 10..=1 << 30).contains(&size) => Ok(size),
        _ => Err(Wrong::new(format!("'{text}' is not a size from 4K to 1G"))),
    }
}

/// Every key that we read ourselves, in the manual's order.
pub static TABLE: &[Directive] = &[
    Directive {
        section: "Exec",
        key: "Boot",
        value: "BOOL",
        trust: Trust::Image,
        effect: Effect::Restart,
        doc: "If enabled, an init is searched for in the root file system and run. If disabled, the \
              command in Parameters= is run. Enabled by default.",
        field: set!(exec.boot, values::boolean),
    },
    Directive {
        section: "Exec",
        key: "Parameters",
        value: "WORD…",
        trust: Trust::Image,
        effect: Effect::Restart,
        doc: "Arguments of the init, or with Boot=no the command and its arguments. Words may be quoted \
              and contain C escapes.",
        field: add!(exec.parameters, words::quoted),
    },
    Directive {
        section: "Exec",
        key: "Environment",
        value: "NAME=VALUE…",
        trust: Trust::Image,
        effect: Effect::Restart,
        doc: "Environment variables of the first process. Assignments may be quoted and contain C \
              escapes. A later assignment to the same variable takes precedence.",
        field: add!(exec.environment, words::environment),
    },
    Directive {
        section: "Exec",
        key: "WorkingDirectory",
        value: "PATH",
        trust: Trust::Image,
        effect: Effect::Restart,
        doc: "Working directory of the first process, an absolute path in the container. Defaults to /.",
        field: set!(exec.working_directory, values::path),
    },
    Directive {
        section: "Exec",
        key: "KillSignal",
        value: "SIGNAL",
        trust: Trust::Image,
        effect: Effect::Restart,
        doc: "Signal that requests a shutdown from the first process: a name or a number, such as \
              SIGRTMIN+3. The default depends on the kind of init, see containerctl(1).",
        field: set!(exec.kill_signal, signal::signal),
    },
    Directive {
        section: "Exec",
        key: "NotifyReady",
        value: "BOOL|network",
        trust: Trust::Image,
        effect: Effect::Restart,
        doc: "Determines when the service counts as started: with no, once the init runs; with yes, once \
              it reports readiness by sd_notify(3); with network, once an interface in the container has \
              an address by which others can reach it, whoever assigned it. The start fails after \
              TimeoutStartSec= of the unit. Defaults to no.",
        field: set!(exec.notify_ready, values::readiness),
    },
    Directive {
        section: "Exec",
        key: "Hostname",
        value: "NAME",
        trust: Trust::Image,
        effect: Effect::Restart,
        doc: "Host name at the start. An init that reads its own /etc/hostname overrides it. Defaults to \
              the name of the container.",
        field: set!(exec.hostname, values::hostname),
    },
    Directive {
        section: "Exec",
        key: "MachineID",
        value: "ID",
        trust: Trust::Host,
        effect: Effect::Restart,
        doc: "The machine-id(5) of the container: 32 hexadecimal digits or a UUID. Defaults to the ID in \
              the image's /etc/machine-id, or to a new ID at each start if the image has none.",
        field: set!(exec.machine_id, values::machine_id),
    },
    Directive {
        section: "Exec",
        key: "PrivateUsers",
        value: "pick|no|identity|BASE[:SIZE]",
        trust: Trust::Host,
        effect: Effect::Restart,
        doc: "Configures the user namespace. With pick or yes, 65536 ids are allocated, which the \
              container keeps. With identity, the ids are those of the host. BASE[:SIZE] selects a range; \
              it must not contain an id of another container nor, unless BASE is 0, an id of a user, \
              group or dynamic user of the host, or one that subuid(5) or subgid(5) assign to a user \
              other than root. With no, the container has no user namespace, and Privileged= is needed where \
              no security module confines it. Defaults to pick.",
        field: set!(exec.private_users, values::private_users),
    },
    Directive {
        section: "Exec",
        key: "Privileged",
        value: "BOOL",
        trust: Trust::Host,
        effect: Effect::Restart,
        doc: "Permits PrivateUsers=no where neither AppArmor nor SELinux confines the container: its root can \
              become root of the host. Defaults to no.",
        field: set!(exec.privileged, values::boolean),
    },
    Directive {
        section: "Exec",
        key: "Capability",
        value: "CAPABILITY…",
        trust: Trust::Host,
        effect: Effect::Restart,
        doc: "Capabilities kept in addition to the default: names, numbers, or all. See capabilities(7).",
        field: mask!(exec.capability),
    },
    Directive {
        section: "Exec",
        key: "DropCapability",
        value: "CAPABILITY…",
        trust: Trust::Image,
        effect: Effect::Restart,
        doc: "Capabilities dropped from the default.",
        field: mask!(exec.drop_capability),
    },
    Directive {
        section: "Exec",
        key: "AmbientCapability",
        value: "CAPABILITY…",
        trust: Trust::Host,
        effect: Effect::Restart,
        doc: "Capabilities that the first process passes on to programs that are not run by root. The \
              container must have these capabilities.",
        field: mask!(exec.ambient_capability),
    },
    Directive {
        section: "Exec",
        key: "Nesting",
        value: "BOOL",
        trust: Trust::Host,
        effect: Effect::Restart,
        doc: "Allows containers in the container: uncovered instances of /proc and /sys are mounted below \
              /dev/.nest. Without them the kernel refuses mounts of /proc and /sys in inner user \
              namespaces, and for units inside that set ProtectProc=, ProcSubset= or PrivatePIDs=. Root \
              in the container can then mount a /proc in which nothing is covered. Disabled by default.",
        field: set!(exec.nesting, values::boolean),
    },
    Directive {
        section: "Exec",
        key: "NoNewPrivileges",
        value: "BOOL",
        trust: Trust::Image,
        effect: Effect::Restart,
        doc: "If enabled, programs gain no privileges by set-user-ID bits or file capabilities. Disabled \
              by default.",
        field: set!(exec.no_new_privileges, values::boolean),
    },
    Directive {
        section: "Exec",
        key: "SystemCallFilter",
        value: "[~]NAME…",
        trust: Trust::Host,
        effect: Effect::Restart,
        doc: "System calls allowed in addition to the default. If the first name is prefixed with ~, all \
              system calls of the line are refused with EPERM.",
        field: add!(exec.system_call_filter, values::system_calls),
    },
    Directive {
        section: "Exec",
        key: "SeccompProfile",
        value: "PATH",
        trust: Trust::Host,
        effect: Effect::Restart,
        doc: "Seccomp profile in the format of LXC, version 1 or 2: an absolute path on the host. It \
              replaces the list of allowed system calls, but not the refusal of injected terminal input. \
              An unknown system call in it is an error. The action notify requires SeccompNotifyProxy=.",
        field: set!(exec.seccomp_profile, values::path_below_root),
    },
    Directive {
        section: "Exec",
        key: "SeccompNotifyProxy",
        value: "PATH|@NAME",
        trust: Trust::Host,
        effect: Effect::Reload,
        doc: "Path or abstract name of a unix socket on the host. The program that listens there answers \
              the system calls to which SeccompProfile= assigns the action notify, see \
              containerctl-confinement(7). The container does not start if no program listens. A call \
              that is not answered within 30 seconds fails with ENOSYS.",
        field: set!(exec.seccomp_notify_proxy, |text| values::socket_address(text).map(Some)),
    },
    Directive {
        section: "Exec",
        key: "SeccompNotifyCookie",
        value: "TEXT",
        trust: Trust::Host,
        effect: Effect::Reload,
        doc: "Text of at most 255 bytes that this program receives with every call, like \
              lxc.seccomp.notify.cookie of LXC. Incus reads the first 64 bytes.",
        field: set!(exec.seccomp_notify_cookie, values::cookie),
    },
    Directive {
        section: "Exec",
        key: "AppArmorProfile",
        value: "generated|unconfined|NAME",
        trust: Trust::Host,
        effect: Effect::Restart,
        doc: "AppArmor profile of the first process: generated for the container, unconfined, or the name \
              of a loaded profile. Defaults to generated if the kernel supports AppArmor. If the key is \
              set and the kernel does not support AppArmor, the container does not start.",
        field: set!(exec.apparmor_profile, |text| values::apparmor_profile(text).map(Some)),
    },
    Directive {
        section: "Exec",
        key: "SELinuxContext",
        value: "CONTEXT",
        trust: Trust::Host,
        effect: Effect::Restart,
        doc: "SELinux context of the first process. If the kernel supports SELinux and the root file \
              system is labelled as a container's, the default is the context that the policy defines for \
              containers, with a pair of categories that no other container has. If the key is set and \
              the kernel does not support SELinux, the container does not start.",
        field: set!(exec.selinux_context, |text| values::selinux_context(text).map(Some)),
    },
    limit!(
        "LimitCPU",
        RLIMIT_CPU,
        quantity::cpu_time,
        "CPU time per process, in seconds or as a time \
         span. See setrlimit(2)."
    ),
    limit!("LimitFSIZE", RLIMIT_FSIZE, quantity::size, "Maximum size of a file."),
    limit!("LimitDATA", RLIMIT_DATA, quantity::size, "Maximum data segment of a process."),
    limit!("LimitSTACK", RLIMIT_STACK, quantity::size, "Maximum stack of a process."),
    limit!("LimitCORE", RLIMIT_CORE, quantity::size, "Maximum size of a core file."),
    limit!(
        "LimitRSS",
        RLIMIT_RSS,
        quantity::size,
        "Resident memory of a process. Has no effect \
         on Linux."
    ),
    limit!("LimitNOFILE", RLIMIT_NOFILE, quantity::count, "Number of open file descriptors per process."),
    limit!("LimitAS", RLIMIT_AS, quantity::size, "Maximum address space of a process."),
    limit!("LimitNPROC", RLIMIT_NPROC, quantity::count, "Number of processes per user."),
    limit!("LimitMEMLOCK", RLIMIT_MEMLOCK, quantity::size, "Locked memory per process."),
    limit!("LimitLOCKS", RLIMIT_LOCKS, quantity::count, "Number of file locks. Has no effect on Linux."),
    limit!("LimitSIGPENDING", RLIMIT_SIGPENDING, quantity::count, "Number of queued signals per user."),
    limit!("LimitMSGQUEUE", RLIMIT_MSGQUEUE, quantity::size, "Bytes in POSIX message queues per user."),
    limit!(
        "LimitNICE",
        RLIMIT_NICE,
        quantity::nice,
        "Highest priority: a signed nice level, or 0 \
         to 40."
    ),
    limit!("LimitRTPRIO", RLIMIT_RTPRIO, quantity::count, "Highest real-time priority."),
    limit!(
        "LimitRTTIME",
        RLIMIT_RTTIME,
        quantity::real_time,
        "CPU time of a process under real-time \
         scheduling, in microseconds or as a time span."
    ),
    Directive {
        section: "Exec",
        key: "OOMScoreAdjust",
        value: "NUMBER",
        trust: Trust::Host,
        effect: Effect::Restart,
        doc: "OOM score adjustment of the processes, from -1000 to 1000. The kernel kills processes with \
              a higher value first when memory runs out.",
        field: set!(exec.oom_score_adjust, |text| values::number(text, -1000, 1000)),
    },
    Directive {
        section: "Exec",
        key: "LinkJournal",
        value: "no|host|try-host|guest|try-guest|auto",
        trust: Trust::Host,
        effect: Effect::Restart,
        doc: "Makes the journal of the container visible on the host, as in systemd.nspawn(5), if the host has \
              /var/log/journal. With guest, the files are kept beside the root file system, in \
              /var/lib/containerctl/NAME/journal; with host, in /var/log/journal/MACHINE-ID. Either directory is mounted \
              in the container, and destroy removes it. Defaults to try-guest.",
        field: set!(exec.link_journal, values::link_journal),
    },
    Directive {
        section: "Files",
        key: "RootDirectory",
        value: "PATH",
        trust: Trust::Host,
        effect: Effect::Restart,
        doc: "Root file system, an absolute path on the host. Defaults to \
              /var/lib/containerctl/NAME/rootfs.",
        field: set!(files.root_directory, values::path_below_root),
    },
    Directive {
        section: "Files",
        key: "DeviceAllow",
        value: "PATH [rwm]",
        trust: Trust::Host,
        effect: Effect::Restart,
        doc: "Device node below /dev of the host that the container may use, as in \
              systemd.resource-control(5): r allows reading, w writing, m creating nodes. The node is \
              owned by root of the container. Access defaults to rwm.",
        field: add!(files.devices, |text| values::device(text).map(Some)),
    },
    Directive {
        section: "Files",
        key: "ReadOnly",
        value: "BOOL",
        trust: Trust::Image,
        effect: Effect::Restart,
        doc: "Makes the root file system read-only. Disabled by default.",
        field: set!(files.read_only, values::boolean),
    },
    Directive {
        section: "Files",
        key: "Bind",
        value: "SOURCE[:TARGET[:OPTIONS]]",
        trust: Trust::Host,
        effect: Effect::Restart,
        doc: "Mounts a file or directory of the host into the container. Options, separated by commas: \
              rbind (default), norbind, idmap, noidmap. A colon in a path is written as \\:. A source \
              prefixed with - may be missing. Files keep their owners on the host, which appear as nobody \
              in the container unless idmap maps them. With idmap, users of the host must not be able to \
              reach the source: it is below a directory of mode 0700, or its mount is nosuid.",
        field: mount!(CustomMount::Bind { read_only: false, .. }, |text| mounts::bind(text, false)),
    },
    Directive {
        section: "Files",
        key: "BindReadOnly",
        value: "SOURCE[:TARGET[:OPTIONS]]",
        trust: Trust::Host,
        effect: Effect::Restart,
        doc: "Like Bind=, but read-only.",
        field: mount!(CustomMount::Bind { read_only: true, .. }, |text| mounts::bind(text, true)),
    },
    Directive {
        section: "Files",
        key: "TemporaryFileSystem",
        value: "TARGET[:OPTIONS]",
        trust: Trust::Host,
        effect: Effect::Restart,
        doc: "Mounts an empty tmpfs(5) in the container. Options, separated by commas: size=, nr_inodes=, \
              mode=.",
        field: mount!(CustomMount::Tmpfs { .. }, mounts::tmpfs),
    },
    Directive {
        section: "Files",
        key: "Inaccessible",
        value: "TARGET",
        trust: Trust::Host,
        effect: Effect::Restart,
        doc: "Covers a file or directory of the container with one that cannot be accessed.",
        field: mount!(CustomMount::Inaccessible { .. }, mounts::inaccessible),
    },
    Directive {
        section: "Network",
        key: "Private",
        value: "BOOL",
        trust: Trust::Host,
        effect: Effect::Restart,
        doc: "Gives the container its own network namespace. If disabled, it uses that of the host. \
              Enabled by default.",
        field: set!(network.private, values::boolean),
    },
    Directive {
        section: "Network",
        key: "VirtualEthernet",
        value: "BOOL",
        trust: Trust::Host,
        effect: Effect::Restart,
        doc: "Adds a veth link to the host, host0 inside and ve-NAME outside, which \
              80-container-ve.network of systemd-networkd configures. If neither this key nor another \
              link is configured, the container has the link eth0 in the managed network ctl0. If \
              disabled, the container has only the links that other keys configure.",
        field: set!(network.virtual_ethernet, |text| values::boolean(text).map(Some)),
    },
    Directive {
        section: "Network",
        key: "VirtualEthernetExtra",
        value: "HOST[:INSIDE]…",
        trust: Trust::Host,
        effect: Effect::Restart,
        doc: "Adds veth links to the host with these names outside and inside. They are not configured \
              further.",
        field: add!(network.virtual_ethernet_extra, links::same_inside),
    },
    Directive {
        section: "Network",
        key: "Bridge",
        value: "INTERFACE",
        trust: Trust::Host,
        effect: Effect::Restart,
        doc: "Adds a veth link, host0 inside, whose outer end vb-NAME is a port of this bridge of the \
              host.",
        field: set!(network.bridge, |text| links::interface(text).map(Some)),
    },
    Directive {
        section: "Network",
        key: "Zone",
        value: "ZONE",
        trust: Trust::Host,
        effect: Effect::Restart,
        doc: "Like Bridge=, with the bridge vz-ZONE, which is created with the first container of the \
              zone and removed with the last. 80-container-vz.network of systemd-networkd configures it.",
        field: set!(network.zone, |text| links::zone(text).map(Some)),
    },
    Directive {
        section: "Network",
        key: "MACVLAN",
        value: "PARENT[:INSIDE]…",
        trust: Trust::Host,
        effect: Effect::Restart,
        doc: "Adds a macvlan interface on an interface of the host. Its name inside defaults to mv-PARENT.",
        field: add!(network.macvlan, links::macvlan),
    },
    Directive {
        section: "Network",
        key: "IPVLAN",
        value: "PARENT[:INSIDE]…",
        trust: Trust::Host,
        effect: Effect::Restart,
        doc: "Adds an ipvlan interface on an interface of the host. Its name inside defaults to iv-PARENT.",
        field: add!(network.ipvlan, links::ipvlan),
    },
    Directive {
        section: "Network",
        key: "Interface",
        value: "HOST[:INSIDE]…",
        trust: Trust::Host,
        effect: Effect::Restart,
        doc: "Moves an interface of the host into the container. It returns with its old name when the \
              container ends.",
        field: add!(network.physical, links::same_inside),
    },
    Directive {
        section: "Network",
        key: "NamespacePath",
        value: "PATH",
        trust: Trust::Host,
        effect: Effect::Restart,
        doc: "Uses the network namespace at this path of the host, such as /run/netns/NAME, without \
              changing it.",
        field: set!(network.namespace_path, values::path_below_root),
    },
    Directive {
        section: "Network",
        key: "Port",
        value: "[tcp:|udp:]HOST[:CONTAINER]",
        trust: Trust::Host,
        effect: Effect::Restart,
        doc: "Forwards a port of the host to a port of the container, by default to the same one: from \
              outside, from the host and from neighbours, by IPv4 and IPv6. The container needs an \
              address that is set from outside. The protocol defaults to tcp.",
        field: add!(network.ports, |text| links::port(text).map(Some)),
    },
    of_interface!(
        "Type",
        "veth|macvlan|ipvlan|vlan|physical|none|empty|namespace",
        kind,
        links::kind,
        "veth (default): a pair, one end of which stays on the host. macvlan, ipvlan, vlan: an interface \
         on an interface of the host. physical: an interface of the host. none: the network namespace of \
         the host. empty: only a loopback interface. namespace: an existing network namespace. See \
         containerctl-network(7)."
    ),
    of_interface!(
        "Name",
        "NAME",
        name,
        |text| links::interface(text).map(Some),
        "Name of the interface inside. Defaults to the name of the section."
    ),
    of_interface!(
        "HostName",
        "NAME",
        host_name,
        |text| links::interface(text).map(Some),
        "Name of the outer end of a veth. Defaults to vb-NAME, or ve-NAME without a bridge. A name that \
         is too long for the kernel is shortened and ends in a hash; the full name is then an alternative \
         name."
    ),
    of_interface!(
        "Mode",
        "MODE",
        mode,
        |text| links::mode(text).map(Some),
        "For veth: bridge (default), or point-to-point, which 80-container-ve.network of systemd-networkd \
         configures. For macvlan: bridge (default), private, vepa, passthru. For ipvlan: l2 (default), \
         l3, l3s."
    ),
    of_interface!(
        "Parent",
        "INTERFACE",
        parent,
        |text| links::interface(text).map(Some),
        "Interface of the host on which a macvlan, ipvlan or vlan is created, or which is moved into the \
         container (physical)."
    ),
    of_interface!(
        "Bridge",
        "INTERFACE",
        bridge,
        |text| links::interface(text).map(Some),
        "Bridge of the host of which the veth is a port, of the kernel or of Open vSwitch. Defaults to \
         the managed bridge ctl0."
    ),
    of_interface!(
        "Zone",
        "ZONE",
        zone,
        |text| links::zone(text).map(Some),
        "Like Bridge=, with the bridge vz-ZONE, which is created with the first container of the zone and \
         removed with the last."
    ),
    of_interface!(
        "NamespacePath",
        "PATH",
        namespace_path,
        values::path_below_root,
        "For Type=namespace: path of the network namespace on the host, such as /run/netns/NAME."
    ),
    of_interface!(
        "Machine",
        "NAME",
        machine,
        |text| links::machine(text).map(Some),
        "For Type=namespace: the container whose network namespace is used. It must be running."
    ),
    of_interface!(
        "MACAddress",
        "MAC",
        mac,
        |text| links::mac(text).map(Some),
        "MAC address. The default is derived from the name of the container and the machine-id(5) of the \
         host, and is therefore stable."
    ),
    of_interface!(
        "MTU",
        "BYTES",
        mtu,
        |text| values::number(text, 68, 65535).map(Some),
        "Maximum size of a packet. Defaults to that of the bridge or parent."
    ),
    list_of_interface!(
        "Address",
        "ADDRESS[/LENGTH]…",
        addresses,
        links::addresses,
        "Addresses, set from outside without a program in the container. In the managed network the \
         default is an address that the container keeps; another IPv4 address of the range can be \
         selected if it is free and not among the first 256. In other networks no address is set by \
         default, and the container may request one."
    ),
    list_of_interface!(
        "Gateway",
        "ADDRESS…",
        gateways,
        links::hosts,
        "Default gateways, one for IPv4 and one for IPv6."
    ),
    list_of_interface!(
        "DNS",
        "ADDRESS…",
        dns,
        links::hosts,
        "Name servers, written to /etc/resolv.conf unless the container has its own."
    ),
    of_interface!(
        "VLAN",
        "ID",
        vlan,
        |text| values::number(text, 1, 4094).map(Some),
        "For Type=vlan: the VLAN ID. For Type=veth: the untagged VLAN of the port on its bridge."
    ),
    of_interface!(
        "Queues",
        "COUNT",
        queues,
        |text| values::number(text, 1, 256).map(Some),
        "Number of transmit queues and of receive queues of a veth. Defaults to 1."
    ),
    of_interface!(
        "Isolated",
        "BOOL",
        isolated,
        values::boolean,
        "Prevents traffic to other ports of the bridge. The host and the networks beyond it stay \
         reachable. Disabled by default."
    ),
    of_interface!(
        "Filter",
        "BOOL",
        filter,
        |text| values::boolean(text).map(Some),
        "Drops what a port of a bridge receives from the container unless it comes from an address of the container. \
         Enabled by default in the managed network, disabled on other bridges. Disable it for a container that serves \
         DHCP or router advertisements, or that forwards for other hosts."
    ),
    list_of_interface!(
        "AllowedAddress",
        "ADDRESS[/LENGTH]…",
        allowed_addresses,
        links::networks,
        "Addresses and networks that pass the filter in addition to those of the link. They are not set; several \
         containers may have the same one, such as the address of a VRRP group."
    ),
    of_interface!(
        "Routed",
        "BOOL",
        routed,
        values::boolean,
        "Accepts new connections to the container from hosts that route the managed network to this one. Disabled by \
         default: other hosts reach ports in Port= only."
    ),
    of_interface!(
        "RateIn",
        "BITS",
        rate_in,
        |text| links::rate(text).map(Some),
        "Maximum rate at which a veth receives, in bits per second, with suffix K, M or G. Excess packets \
         are dropped."
    ),
    of_interface!(
        "RateOut",
        "BITS",
        rate_out,
        |text| links::rate(text).map(Some),
        "Maximum rate at which a veth sends, in bits per second, with suffix K, M or G."
    ),
    Directive {
        section: "Console",
        key: "Ttys",
        value: "COUNT",
        trust: Trust::Host,
        effect: Effect::Restart,
        doc: "Number of terminals in addition to the console, up to 63. 'containerctl console NAME --tty \
              N' attaches to them. A systemd inside runs a login on each. Other inits need a getty on \
              /dev/tty1 and following in their inittab(5). Defaults to 0.",
        field: set!(console.ttys, |text| values::number(text, 0, tty::MOST)),
    },
    Directive {
        section: "Console",
        key: "BufferSize",
        value: "SIZE",
        trust: Trust::Host,
        effect: Effect::Reload,
        doc: "Size of the scrollback, from 4K to 1G. Defaults to 1M.",
        field: set!(console.buffer_bytes, buffer_size),
    },
    Directive {
        section: "Console",
        key: "LogRateLimitIntervalSec",
        value: "TIME",
        trust: Trust::Host,
        effect: Effect::Reload,
        doc: "Interval of LogRateLimitBurst=. 0 disables the limit. Defaults to 30s.",
        field: set!(console.rate_interval_usec, quantity::time_span),
    },
    Directive {
        section: "Console",
        key: "LogRateLimitBurst",
        value: "LINES",
        trust: Trust::Host,
        effect: Effect::Reload,
        doc: "Number of console lines per interval that are written to the journal. 0 disables the limit. \
              Defaults to 10000.",
        field: set!(console.rate_burst, |text| values::number(text, 0, u32::MAX)),
    },
    Directive {
        section: "Container",
        key: "StartPriority",
        value: "NUMBER",
        trust: Trust::Host,
        effect: Effect::Live,
        doc: "Among containers that start together, one with a higher priority starts first and stops \
              last; those with the same priority start in parallel. A container in After= of another \
              counts as having at least the priority of that other one. From -1000 to 1000. Defaults to \
              0.",
        field: set!(container.start_priority, |text| values::number(text, -1000, 1000)),
    },
    Directive {
        section: "Container",
        key: "StartDelay",
        value: "TIME",
        trust: Trust::Host,
        effect: Effect::Live,
        doc: "Time that containers with a lower priority wait after this one is up, if they start \
              together. Defaults to 0.",
        field: set!(container.start_delay_usec, quantity::time_span),
    },
    Directive {
        section: "Container",
        key: "Groups",
        value: "GROUP…",
        trust: Trust::Host,
        effect: Effect::Live,
        doc: "Groups of the container. Verbs can select all members of a group, as in 'containerctl start \
              --group web'.",
        field: add!(container.groups, values::groups),
    },
    Directive {
        section: "Install",
        key: "WantedBy",
        value: "UNIT…",
        trust: Trust::Host,
        effect: Effect::Live,
        doc: "Units that start the container when they start. To start it at boot, 'systemctl enable \
              container@NAME' is sufficient.",
        field: add!(wanted_by, values::units),
    },
    Directive {
        section: "Install",
        key: "RequiredBy",
        value: "UNIT…",
        trust: Trust::Host,
        effect: Effect::Live,
        doc: "Like WantedBy=, and these units fail if the container cannot be started.",
        field: add!(required_by, values::units),
    },
];
