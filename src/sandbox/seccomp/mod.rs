//! The system call filter (seccomp(2)), built by libseccomp, kept as BPF per policy.
//!
//! An allow-list. A call that the kernel may know and we do not gives ENOSYS, so that programs fall back; one
//! that is known and refused gives EPERM. Building takes milliseconds, so the result is kept on disk, named by
//! the policy that it came from. `SeccompProfile=` puts a filter of LXC's kind in the list's place.

/// Reading LXC's profile files.
pub mod lxc;

mod lxc_filter;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{Read, Seek};
use std::path::Path;

use libseccomp::error::SeccompError;
use libseccomp::{ScmpAction, ScmpArch, ScmpArgCompare, ScmpCompareOp, ScmpFilterContext, ScmpSyscall};

use crate::config::Definition;
use crate::config::settings::SyscallRule;
use crate::error::{Context, Error, Result};
use crate::replace::publish;
use crate::sys::capabilities::{self, Mask};
use crate::sys::seccomp::{Filter, Filters, Instruction, Listening, program};

pub use lxc_filter::ProfileFile;

/// One name per line; `name enosys` is refused with ENOSYS even though it is known. fsopen and fsmount look absent, so
/// that new mounts are made by mount(2); fspick and fsconfig do not, for mount(8) remounts by them since util-linux
/// 2.39, and knows nothing else once it has used open_tree. They can no more than a remount by mount(2).
const ALLOWED: &str = include_str!("seccomp-allow.txt");

/// Known, and refused with EPERM.
const REFUSED: [&str; 35] = [
    "bpf",
    "perf_event_open",
    "userfaultfd",
    "kexec_load",
    "kexec_file_load",
    "init_module",
    "finit_module",
    "delete_module",
    "create_module",
    "query_module",
    "get_kernel_syms",
    "swapon",
    "swapoff",
    "acct",
    "quotactl",
    "open_by_handle_at",
    "lookup_dcookie",
    "nfsservctl",
    "uselib",
    "modify_ldt",
    "vm86",
    "vm86old",
    "iopl",
    "ioperm",
    "pciconfig_read",
    "pciconfig_write",
    "pciconfig_iobase",
    "settimeofday",
    "clock_settime",
    "clock_settime64",
    "clock_adjtime",
    "clock_adjtime64",
    "adjtimex",
    "syslog",
    "fanotify_init",
];

/// Allowed when the capability that they need is kept beyond the default.
const WITH_CAPABILITY: [(&str, &[&str]); 6] = [
    ("sys_time", &["settimeofday", "clock_settime", "clock_settime64", "clock_adjtime", "adjtimex"]),
    ("sys_module", &["init_module", "finit_module", "delete_module"]),
    ("sys_rawio", &["iopl", "ioperm", "pciconfig_read", "pciconfig_write", "pciconfig_iobase"]),
    ("sys_pacct", &["acct"]),
    ("syslog", &["syslog"]),
    ("bpf", &["bpf"]),
];

/// Numbers of calls that an older libseccomp does not know; the same on every architecture since Linux 5.1.
const NEW_CALLS: [(&str, i32); 17] = [
    ("cachestat", 451),
    ("fchmodat2", 452),
    ("map_shadow_stack", 453),
    ("futex_wake", 454),
    ("futex_wait", 455),
    ("futex_requeue", 456),
    ("statmount", 457),
    ("listmount", 458),
    ("lsm_get_self_attr", 459),
    ("lsm_set_self_attr", 460),
    ("lsm_list_modules", 461),
    ("mseal", 462),
    ("setxattrat", 463),
    ("getxattrat", 464),
    ("listxattrat", 465),
    ("removexattrat", 466),
    ("open_tree_attr", 467),
];

/// Terminal ioctls by which input can be forged: TIOCSTI, TIOCLINUX.
const FORGING_IOCTLS: [u64; 2] = [0x5412, 0x541c];
/// Address families of socket(2) that stay: UNIX, INET, INET6, NETLINK, PACKET.
const FAMILIES: [u64; 5] = [1, 2, 10, 16, 17];
const AF_NETLINK: u64 = 16;
const NETLINK_AUDIT: u64 = 9;
/// The bits of a netlink protocol (linux/netlink.h: MAX_LINKS).
const NETLINK_PROTOCOLS: u64 = 31;

/// Bumped when the way of building changes, so that a kept filter of before is not taken.
const FORMAT: u32 = 3;

/// The inputs of a filter.
#[derive(Hash)]
pub struct Policy<'a> {
    /// Capabilities that the container keeps.
    pub capabilities: Mask,
    /// `SystemCallFilter=`.
    pub rules: &'a [SyscallRule],
    /// `SeccompProfile=`, which replaces the list.
    pub profile: Option<&'a ProfileFile>,
}

impl Hash for SyscallRule {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let (allow, name) = match self {
            SyscallRule::Allow(name) => (true, name),
            SyscallRule::Deny(name) => (false, name),
        };
        (allow, name).hash(state);
    }
}

