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
        doc: "Look for an init in the root file system and run it. If off, Parameters= is the command to \
              run. On by default.",
        field: set!(exec.boot, values::boolean),
    },
    Directive {
        section: "Exec",
        key: "Parameters",
        value: "WORD…",
        trust: Trust::Image,
        effect: Effect::Restart,
        doc: "Arguments of the init; with Boot=no the command and its arguments. Words may be quoted and \
              have C escapes.",
        field: add!(exec.parameters, words::quoted),
    },
    Directive {
        section: "Exec",
        key: "Environment",
        value: "NAME=VALUE…",
        trust: Trust::Image,
        effect: Effect::Restart,
        doc: "Environment variables of the first process. Assignments may be quoted and have C escapes; \
              later ones win.",
        field: add!(exec.environment, words::environment),
    },
    Directive {
        section: "Exec",
        key: "WorkingDirectory",
        value: "PATH",
        trust: Trust::Image,
        effect: Effect::Restart,
        doc: "Working directory of the first process, an absolute path inside. / by default.",
        field: set!(exec.working_directory, values::path),
    },
    Directive {
        section: "Exec",
        key: "KillSignal",
        value: "SIGNAL",
        trust: Trust::Image,
        effect: Effect::Restart,
        doc: "Signal that asks the first process to shut down, as name or number, such as SIGRTMIN+3. \
              By default the one that the kind of init takes, see containerctl(1).",
        field: set!(exec.kill_signal, signal::signal),
    },
    Directive {
        section: "Exec",
        key: "NotifyReady",
        value: "BOOL|network",
        trust: Trust::Image,
        effect: Effect::Restart,
        doc: "The unit counts as started once the container's init says so by sd_notify(3), not as soon \
              as it runs; with network, once an interface inside has an address by which others reach it, whoever \
              sets that. What takes longer than the unit's TimeoutStartSec= has failed. Off by default.",
        field: set!(exec.notify_ready, values::readiness),
    },
    Directive {
        section: "Exec",
        key: "Hostname",
        value: "NAME",
        trust: Trust::Image,
        effect: Effect::Restart,
        doc: "Host name at the start; an init that sets one from its own /etc/hostname wins. The container's name \
              by default.",
        field: set!(exec.hostname, values::hostname),
    },
    Directive {
        section: "Exec",
        key: "MachineID",
        value: "ID",
        trust: Trust::Host,
        effect: Effect::Restart,
        doc: "The container's machine-id(5): 32 hexadecimal digits, or a UUID. By default that in the image's \
              /etc/machine-id, and where it has none, a new one at each start.",
        field: set!(exec.machine_id, values::machine_id),
    },
    Directive {
        section: "Exec",
        key: "PrivateUsers",
        value: "pick|no|identity|BASE[:SIZE]",
        trust: Trust::Host,
        effect: Effect::Restart,
        doc: "User namespace: pick (or yes), the default, gives the container 65536 ids of its own and \
              keeps them; identity has one with the host's ids; BASE[:SIZE] names the range, in which no id may be \
              another container's, nor, unless BASE is 0, that of a user, group or dynamic user of the host or \
              one that subuid(5) or subgid(5) lend to anybody but root; no has none.",
        field: set!(exec.private_users, values::private_users),
    },
    Directive {
        section: "Exec",
        key: "Capability",
        value: "CAPABILITY…",
        trust: Trust::Host,
        effect: Effect::Restart,
        doc: "Capabilities kept beyond the default: names, numbers or all (capabilities(7)).",
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
        doc: "Capabilities that the first process passes on to programs that are not run by root; they must \
              be among those that the container keeps.",
        field: mask!(exec.ambient_capability),
    },
    Directive {
        section: "Exec",
        key: "Nesting",
        value: "BOOL",
        trust: Trust::Host,
        effect: Effect::Restart,
        doc: "Room for containers inside: uncovered instances of /proc and /sys are kept hidden in \
              /dev/.nest, for without them the kernel lets no inner user namespace mount its own, nor a unit of the \
              guest that has ProtectProc=, ProcSubset= or PrivatePIDs=. The cost: the container's root can mount a \
              /proc on which nothing is masked. Off by default.",
        field: set!(exec.nesting, values::boolean),
    },
    Directive {
        section: "Exec",
        key: "NoNewPrivileges",
        value: "BOOL",
        trust: Trust::Image,
        effect: Effect::Restart,
        doc: "Programs inside gain nothing from set-user-ID or file capabilities. Off by default.",
        field: set!(exec.no_new_privileges, values::boolean),
    },
    Directive {
        section: "Exec",
        key: "SystemCallFilter",
        value: "[~]NAME…",
        trust: Trust::Host,
        effect: Effect::Restart,
        doc: "System calls allowed beyond the default; with ~ in front of the first, all of the line are \
              refused with EPERM.",
        field: add!(exec.system_call_filter, values::system_calls),
    },
    Directive {
        section: "Exec",
        key: "SeccompProfile",
        value: "PATH",
        trust: Trust::Host,
        effect: Effect::Restart,
        doc: "A seccomp profile of LXC's, version 1 or 2, an absolute path on the host. It replaces the list of \
              system calls, not the refusal of forged terminal input. A call that is not known is an error. The \
              action notify asks the program behind SeccompNotifyProxy=, and without that key is an error.",
        field: set!(exec.seccomp_profile, values::path_below_root),
    },
    Directive {
        section: "Exec",
        key: "SeccompNotifyProxy",
        value: "PATH|@NAME",
        trust: Trust::Host,
        effect: Effect::Reload,
        doc: "The unix socket of the host, by its path or its abstract name, on which a program answers the system \
              calls that SeccompProfile= has the action notify for: lxc.seccomp.notify.proxy of LXC's, with the same \
              protocol. The container does not start unless somebody listens there. Later, a call that nobody answers \
              within 30 seconds fails with ENOSYS.",
        field: set!(exec.seccomp_notify_proxy, |text| values::socket_address(text).map(Some)),
    },
    Directive {
        section: "Exec",
        key: "SeccompNotifyCookie",
        value: "TEXT",
        trust: Trust::Host,
        effect: Effect::Reload,
        doc: "What that program is sent along with every call, at most 255 bytes: lxc.seccomp.notify.cookie of LXC's. \
              Incus reads the first 64.",
        field: set!(exec.seccomp_notify_cookie, values::cookie),
    },
    Directive {
        section: "Exec",
        key: "AppArmorProfile",
        value: "generated|unconfined|NAME",
        trust: Trust::Host,
        effect: Effect::Restart,
        doc: "AppArmor profile of the first process: one that is generated for the container, none, or one that \
              the host has loaded. generated by default where the kernel has AppArmor; asked for where it has \
              not, the container does not start.",
        field: set!(exec.apparmor_profile, |text| values::apparmor_profile(text).map(Some)),
    },
    Directive {
        section: "Exec",
        key: "SELinuxContext",
        value: "CONTEXT",
        trust: Trust::Host,
        effect: Effect::Restart,
        doc: "SELinux context of the first process. By default, where the kernel has SELinux and the root file \
              system is labelled as a container's, the policy's own for containers with a pair of categories \
              that no other container has; asked for where there is no SELinux, the container does not start.",
        field: set!(exec.selinux_context, |text| values::selinux_context(text).map(Some)),
    },
    limit!(
        "LimitCPU",
        RLIMIT_CPU,
        quantity::cpu_time,
        "CPU time per process (setrlimit(2)); seconds or a time span."
    ),
    limit!("LimitFSIZE", RLIMIT_FSIZE, quantity::size, "Size of a file."),
    limit!("LimitDATA", RLIMIT_DATA, quantity::size, "Data segment of a process."),
    limit!("LimitSTACK", RLIMIT_STACK, quantity::size, "Stack of a process."),
    limit!("LimitCORE", RLIMIT_CORE, quantity::size, "Size of a core file."),
    limit!("LimitRSS", RLIMIT_RSS, quantity::size, "Resident memory; without effect on Linux."),
    limit!("LimitNOFILE", RLIMIT_NOFILE, quantity::count, "Open file descriptors per process."),
    limit!("LimitAS", RLIMIT_AS, quantity::size, "Address space of a process."),
    limit!("LimitNPROC", RLIMIT_NPROC, quantity::count, "Processes per user."),
    limit!("LimitMEMLOCK", RLIMIT_MEMLOCK, quantity::size, "Locked memory."),
    limit!("LimitLOCKS", RLIMIT_LOCKS, quantity::count, "File locks; without effect on Linux."),
    limit!("LimitSIGPENDING", RLIMIT_SIGPENDING, quantity::count, "Queued signals per user."),
    limit!("LimitMSGQUEUE", RLIMIT_MSGQUEUE, quantity::size, "Bytes in POSIX message queues per user."),
    limit!("LimitNICE", RLIMIT_NICE, quantity::nice, "Highest priority: a signed nice level, or 0 to 40."),
    limit!("LimitRTPRIO", RLIMIT_RTPRIO, quantity::count, "Highest real-time priority."),
    limit!(
        "LimitRTTIME",
        RLIMIT_RTTIME,
        quantity::real_time,
        "CPU time under real-time scheduling; microseconds or a time span."
    ),
    Directive {
        section: "Exec",
        key: "OOMScoreAdjust",
        value: "NUMBER",
        trust: Trust::Host,
        effect: Effect::Restart,
        doc: "How readily the kernel kills the container's processes when memory runs out, from -1000 to \
              1000.",
        field: set!(exec.oom_score_adjust, |text| values::number(text, -1000, 1000)),
    },
    Directive {
        section: "Exec",
        key: "LinkJournal",
        value: "no|host|try-host|guest|try-guest|auto",
        trust: Trust::Host,
        effect: Effect::Restart,
        doc: "Makes the container's journal visible on the host, as in systemd.nspawn(5). By default \
              try-guest: a link in the host's /var/log/journal, if there is one.",
        field: set!(exec.link_journal, values::link_journal),
    },
    Directive {
        section: "Files",
        key: "RootDirectory",
        value: "PATH",
        trust: Trust::Host,
        effect: Effect::Restart,
        doc: "The root file system, an absolute path on the host. /var/lib/containerctl/NAME/rootfs by \
              default.",
        field: set!(files.root_directory, values::path_below_root),
    },
    Directive {
        section: "Files",
        key: "DeviceAllow",
        value: "PATH [rwm]",
        trust: Trust::Host,
        effect: Effect::Restart,
        doc: "A device node of the host below /dev that the container gets too, owned by its root, and what \
              it may do with it: read, write, make nodes (systemd.resource-control(5)). All three by default.",
        field: add!(files.devices, |text| values::device(text).map(Some)),
    },
    Directive {
        section: "Files",
        key: "ReadOnly",
        value: "BOOL",
        trust: Trust::Image,
        effect: Effect::Restart,
        doc: "The root file system cannot be written. Off by default.",
        field: set!(files.read_only, values::boolean),
    },
    Directive {
        section: "Files",
        key: "Bind",
        value: "SOURCE[:TARGET[:OPTIONS]]",
        trust: Trust::Host,
        effect: Effect::Restart,
        doc: "A file or directory of the host appears inside. Options, separated by commas: rbind \
              (default), norbind, idmap, noidmap. In paths \\: is a colon. With - in front of it the \
              source may be missing. Owners stay the host's, so that inside they are nobody's, unless idmap \
              maps them.",
        field: mount!(CustomMount::Bind { read_only: false, .. }, |text| mounts::bind(text, false)),
    },
    Directive {
        section: "Files",
        key: "BindReadOnly",
        value: "SOURCE[:TARGET[:OPTIONS]]",
        trust: Trust::Host,
        effect: Effect::Restart,
        doc: "As Bind=, and cannot be written.",
        field: mount!(CustomMount::Bind { read_only: true, .. }, |text| mounts::bind(text, true)),
    },
    Directive {
        section: "Files",
        key: "TemporaryFileSystem",
        value: "TARGET[:OPTIONS]",
        trust: Trust::Host,
        effect: Effect::Restart,
        doc: "An empty tmpfs(5) inside. Options, separated by commas: size=, nr_inodes=, mode=.",
        field: mount!(CustomMount::Tmpfs { .. }, mounts::tmpfs),
    },
    Directive {
        section: "Files",
        key: "Inaccessible",
        value: "TARGET",
        trust: Trust::Host,
        effect: Effect::Restart,
        doc: "A file or directory inside is covered by one that nobody can use.",
        field: mount!(CustomMount::Inaccessible { .. }, mounts::inaccessible),
    },
    Directive {
        section: "Network",
        key: "Private",
        value: "BOOL",
        trust: Trust::Host,
        effect: Effect::Restart,
        doc: "A network namespace of its own; off shares the host's. On by default.",
        field: set!(network.private, values::boolean),
    },
    Directive {
        section: "Network",
        key: "VirtualEthernet",
        value: "BOOL",
        trust: Trust::Host,
        effect: Effect::Restart,
        doc: "A link to the host, host0 inside and ve-NAME outside, which networkd's 80-container-ve.network serves. Neither this nor another link given: a link in the managed network ctl0, eth0 inside. Off: no link unless another is given.",
        field: set!(network.virtual_ethernet, |text| values::boolean(text).map(Some)),
    },
    Directive {
        section: "Network",
        key: "VirtualEthernetExtra",
        value: "HOST[:INSIDE]…",
        trust: Trust::Host,
        effect: Effect::Restart,
        doc: "More links to the host, by their names there and inside. Nobody configures them.",
        field: add!(network.virtual_ethernet_extra, links::same_inside),
    },
    Directive {
        section: "Network",
        key: "Bridge",
        value: "INTERFACE",
        trust: Trust::Host,
        effect: Effect::Restart,
        doc: "The link's outer end, vb-NAME, is a port of this bridge of the host's; host0 inside.",
        field: set!(network.bridge, |text| links::interface(text).map(Some)),
    },
    Directive {
        section: "Network",
        key: "Zone",
        value: "ZONE",
        trust: Trust::Host,
        effect: Effect::Restart,
        doc: "As Bridge=, with a bridge vz-ZONE that comes with the first container of the zone and goes with the last; networkd's 80-container-vz.network serves it.",
        field: set!(network.zone, |text| links::zone(text).map(Some)),
    },
    Directive {
        section: "Network",
        key: "MACVLAN",
        value: "PARENT[:INSIDE]…",
        trust: Trust::Host,
        effect: Effect::Restart,
        doc: "A macvlan on an interface of the host's, mv-PARENT inside.",
        field: add!(network.macvlan, links::macvlan),
    },
    Directive {
        section: "Network",
        key: "IPVLAN",
        value: "PARENT[:INSIDE]…",
        trust: Trust::Host,
        effect: Effect::Restart,
        doc: "An ipvlan on an interface of the host's, iv-PARENT inside.",
        field: add!(network.ipvlan, links::ipvlan),
    },
    Directive {
        section: "Network",
        key: "Interface",
        value: "HOST[:INSIDE]…",
        trust: Trust::Host,
        effect: Effect::Restart,
        doc: "An interface of the host's is handed over, and comes back with its old name when the container ends.",
        field: add!(network.physical, links::same_inside),
    },
    Directive {
        section: "Network",
        key: "NamespacePath",
        value: "PATH",
        trust: Trust::Host,
        effect: Effect::Restart,
        doc: "The network namespace at this path of the host, such as /run/netns/NAME. It is left as it is.",
        field: set!(network.namespace_path, values::path_below_root),
    },
    Directive {
        section: "Network",
        key: "Port",
        value: "[tcp:|udp:]HOST[:CONTAINER]",
        trust: Trust::Host,
        effect: Effect::Restart,
        doc: "A port of the host's leads to one of the container's, the same one unless given: from outside, from the \
              host and from neighbours, by IPv4 and IPv6. The container needs an address that is set from outside. \
              tcp unless given.",
        field: add!(network.ports, |text| links::port(text).map(Some)),
    },
    of_interface!(
        "Type",
        "veth|macvlan|ipvlan|vlan|physical|none|empty|namespace",
        kind,
        links::kind,
        "A pair, one end of which stays on the host (veth, the default); an interface on one of the host's (macvlan, \
         ipvlan, vlan) or that one itself (physical); the host's network (none), nothing but a loopback interface \
         (empty), a network namespace that is there already (namespace)."
    ),
    of_interface!(
        "Name",
        "NAME",
        name,
        |text| links::interface(text).map(Some),
        "Its name inside; that of the section by default."
    ),
    of_interface!(
        "HostName",
        "NAME",
        host_name,
        |text| links::interface(text).map(Some),
        "The name of a veth's outer end. By default made of the container's name, vb-NAME or ve-NAME, shortened with \
         a hash where the kernel takes no more; the long one is an alternative name."
    ),
    of_interface!(
        "Mode",
        "MODE",
        mode,
        |text| links::mode(text).map(Some),
        "veth: bridge (default), or point-to-point, which networkd's 80-container-ve.network serves. macvlan: bridge \
         (default), private, vepa, passthru. ipvlan: l2 (default), l3, l3s."
    ),
    of_interface!(
        "Parent",
        "INTERFACE",
        parent,
        |text| links::interface(text).map(Some),
        "The host's interface that a macvlan, ipvlan or vlan is made on, or that is handed over (physical)."
    ),
    of_interface!(
        "Bridge",
        "INTERFACE",
        bridge,
        |text| links::interface(text).map(Some),
        "The host's bridge that a veth is a port of: the kernel's, or one of Open vSwitch. The managed ctl0 by default."
    ),
    of_interface!(
        "Zone",
        "ZONE",
        zone,
        |text| links::zone(text).map(Some),
        "As Bridge=, with a bridge vz-ZONE that comes with the first container of the zone and goes with the last."
    ),
    of_interface!(
        "NamespacePath",
        "PATH",
        namespace_path,
        values::path_below_root,
        "Type=namespace: the network namespace at this path of the host, such as /run/netns/NAME."
    ),
    of_interface!(
        "Machine",
        "NAME",
        machine,
        |text| links::machine(text).map(Some),
        "Type=namespace: the network namespace of this container, which must run."
    ),
    of_interface!(
        "MACAddress",
        "MAC",
        mac,
        |text| links::mac(text).map(Some),
        "Its MAC address. By default made of the container's name and the host's machine-id(5), so that it stays."
    ),
    of_interface!(
        "MTU",
        "BYTES",
        mtu,
        |text| values::number(text, 68, 65535).map(Some),
        "Largest packet. By default that of the bridge or parent."
    ),
    list_of_interface!(
        "Address",
        "ADDRESS[/LENGTH]…",
        addresses,
        links::addresses,
        "Addresses, set from outside: nothing inside need take part. In the managed network one is given out for good \
         if this is not set; an IPv4 address of its range can be chosen where it is free, which none of its first 256 is. \
         Elsewhere it is the guest's to ask for one."
    ),
    list_of_interface!(
        "Gateway",
        "ADDRESS…",
        gateways,
        links::hosts,
        "Routers towards the rest of the world, one for IPv4 and one for IPv6."
    ),
    list_of_interface!(
        "DNS",
        "ADDRESS…",
        dns,
        links::hosts,
        "Name servers, written to the guest's /etc/resolv.conf unless the guest has one of its own."
    ),
    of_interface!(
        "VLAN",
        "ID",
        vlan,
        |text| values::number(text, 1, 4094).map(Some),
        "Type=vlan: the id. Type=veth: the port's untagged VLAN on its bridge."
    ),
    of_interface!(
        "Queues",
        "COUNT",
        queues,
        |text| values::number(text, 1, 256).map(Some),
        "Queues of a veth, for sending and for receiving; one by default."
    ),
    of_interface!(
        "Isolated",
        "BOOL",
        isolated,
        values::boolean,
        "On its bridge it reaches the host and beyond, and no neighbour. Off by default."
    ),
    of_interface!(
        "RateIn",
        "BITS",
        rate_in,
        |text| links::rate(text).map(Some),
        "Most that a veth brings in, in bits per second, with K, M or G. More is dropped."
    ),
    of_interface!(
        "RateOut",
        "BITS",
        rate_out,
        |text| links::rate(text).map(Some),
        "Most that a veth takes out, in bits per second."
    ),
    Directive {
        section: "Console",
        key: "Ttys",
        value: "COUNT",
        trust: Trust::Host,
        effect: Effect::Restart,
        doc: "Terminals beside the console, to be joined with 'containerctl console NAME --tty N'; up to 63, none by \
              default. systemd inside runs a login on each; other inits have a getty run on /dev/tty1 and those \
              after it, as their own inittab(5) says.",
        field: set!(console.ttys, |text| values::number(text, 0, tty::MOST)),
    },
    Directive {
        section: "Console",
        key: "BufferSize",
        value: "SIZE",
        trust: Trust::Host,
        effect: Effect::Reload,
        doc: "Scrollback that is kept, from 4K to 1G. 1M by default.",
        field: set!(console.buffer_bytes, buffer_size),
    },
    Directive {
        section: "Console",
        key: "LogRateLimitIntervalSec",
        value: "TIME",
        trust: Trust::Host,
        effect: Effect::Reload,
        doc: "The interval of LogRateLimitBurst=; 0 is no limit. 30s by default.",
        field: set!(console.rate_interval_usec, quantity::time_span),
    },
    Directive {
        section: "Console",
        key: "LogRateLimitBurst",
        value: "LINES",
        trust: Trust::Host,
        effect: Effect::Reload,
        doc: "Console lines that reach the journal per interval; 0 is no limit. 10000 by default.",
        field: set!(console.rate_burst, |text| values::number(text, 0, u32::MAX)),
    },
    Directive {
        section: "Container",
        key: "StartPriority",
        value: "NUMBER",
        trust: Trust::Host,
        effect: Effect::Live,
        doc: "Of containers that start together those with a higher priority are first, and stop last; those of \
              one priority start side by side. From -1000 to 1000, 0 by default. What a container waits for by \
              After= counts as having at least its priority.",
        field: set!(container.start_priority, |text| values::number(text, -1000, 1000)),
    },
    Directive {
        section: "Container",
        key: "StartDelay",
        value: "TIME",
        trust: Trust::Host,
        effect: Effect::Live,
        doc: "Once the container is up, how long those of a lower priority wait that start together with it. None \
              by default.",
        field: set!(container.start_delay_usec, quantity::time_span),
    },
    Directive {
        section: "Container",
        key: "Groups",
        value: "GROUP…",
        trust: Trust::Host,
        effect: Effect::Live,
        doc: "Groups that the container is in: names by which verbs take several at once, as in \
              'containerctl start --group web'.",
        field: add!(container.groups, values::groups),
    },
    Directive {
        section: "Install",
        key: "WantedBy",
        value: "UNIT…",
        trust: Trust::Host,
        effect: Effect::Live,
        doc: "Units that start the container along with them. To start it at boot, systemctl enable \
              container@NAME does as well.",
        field: add!(wanted_by, values::units),
    },
    Directive {
        section: "Install",
        key: "RequiredBy",
        value: "UNIT…",
        trust: Trust::Host,
        effect: Effect::Live,
        doc: "As WantedBy=, and they fail without it.",
        field: add!(required_by, values::units),
    },
];
