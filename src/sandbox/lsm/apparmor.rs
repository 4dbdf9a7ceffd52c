//! AppArmor profiles (apparmor.d(5)): the generated one, and loading it by apparmor_parser(8).

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::config::settings::AppArmorProfile;
use crate::error::{Context, Error, Result};
use crate::paths::Root;
use crate::replace::{remove_file, replace};
use crate::sandbox::layout::MASKED;

/// AppArmor's name for the lack of a profile.
pub const UNCONFINED: &str = "unconfined";
/// Labels that act on a container from outside. A container acts on none of them but by sockets. Our programs'
/// own profiles (contrib/apparmor) refuse nothing, so what a container lets in is all there is to it.
const OUTSIDERS: [Outsider; 3] = [
    // The administrator, systemd, the bus service.
    Outsider { label: UNCONFINED, traces: true },
    // The verbs, and what enters a container for them until it executes the command: it passes signals on.
    Outsider { label: "containerctl", traces: false },
    // It reads the memory of whoever waits for the answer to a system call.
    Outsider { label: "containerctl-supervisor", traces: true },
];
/// Paths of apparmor_parser(8).
const PARSERS: [&str; 4] = [
    "/usr/sbin/apparmor_parser",
    "/sbin/apparmor_parser",
    "/usr/bin/apparmor_parser",
    "/bin/apparmor_parser",
];

/// The newest policy ABI of this host's parser. In a profile that names it, new kinds of rules count; without, the
/// host's administrator has pinned what counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Abi {
    /// AppArmor 3.
    Three,
    /// AppArmor 4: user namespaces, POSIX message queues and io_uring are refused unless they are allowed.
    Four,
}

/// AppArmor on the host.
#[derive(Clone, Debug, Default)]
pub struct Support {
    /// The kernel has it enabled, and profiles can be loaded.
    pub enabled: bool,
    /// apparmor_parser(8).
    pub parser: Option<PathBuf>,
    /// The newest of the parser's feature files.
    pub abi: Option<Abi>,
    /// Names of the profiles that are loaded.
    pub loaded: Vec<String>,
}

impl Support {
    /// Looks at the host. A kernel that lets nobody load profiles from here, as in a container, counts as without.
    pub fn of(root: &Root) -> Support {
        let switch = std::fs::read_to_string(root.path("/sys/module/apparmor/parameters/enabled"));
        let loads = root.path("/sys/kernel/security/apparmor/.replace").exists();
        let abi = |name: &str| root.path("/etc/apparmor.d/abi").join(name).exists();
        let loaded = std::fs::read_to_string(root.path("/sys/kernel/security/apparmor/profiles"));
        Support {
            enabled: loads && switch.is_ok_and(|text| text.trim() == "Y"),
            parser: PARSERS.map(|path| root.path(path)).into_iter().find(|path| path.exists()),
            abi: [("4.0", Abi::Four), ("3.0", Abi::Three)]
                .into_iter()
                .find(|(name, _)| abi(name))
                .map(|(_, a)| a),
            loaded: loaded.unwrap_or_default().lines().filter_map(name_of).map(str::to_string).collect(),
        }
    }

    /// Whether a profile of ours can be loaded.
    pub fn can_load(&self) -> bool {
        self.enabled && self.parser.is_some()
    }

    /// Why a profile cannot be had, if it cannot.
    pub fn lacks(&self, wanted: &AppArmorProfile) -> Option<String> {
        match wanted {
            AppArmorProfile::Unconfined => None,
            _ if !self.enabled => {
                Some("this kernel has AppArmor not enabled, or lets nobody load profiles".to_string())
            }
            AppArmorProfile::Generated if self.parser.is_none() => {
                Some("'apparmor_parser' is missing, which loads the profile".to_string())
            }
            AppArmorProfile::Generated => None,
            AppArmorProfile::Named(name) if self.loaded.iter().any(|loaded| loaded == name) => None,
            AppArmorProfile::Named(name) => Some(format!("no profile '{name}' is loaded")),
        }
    }
}

/// The name in `NAME (MODE)`, as the kernel writes labels; `unconfined` has no mode.
pub fn name_of(label: &str) -> Option<&str> {
    let name = match label.rsplit_once(" (") {
        Some((name, mode)) if mode.ends_with(')') => name,
        _ => label,
    };
    (!name.is_empty()).then_some(name)
}