impl Policy<'_> {
    /// The filters, from `cache` or built and left there. A cache that cannot be written is not an error.
    pub fn filters(&self, cache: &Path) -> Result<Filters> {
        let build = || self.profile.map_or_else(|| allow_list(self), ProfileFile::build);
        let calls = kept(&cache.join(format!("{:016x}.bpf", self.digest())), build)?;
        let ioctls = kept(&cache.join(format!("ioctl-{FORMAT}.bpf")), refuse_forging)?;
        let asks = self.profile.is_some_and(|profile| profile.asking().is_some());
        Ok(vec![
            Filter { program: ioctls, listening: Listening::No },
            Filter { program: calls, listening: if asks { Listening::Yes } else { Listening::No } },
        ])
    }

    fn digest(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (FORMAT, env!("CARGO_PKG_VERSION"), ALLOWED, self).hash(&mut hasher);
        hasher.finish()
    }
}

/// The program kept at `path`; built and put there, whole or not at all, where there is none.
fn kept(path: &Path, build: impl FnOnce() -> Result<Vec<u8>>) -> Result<Vec<Instruction>> {
    if let Ok(bytes) = std::fs::read(path)
        && !bytes.is_empty()
    {
        return Ok(program(&bytes));
    }
    let bytes = build()?;
    let parent = path.parent().unwrap_or(Path::new("/"));
    if std::fs::create_dir_all(parent).is_ok() {
        let _ = publish(path, &bytes, 0o644);
    }
    Ok(program(&bytes))
}

impl From<SeccompError> for Error {
    fn from(error: SeccompError) -> Error {
        Error::failed(format!("failed to build the system call filter: {error}"))
    }
}

/// The allow-list.
fn allow_list(policy: &Policy) -> Result<Vec<u8>> {
    let enosys = ScmpAction::Errno(libc::ENOSYS);
    let eperm = ScmpAction::Errno(libc::EPERM);
    let mut filter = ScmpFilterContext::new(enosys)?;
    filter.set_act_badarch(enosys)?;
    filter.set_ctl_nnp(false)?;
    filter.set_ctl_optimize(2)?;
    let denied = |name: &str| policy.rules.contains(&SyscallRule::Deny(name.to_string()));
    let allowed = allowed_names(policy);
    for name in &allowed {
        if !denied(name)
            && *name != "socket"
            && let Some(call) = number(name)
        {
            filter.add_rule(ScmpAction::Allow, call)?;
        }
    }
    let rules_denied = policy.rules.iter().filter_map(|rule| match rule {
        SyscallRule::Deny(name) => Some(name.as_str()),
        SyscallRule::Allow(_) => None,
    });
    for name in REFUSED.into_iter().filter(|name| !allowed.contains(name)).chain(rules_denied) {
        if let Some(call) = number(name) {
            filter.add_rule(eperm, call)?;
        }
    }
    if !denied("socket") {
        restrict_sockets(&mut filter)?;
    }
    export(&filter)
}

/// The bytes that the kernel takes. libseccomp 2.5 exports to a file only.
fn export(filter: &ScmpFilterContext) -> Result<Vec<u8>> {
    let memfd = rustix::fs::memfd_create("seccomp", rustix::fs::MemfdFlags::CLOEXEC)
        .context(|| "failed to make room for the system call filter")?;
    filter.export_bpf(&memfd)?;
    let (mut file, mut bytes) = (std::fs::File::from(memfd), Vec::new());
    file.rewind()
        .and_then(|()| file.read_to_end(&mut bytes))
        .context(|| "failed to read the system call filter back")?;
    Ok(bytes)
}

/// Names of allowed calls: the list, the calls of the capabilities that are kept, and those that the definition adds.
fn allowed_names<'a>(policy: &'a Policy) -> Vec<&'a str> {
    let mut names: Vec<&str> =
        ALLOWED.lines().filter(|line| !line.contains(' ') && !line.is_empty()).collect();
    for (capability, calls) in WITH_CAPABILITY {
        if capabilities::bit(capability).is_some_and(|bit| policy.capabilities & bit != 0) {
            names.extend(calls);
        }
    }
    names.extend(policy.rules.iter().filter_map(|rule| match rule {
        SyscallRule::Allow(name) => Some(name.as_str()),
        SyscallRule::Deny(_) => None,
    }));
    names
}

