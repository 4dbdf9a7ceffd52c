//! The plan of a start: everything that will be done, decided before anything is done.
//!
//! Pure: made from [`Settings`] and [`Facts`]. `containerctl plan` prints it; the supervisor and its children
//! carry it out. The mounts come in two parts. `outside` is done by a helper that is in no user namespace, in a
//! mount namespace that belongs to the host, so that when the payload copies it the kernel locks every mount and
//! its root can undo none (mount_namespaces(7)). `inside` is done by the leader itself, for what guests remount.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::config::settings::{Readiness, ResourceLimit, Settings};
use crate::network::links::{self, NetworkConfig};
use crate::runtime::namespaces::Namespace;
use crate::runtime::rights::Rights;
use crate::sandbox::host_operation::{HostOperation, host_operations};
use crate::sandbox::init::InitKind;
use crate::sandbox::journal::Journal;
use crate::sandbox::layout::{custom, inside_operations, is_inside, outside_operations};
use crate::sandbox::lsm::{self, Labels};
use crate::sandbox::operation::Operation;
use crate::sandbox::survey::Facts;
use crate::sandbox::terminal;
use crate::sys::capabilities;
use crate::sys::id128::dashed;
use crate::sys::seccomp::{Filters, Listening, to_word};

/// The operations and properties of a start.
#[derive(Clone, Debug, Serialize)]
pub struct Plan {
    /// The machine.
    pub machine: String,
    /// Operations on the host, in this order, before the container has a process.
    pub host: Vec<HostOperation>,
    /// The namespaces that are new.
    pub namespaces: Vec<Namespace>,
    /// The network namespace and the links in it.
    pub network: NetworkConfig,
    /// `0 BASE SIZE`, as it is written to `uid_map` and `gid_map`; none shares the host's ids.
    pub id_map: Option<String>,
    /// Mounts made by the helper, in this order.
    pub outside: Vec<Operation>,
    /// Mounts made by the leader, in this order.
    pub inside: Vec<Operation>,
    /// The kernel's host name.
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
    /// Labels of the payload.
    pub labels: Labels,
    /// `no_new_privs` is set.
    pub no_new_privileges: bool,
    /// Resource limits (setrlimit(2)).
    #[serde(skip)]
    pub limits: Vec<ResourceLimit>,
    /// The value for `oom_score_adj`.
    pub oom_score_adjust: i32,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// The environment of the payload.
    pub environment: Vec<(String, String)>,
    /// The working directory of the payload, inside.
    pub working_directory: Option<PathBuf>,
    /// The first process is our own, and executes nothing.
    pub own_init: bool,
    /// The family of the init, where one is booted.
    pub init: Option<InitKind>,
    /// Number of the signal that asks for shutdown.
    pub stop_signal: i32,
    /// When it is ready.
    pub readiness: Readiness,
    /// The scope that holds the payload.
    pub scope: String,
    /// The slice that carries the limits.
    pub slice: String,
}

impl Plan {
    /// The rights of the container's processes, with these system call filters.
    pub fn rights(&self, filters: &Filters) -> Rights {
        Rights {
            capabilities: self.capability_mask,
            no_new_privileges: self.no_new_privileges,
            apparmor: self.labels.apparmor.clone(),
            selinux: self.labels.selinux.clone(),
            filters: filters.iter().map(|filter| filter.program.iter().map(to_word).collect()).collect(),
            listening: filters.iter().position(|filter| filter.listening == Listening::Yes),
        }
    }

    /// Leaves out the mount of a directory of the host that could not be made.
    pub fn leave_out(&mut self, directory: &Path) {
        self.outside
            .retain(|operation| !matches!(operation, Operation::Bind { source, .. } if source == directory));
    }

    /// `CLONE_NEW*` of the namespaces that are new, but for mount and cgroup, which the leader makes itself.
    pub fn clone_flags(&self) -> libc::c_int {
        let later = [Namespace::Mount, Namespace::Cgroup];
        let cloned = self.namespaces.iter().filter(|namespace| !later.contains(namespace));
        cloned.fold(0, |flags, namespace| flags | namespace.flag())
    }
}