/// The generated profile's name. No machine can have one of another kind: ours have a dash in this place.
pub fn profile_name(machine: &str) -> String {
    format!("containerctl_{machine}")
}

/// Loads a generated profile, in place of one of that name. What the parser has compiled is kept until the text changes.
pub fn load(root: &Root, parser: &Path, machine: &str, text: &str) -> Result<()> {
    let file = root.apparmor_cache().join(machine);
    // A new time of the file would have it compiled again.
    if !std::fs::read_to_string(&file).is_ok_and(|kept| kept == text) {
        replace(&file, text)?;
    }
    let failed = || format!("failed to run '{} --replace {}'", parser.display(), file.display());
    let mut command = Command::new(parser);
    command.args(["--replace", "--write-cache", "--cache-loc"]).arg(compiled(root)).arg(&file);
    let output = command.env_clear().stdin(Stdio::null()).output().context(failed)?;
    match output.status.success() {
        true => Ok(()),
        false => {
            let said = String::from_utf8_lossy(&output.stderr);
            let line =
                said.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("it said nothing");
            Err(Error::failed(format!("{}: {line}", failed())))
        }
    }
}

/// Takes a machine's generated profile out of the kernel, if there is one. No process may have it any more: one that
/// has would be unconfined then.
pub fn unload(root: &Root, machine: &str) -> Result<()> {
    let profile = profile_name(machine);
    if !Support::of(root).loaded.contains(&profile) {
        return Ok(());
    }
    std::fs::write(root.path("/sys/kernel/security/apparmor/.remove"), &profile)
        .context(|| format!("failed to unload the AppArmor profile '{profile}'"))
}

/// Removes what is kept of a machine's generated profile.
pub fn clear(root: &Root, machine: &str) -> Result<()> {
    remove_file(&root.apparmor_cache().join(machine))?;
    let Ok(entries) = std::fs::read_dir(compiled(root)) else { return Ok(()) };
    // One directory for each kernel that this was compiled for.
    entries.flatten().try_for_each(|kernel| remove_file(&kernel.path().join(machine)).map(drop))
}

/// The parser's own directory. The dot keeps it apart from a machine.
fn compiled(root: &Root) -> PathBuf {
    root.apparmor_cache().join(".compiled")
}

/// The inputs of a generated profile.
#[derive(Clone, Copy, Debug)]
pub struct Profile<'a> {
    /// The machine.
    pub machine: &'a str,
    /// Containers inside are wanted.
    pub nesting: bool,
    /// The container has a user namespace, so the kernel holds what was mounted for it from outside.
    pub user_namespace: bool,
    /// Sysctls that stay writable below `/proc/sys`.
    pub sysctls: &'a [&'a str],
    /// The policy ABI of the parser.
    pub abi: Option<Abi>,
}

/// The text of a generated profile. It allows what a distribution does, and refuses by path what no namespace keeps
/// apart; a refusal wins over what is allowed.
pub fn profile(profile: &Profile) -> String {
    let name = profile_name(profile.machine);
    let mut rules: Vec<String> =
        ["file,", "capability,", "network,", "dbus,", "umount,", "pivot_root,"].map(str::to_string).into();
    if profile.abi == Some(Abi::Four) {
        rules.extend(["userns,", "mqueue,", "io_uring,"].map(str::to_string));
    }
    // The kernel's cryptography by sockets: much code, and no use.
    rules.push("deny network alg,".to_string());
    rules.extend(peers(&name));
    rules.extend(mounts(profile));
    rules.extend(paths(profile.sysctls));
    let abi = match profile.abi {
        Some(Abi::Three) => "abi <abi/3.0>,\n\n",
        Some(Abi::Four) => "abi <abi/4.0>,\n\n",
        None => "",
    };
    let rules: String = rules.iter().map(|rule| format!("  {rule}\n")).collect();
    format!(
        "# Of container '{}', made anew at each start.\n\n{abi}\
         profile \"{name}\" flags=(attach_disconnected,mediate_deleted) {{\n{rules}}}\n",
        profile.machine
    )
}

/// Somebody on the host's side: signals, looks and sockets are let in from each.
struct Outsider {
    label: &'static str,
    /// As a debugger does.
    traces: bool,
}