/// socket(2) for the families that a distribution needs; audit is made to look absent, as nspawn does.
fn restrict_sockets(filter: &mut ScmpFilterContext) -> Result<()> {
    let Some(socket) = number("socket") else { return Ok(()) };
    let family = |value| ScmpArgCompare::new(0, ScmpCompareOp::Equal, value);
    for value in FAMILIES.into_iter().filter(|value| *value != AF_NETLINK) {
        filter.add_rule_conditional(ScmpAction::Allow, socket, &[family(value)])?;
    }
    // The kernel looks at the low 32 bits of a protocol, and has 32 protocols. "Not equal" would compare all 64 bits
    // and let audit pass with any of the high ones: so the five bits are compared, one of which has to differ.
    for bit in (0..5).map(|shift| 1 << shift) {
        let differs = ScmpArgCompare::new(2, ScmpCompareOp::MaskedEqual(bit), !NETLINK_AUDIT & bit);
        filter.add_rule_conditional(ScmpAction::Allow, socket, &[family(AF_NETLINK), differs])?;
    }
    let absent = ScmpAction::Errno(libc::EAFNOSUPPORT);
    let audit = ScmpArgCompare::new(2, ScmpCompareOp::MaskedEqual(NETLINK_PROTOCOLS), NETLINK_AUDIT);
    filter.add_rule_conditional(absent, socket, &[family(AF_NETLINK), audit])?;
    for (low, high) in [(3, 9), (11, 15)] {
        for value in low..=high {
            filter.add_rule_conditional(absent, socket, &[family(value)])?;
        }
    }
    let above = ScmpArgCompare::new(0, ScmpCompareOp::GreaterEqual, 18);
    filter.add_rule_conditional(absent, socket, &[above])?;
    Ok(())
}

/// A filter of its own: refuses the two ioctls that forge terminal input. Only the low 32 bits of a request
/// count in the kernel, which an allow-list cannot say.
fn refuse_forging() -> Result<Vec<u8>> {
    let mut filter = ScmpFilterContext::new(ScmpAction::Allow)?;
    filter.set_act_badarch(ScmpAction::Allow)?;
    filter.set_ctl_nnp(false)?;
    // The list ends programs of other architectures, but a profile in its place may not.
    for arch in lxc_filter::compatible(ScmpArch::native()) {
        filter.add_arch(*arch)?;
    }
    let low = ScmpCompareOp::MaskedEqual(0xffff_ffff);
    for request in FORGING_IOCTLS {
        if let Some(ioctl) = number("ioctl") {
            filter.add_rule_conditional(
                ScmpAction::Errno(libc::EPERM),
                ioctl,
                &[ScmpArgCompare::new(1, low, request)],
            )?;
        }
    }
    export(&filter)
}

/// The number of a system call here; none where this architecture has no such call.
fn number(name: &str) -> Option<ScmpSyscall> {
    let known =
        ScmpSyscall::from_name_by_arch(name, ScmpArch::native()).ok().filter(|call| i32::from(*call) >= 0);
    known.or_else(|| {
        NEW_CALLS.iter().find(|(new, _)| *new == name).map(|(_, number)| ScmpSyscall::from(*number))
    })
}

/// Checks the names of `SystemCallFilter=`.
pub fn check_rules(definition: &Definition) -> Result<()> {
    for rule in &definition.settings.exec.system_call_filter {
        let (SyscallRule::Allow(name) | SyscallRule::Deny(name)) = rule;
        if number(name).is_none() {
            return Err(Error::config(format!(
                "{} names '{name}', which is no system call here",
                definition.named("Exec", "SystemCallFilter")
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_the_newest_calls_has_a_number() {
        for (name, _) in NEW_CALLS {
            assert!(number(name).is_some(), "{name}");
        }
        assert!(number("no_such_call").is_none());
    }

    #[test]
    fn the_default_filter_is_built_and_then_taken_from_the_cache() {
        let cache = tempfile::tempdir().expect("tempdir");
        let policy = Policy { capabilities: capabilities::default_set(), rules: &[], profile: None };
        let built: Vec<usize> =
            policy.filters(cache.path()).expect("build").iter().map(|filter| filter.program.len()).collect();
        assert!(built[1] > 400, "{built:?}");
        assert_eq!(std::fs::read_dir(cache.path()).expect("dir").count(), 2);
        let cached: Vec<usize> =
            policy.filters(cache.path()).expect("cached").iter().map(|filter| filter.program.len()).collect();
        assert_eq!(cached, built);
    }

    #[test]
    fn a_refused_socket_is_refused_for_every_family() {
        let rules = [SyscallRule::Deny("socket".to_string())];
        let filter =
            |rules| allow_list(&Policy { capabilities: 0, rules, profile: None }).expect("built").len();
        assert!(filter(&rules) < filter(&[]), "no family is let through");
    }

    #[test]
    fn another_policy_is_another_file() {
        let rule = [SyscallRule::Deny("chroot".to_string())];
        let policy = |rules| Policy { capabilities: 0, rules, profile: None }.digest();
        assert_ne!(policy(&[]), policy(&rule));
    }

    #[test]
    fn an_unknown_call_in_the_definition_is_named() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("etc/containerctl");
        std::fs::create_dir_all(&path).expect("directory");
        std::fs::write(path.join("p1.conf"), "[Exec]\nSystemCallFilter=frobnicate\n").expect("written");
        let name = crate::name::MachineName::new("p1").expect("valid");
        let definition = crate::config::load(&crate::paths::Root::at(dir.path()), &name).expect("loaded");
        let error = check_rules(&definition).expect_err("unknown");
        assert!(error.message().contains("p1.conf:2"), "{error}");
        assert!(error.message().contains("'frobnicate'"));
    }
}