/// Makes the plan.
pub fn plan(settings: &Settings, facts: &Facts) -> Plan {
    let root = facts.ids.map_or(0, |ids| ids.base);
    let journal = facts.journal.iter().map(Journal::mount);
    let custom = settings.files.mounts.iter().map(|mount| custom(mount, root)).chain(journal);
    let (inside, outside): (Vec<_>, Vec<_>) = custom.partition(is_inside);
    let exec = &settings.exec;
    let mask = capabilities::kept(exec.capability, exec.drop_capability, facts.bounding);
    let kind = facts.init_kind();
    let labels = lsm::labels(settings, &facts.lsm, &facts.name, facts.ids);
    let generated = labels.profile.is_some() && facts.lsm.apparmor.parser.is_some();
    let profile = labels.apparmor.clone().filter(|_| generated);
    Plan {
        machine: facts.name.to_string(),
        host: host_operations(settings, facts, profile),
        namespaces: namespaces(facts),
        network: facts.network.clone(),
        id_map: facts.ids.map(|ids| ids.to_string()),
        outside: outside_operations(settings, facts, outside),
        inside: inside_operations(facts, inside),
        hostname: exec.hostname.clone().unwrap_or_else(|| facts.name.to_string()),
        machine_id: facts.machine_id.clone(),
        capabilities: capabilities::names(mask),
        capability_mask: mask,
        ambient_mask: exec.ambient_capability & mask,
        devices: facts.devices.iter().map(|device| (device.path.clone(), device.access.clone())).collect(),
        labels,
        no_new_privileges: exec.no_new_privileges,
        limits: exec.limits.clone(),
        oom_score_adjust: exec.oom_score_adjust.unwrap_or(0),
        command: command(settings, facts),
        environment: environment(settings, facts),
        working_directory: exec.working_directory.clone(),
        own_init: exec.own_init,
        init: kind,
        stop_signal: exec.kill_signal.unwrap_or(kind.map_or(libc::SIGTERM, InitKind::poweroff_signal)),
        readiness: exec.notify_ready,
        scope: facts.name.scope(),
        slice: facts.name.slice(),
    }
}

fn namespaces(facts: &Facts) -> Vec<Namespace> {
    use Namespace::{Cgroup, Ipc, Mount, Net, Pid, User, Uts};
    let mut namespaces = vec![Mount, Pid, Uts, Ipc, Cgroup];
    namespaces.extend((facts.network.namespace == links::Namespace::Private).then_some(Net));
    namespaces.extend(facts.ids.map(|_| User));
    namespaces
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
    environment.extend(terminal::environment(settings.console.ttys, facts.init_kind()));
    environment.extend(facts.host.iter().cloned());
    for (key, value) in &settings.exec.environment {
        environment.retain(|(known, _)| known != key);
        environment.push((key.clone(), value.clone()));
    }
    environment
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "machine {} in {} below {}", self.machine, self.scope, self.slice)?;
        let namespaces: Vec<&str> = self.namespaces.iter().map(|namespace| namespace.name()).collect();
        writeln!(f, "new namespaces: {}", namespaces.join(" "))?;
        writeln!(f, "{}", self.network)?;
        writeln!(f, "user and group ids: {}", self.id_map.as_deref().unwrap_or("the host's own"))?;
        writeln!(f, "on the host:")?;
        self.host.iter().try_for_each(|operation| writeln!(f, "  {operation}"))?;
        writeln!(f, "outside, locked against the payload:")?;
        self.outside.iter().try_for_each(|operation| writeln!(f, "  {operation}"))?;
        writeln!(f, "inside:")?;
        self.inside.iter().try_for_each(|operation| writeln!(f, "  {operation}"))?;
        writeln!(f, "host name: {}", self.hostname)?;
        writeln!(f, "machine id: {}", self.machine_id)?;
        writeln!(f, "capabilities: {}", self.capabilities.join(" "))?;
        writeln!(f, "labels: {}", self.labels)?;
        writeln!(f, "environment:")?;
        self.environment.iter().try_for_each(|(key, value)| writeln!(f, "  {key}={value}"))?;
        writeln!(f, "run: {}", self.command.join(" "))?;
        write!(f, "stop by signal {}", self.stop_signal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::settings::CustomMount;
    use crate::name::MachineName;
    use crate::sandbox::init::Init;
    use crate::storage::tree::Tree;
    use crate::sys::idmap::IdRange;

    fn facts() -> Facts {
        Facts {
            name: MachineName::new("p1").expect("valid"),
            rootfs: PathBuf::from("/srv/p1"),
            tree: Tree::open("/".as_ref()).expect("open").into(),
            runtime: PathBuf::from("/run/containerctl/p1"),
            ids: Some(IdRange { base: 524288, size: 65536 }),
            init: Some(Init { path: "/sbin/init".to_string(), kind: InitKind::Busybox }),
            machine_id: "0123456789abcdef0123456789abcdef".to_string(),
            bounding: capabilities::all(),
            devices: Vec::new(),
            network: NetworkConfig {
                namespace: links::Namespace::Private,
                links: Vec::new(),
                ports: Vec::new(),
            },
            lsm: lsm::Support::default(),
            host: Vec::new(),
            journal: None,
            warnings: Vec::new(),
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
        let owned = |list: &[Operation]| {
            list.iter().any(|o| o.to_string().contains("/x") && o.to_string().contains("uid=524288"))
        };
        assert!(owned(&plan.outside) && !owned(&plan.inside), "the container's root owns both");
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
        let network =
            NetworkConfig { namespace: links::Namespace::Host, links: Vec::new(), ports: Vec::new() };
        let plan = plan(&Settings::default(), &Facts { ids: None, network, ..facts() });
        let names: Vec<_> = plan.namespaces.iter().map(|namespace| namespace.name()).collect();
        assert_eq!(names, ["mnt", "pid", "uts", "ipc", "cgroup"]);
        assert_eq!(plan.id_map, None);
    }
}