impl Outsider {
    fn rules(&self) -> [String; 3] {
        let label = self.label;
        let trace = if self.traces { "readby, tracedby" } else { "readby" };
        [
            format!("signal (receive) peer={label},"),
            format!("ptrace ({trace}) peer={label},"),
            format!("unix (send, receive) peer=(label={label}),"),
        ]
    }
}

/// Signals, tracing and sockets: among themselves, and from the host's side.
fn peers(name: &str) -> Vec<String> {
    let mut rules = vec![
        format!("signal peer=\"{name}\","),
        format!("ptrace peer=\"{name}\","),
        format!("unix peer=(label=\"{name}\"),"),
        "unix (create, bind, listen, accept, shutdown, getattr, setattr, getopt, setopt),".to_string(),
    ];
    rules.extend(OUTSIDERS.iter().flat_map(Outsider::rules));
    rules
}

fn mounts(profile: &Profile) -> Vec<String> {
    let mut rules = Vec::new();
    if !profile.nesting {
        rules.push("deny mount fstype=devpts,".to_string());
    }
    if profile.user_namespace || profile.nesting {
        rules.push("mount,".to_string());
        return rules;
    }
    // Nothing else holds its mounts, and paths are all that keeps it from the kernel's knobs. So what shows them must
    // not come up under another path: neither as a new file system nor as a copy of the old one, and so not as a copy
    // of the whole tree, which is what systemd begins a service's sandbox with.
    rules.push("mount fstype=(tmpfs,ramfs,mqueue,hugetlbfs,overlay,fuse,fuse.*),".to_string());
    rules.push("mount fstype=proc -> /proc/,".to_string());
    rules.push("mount fstype=sysfs -> /sys/,".to_string());
    rules.push("mount fstype=(cgroup,cgroup2) -> /sys/fs/cgroup/{,**},".to_string());
    // A list of connections; nothing below /sys can be written.
    rules.push("mount fstype=fusectl -> /sys/fs/fuse/connections/,".to_string());
    // systemd makes up a service's credentials on a tmpfs there.
    rules.push("mount options=(rw,move) /dev/shm/ -> /run/credentials/{,**},".to_string());
    for options in
        ["make-private", "make-rprivate", "make-slave", "make-rslave", "make-shared", "make-rshared"]
    {
        rules.push(format!("mount options=({options}),"));
    }
    // What is read-only stays so.
    let minor = "bind,nosuid,nodev,noexec,relatime,noatime,nodiratime";
    rules.push(format!("mount options=(remount,ro) options in ({minor}),"));
    for source in all_but("", &["proc", "sys", "dev"], false) {
        for options in ["rw,bind", "rw,rbind", "rw,move"] {
            rules.push(format!("mount options=({options}) {source} -> /**,"));
        }
    }
    rules
}

/// Files of the kernel's: read where they tell only of the container, written where they are its own.
fn paths(sysctls: &[&str]) -> Vec<String> {
    let deny = |what: &'static str| move |path: String| format!("deny {path} {what},");
    let hidden = MASKED.iter().map(|path| format!("{path}{{,/**}}")).map(deny("rwklx"));
    let sys = all_but("/sys", &["fs/cgroup"], true).into_iter().map(deny("wklx"));
    let sysctls = all_but("/proc/sys", sysctls, true).into_iter().map(deny("wklx"));
    let nest = ["proc", "sys"].map(|path| format!("/dev/.nest/{path}/**")).into_iter().map(deny("rwklx"));
    hidden.chain(sys).chain(sysctls).chain(nest).collect()
}

/// Patterns that together match everything below `base` but the paths `kept` and what is below those. A directory on
/// the way to a kept one is itself not matched. AppArmor knows no exceptions from a refusal, so each pattern is a
/// kept path up to some place, and from there on something else.
fn all_but(base: &str, kept: &[&str], with_short: bool) -> Vec<String> {
    let mut prefixes: Vec<&str> =
        kept.iter().flat_map(|path| (0..=path.len()).map(|end| &path[..end])).collect();
    prefixes.sort_unstable();
    prefixes.dedup();
    let mut patterns = Vec::new();
    for prefix in prefixes {
        let mut next: Vec<char> = kept
            .iter()
            .filter_map(|path| path.strip_prefix(prefix).and_then(|rest| rest.chars().next()))
            .collect();
        next.sort_unstable();
        next.dedup();
        let at_boundary = prefix.is_empty() || prefix.ends_with('/');
        let names_something = kept.contains(&prefix) || next.contains(&'/');
        if !at_boundary && !names_something && with_short {
            patterns.push(format!("{base}/{prefix}{{,/**}}"));
        } else if !at_boundary && !names_something {
            patterns.push(format!("{base}/{prefix}/{{,**}}"));
        }
        next.retain(|c| *c != '/');
        let others: String = next.iter().collect();
        patterns.push(format!("{base}/{prefix}[^/{others}]*{{,/**}}"));
    }
    patterns
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SYSCTLS: [&str; 5] = ["net", "user", "fs/mqueue", "kernel/sem", "kernel/sem_next_id"];

    fn every_kind() -> Vec<Profile<'static>> {
        let mut all = Vec::new();
        for (nesting, user_namespace) in [(false, false), (false, true), (true, false), (true, true)] {
            for abi in [None, Some(Abi::Three), Some(Abi::Four)] {
                all.push(Profile {
                    machine: "web-1.example_x",
                    nesting,
                    user_namespace,
                    sysctls: &SYSCTLS,
                    abi,
                });
            }
        }
        all
    }

    /// Whether one of the patterns of [`all_but`] matches: a literal, perhaps a set of characters and a star, and what
    /// is below.
    fn matched(patterns: &[String], path: &str) -> bool {
        patterns.iter().any(|pattern| {
            let whole = pattern.trim_end_matches("{,/**}");
            let Some((literal, rest)) = whole.split_once("[^") else {
                return path == whole || path.starts_with(&format!("{whole}/"));
            };
            let set = rest.trim_end_matches("]*");
            path.strip_prefix(literal).and_then(|rest| rest.chars().next()).is_some_and(|c| !set.contains(c))
        })
    }

    #[test]
    fn what_is_kept_can_be_written_and_nothing_else() {
        let patterns = all_but("/proc/sys", &SYSCTLS, true);
        for kept in ["net/ipv4/ip_forward", "user", "fs/mqueue/msg_max", "kernel/sem", "kernel/sem_next_id"] {
            assert!(!matched(&patterns, &format!("/proc/sys/{kept}")), "{kept}");
        }
        for refused in
            ["kernel/core_pattern", "kernel/s", "kernel/shm", "netx", "n", "fs/protected_fifos", "vm/x"]
        {
            assert!(matched(&patterns, &format!("/proc/sys/{refused}")), "{refused}");
        }
        let sys = all_but("/sys", &["fs/cgroup"], true);
        assert!(
            matched(&sys, "/sys/power/state") && matched(&sys, "/sys/fs/cgroupx") && matched(&sys, "/sys/f")
        );
        assert!(!matched(&sys, "/sys/fs/cgroup") && !matched(&sys, "/sys/fs/cgroup/x/cgroup.procs"));
    }

    proptest! {
        #[test]
        fn a_path_is_refused_exactly_if_it_is_not_kept(
            kept in prop::collection::btree_set("[ab]{1,3}(/[ab]{1,3})?", 1..5),
            path in "[ab]{1,4}(/[ab]{1,4}){0,2}",
        ) {
            let kept: Vec<&str> = kept.iter().map(String::as_str).collect();
            // One kept path below another says nothing.
            prop_assume!(!kept.iter().any(|k| kept.iter().any(|o| k.starts_with(&format!("{o}/")))));
            let below = kept.iter().any(|k| path == *k || path.starts_with(&format!("{k}/")));
            let above = kept.iter().any(|k| k.starts_with(&format!("{path}/")));
            prop_assert_eq!(matched(&all_but("/x", &kept, true), &format!("/x/{path}")), !below && !above);
        }
    }

    #[test]
    fn the_profile_says_what_was_promised() {
        let text = profile(&Profile {
            machine: "p1",
            nesting: false,
            user_namespace: true,
            sysctls: &SYSCTLS,
            abi: Some(Abi::Four),
        });
        for rule in [
            "abi <abi/4.0>,",
            "profile \"containerctl_p1\" flags=(attach_disconnected,mediate_deleted) {",
            "deny network alg,",
            "deny mount fstype=devpts,",
            "userns,",
            "signal peer=\"containerctl_p1\",",
            "deny /proc/sysrq-trigger{,/**} rwklx,",
            "deny /proc/sys/[^/fknu]*{,/**} wklx,",
        ] {
            assert!(text.contains(rule), "{rule}\n{text}");
        }
        let old = profile(&Profile {
            machine: "p1",
            nesting: true,
            user_namespace: true,
            sysctls: &SYSCTLS,
            abi: None,
        });
        assert!(!old.contains("userns,") && !old.contains("devpts") && !old.contains("abi <"));
    }

    #[test]
    fn whoever_has_a_profile_of_ours_is_let_in() {
        let shipped = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib/apparmor"));
        let mut named: Vec<_> =
            shipped.expect("listed").map(|entry| entry.expect("entry").file_name().into_string()).collect();
        named.sort();
        let known: Vec<_> = OUTSIDERS[1..].iter().map(|outsider| Ok(outsider.label.to_string())).collect();
        assert_eq!(named, known);
        let rules = peers("containerctl_p1");
        for outsider in &OUTSIDERS {
            assert!(rules.contains(&format!("signal (receive) peer={},", outsider.label)));
            assert!(!rules.iter().any(|rule| rule == &format!("signal peer={},", outsider.label)));
        }
    }

    #[test]
    fn without_a_user_namespace_proc_and_sys_stay_in_their_places() {
        let text = profile(&Profile {
            machine: "p1",
            nesting: false,
            user_namespace: false,
            sysctls: &SYSCTLS,
            abi: None,
        });
        assert!(!text.contains(" mount,\n") && !text.contains(" / -> "), "{text}");
        assert!(text.contains("mount options=(rw,bind) /[^/dps]*{,/**} -> /**,"), "{text}");
    }

    #[test]
    fn labels_are_read_as_the_kernel_writes_them() {
        assert_eq!(name_of("containerctl_p1 (enforce)"), Some("containerctl_p1"));
        assert_eq!(name_of("unconfined"), Some("unconfined"));
        assert_eq!(name_of("a (b) (complain)"), Some("a (b)"));
        assert_eq!(name_of(""), None);
    }

    /// Reports a skipped test to `tests/run`.
    fn skipped(why: &str) {
        use std::io::Write as _;
        let line = format!("SKIPPED the_parser_takes_every_profile: {why}");
        eprintln!("{line}");
        if let Some(list) = std::env::var_os("CONTAINERCTL_SKIPPED") {
            let file = std::fs::File::options().append(true).create(true).open(list);
            file.and_then(|mut file| writeln!(file, "{line}")).expect("noted");
        }
    }

    #[test]
    fn the_parser_takes_every_profile() {
        let Some(parser) = Support::of(&Root::system()).parser else {
            skipped("'apparmor_parser' is not installed");
            return;
        };
        let known = Support::of(&Root::system()).abi;
        let dir = tempfile::tempdir().expect("tempdir");
        let mut older = None;
        for kind in every_kind() {
            if kind.abi == Some(Abi::Four) && known != Some(Abi::Four)
                || kind.abi.is_some() && known.is_none()
            {
                older.get_or_insert(kind.abi);
                continue;
            }
            let file = dir.path().join("profile");
            std::fs::write(&file, profile(&kind)).expect("write");
            let output = Command::new(&parser).args(["-Q", "-K"]).arg(&file).output().expect("run");
            assert!(output.status.success(), "{kind:?}: {output:?}\n{}", profile(&kind));
        }
        // Those of our own programs, as contrib/install writes them for this parser.
        let mark = if known == Some(Abi::Four) { "#4: " } else { "no mark" };
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib/apparmor");
        for entry in std::fs::read_dir(shipped).expect("listed") {
            let path = entry.expect("entry").path();
            let text = std::fs::read_to_string(&path).expect("read");
            let text: String = text.lines().map(|line| format!("{}\n", line.replacen(mark, "", 1))).collect();
            let file = dir.path().join("shipped");
            std::fs::write(&file, text).expect("write");
            let output = Command::new(&parser).args(["-Q", "-K"]).arg(&file).output().expect("run");
            assert!(output.status.success(), "{path:?}: {output:?}");
        }
        if let Some(abi) = older {
            skipped(&format!("the parser here is too old for some profiles ({abi:?})"));
        }
    }
}
