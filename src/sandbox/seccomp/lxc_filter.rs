//! LXC's seccomp profiles as filters: one for this machine's architecture and each other that it runs, in one
//! program.

use std::collections::HashSet;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};

use libseccomp::error::SeccompError;
use libseccomp::{ScmpAction, ScmpArch, ScmpArgCompare, ScmpCompareOp, ScmpFilterContext, ScmpSyscall};
use rustix::io::Errno;

use super::lxc::{self, Action, Arch, Call, Comparison, Condition, Fault, Profile, Rule, Section};
use super::{NEW_CALLS, export};
use crate::config::{self, Definition};
use crate::error::{Error, Kind, Result};
use crate::storage::host_path::{self, HostPaths};

/// A profile, and where it was read.
#[derive(Debug)]
pub struct ProfileFile {
    path: PathBuf,
    /// The assignment that named it, as the beginning of a sentence.
    named: String,
    profile: Profile,
}

impl Hash for ProfileFile {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.profile.hash(state);
    }
}

impl ProfileFile {
    /// Reads the profile that `SeccompProfile=` names, if it names one. What is wrong is said with the key, its file
    /// and line, and those of the profile.
    pub fn of(definition: &Definition, paths: &HostPaths) -> Result<Option<ProfileFile>> {
        let exec = &definition.settings.exec;
        let Some(path) = &exec.seccomp_profile else { return Ok(None) };
        let named = definition.named("Exec", "SeccompProfile");
        if !exec.system_call_filter.is_empty() {
            return Err(Error::config(format!(
                "{named} it replaces the list that SystemCallFilter= adjusts"
            ))
            .hint("set one of the two"));
        }
        let opened = paths.file(path).map_err(|fault| match fault {
            host_path::Fault::Errno(Errno::NOENT) => {
                Error::new(Kind::NotFound, format!("'{}' does not exist", path.display()))
            }
            fault => fault.of(format!("failed to open '{}'", path.display())),
        });
        let text = opened
            .and_then(|file| config::text_of(file, path))
            .map_err(|error| Error::new(error.kind(), format!("{named} {}", error.message())))?;
        let profile = ProfileFile::parse(path, named, &text)?;
        match (profile.asking(), &exec.seccomp_notify_proxy) {
            (Some(asking), None) => {
                Err(Error::config(format!("{asking} 'notify' asks a program outside, and none is named"))
                    .hint("set SeccompNotifyProxy= to the socket that it listens on"))
            }
            _ => Ok(Some(profile)),
        }
    }

    fn parse(path: &Path, named: String, text: &str) -> Result<ProfileFile> {
        let profile = lxc::parse(text).and_then(|profile| refuse_sendmsg(&profile).map(|()| profile));
        let profile = profile.map_err(|fault| told(path, &named, &fault))?;
        Ok(ProfileFile { path: path.to_path_buf(), named, profile })
    }

    /// The line that asks a program outside, as the beginning of a sentence; `None` if no line does.
    pub fn asking(&self) -> Option<String> {
        let rule = || self.profile.rules.iter().find(|rule| rule.action == Action::Notify);
        let line = match self.profile.default {
            Action::Notify => Some(2),
            _ => rule().map(|rule| rule.line),
        };
        line.map(|line| place(&self.path, &self.named, line))
    }

    /// The program for the kernel.
    pub(super) fn build(&self) -> Result<Vec<u8>> {
        let mut filter = build(&self.profile).map_err(|fault| told(&self.path, &self.named, &fault))?;
        filter.set_ctl_optimize(2)?;
        export(&filter)
    }
}

fn told(path: &Path, named: &str, fault: &Fault) -> Error {
    Error::config(format!("{} {}", place(path, named, fault.line), fault.why))
}

fn place(path: &Path, named: &str, line: usize) -> String {
    format!("{named} {}:{line}:", path.display())
}

/// The listener is handed over by sendmsg(2), when the filter holds already: nobody could be asked whether it may be.
fn refuse_sendmsg(profile: &Profile) -> Result<(), Fault> {
    let of_sendmsg = |rule: &&Rule| rule.call == Call::Name("sendmsg".to_string());
    let why = |what: &str| format!("{what}: by this call the listener itself is handed over");
    if let Some(rule) = profile.rules.iter().filter(of_sendmsg).find(|rule| rule.action == Action::Notify) {
        return Err(Fault { line: rule.line, why: why("'sendmsg' cannot be asked about") });
    }
    let settled = |rule: &Rule| rule.conditions.is_empty() && native(rule.section);
    if profile.default == Action::Notify && !profile.rules.iter().filter(of_sendmsg).any(settled) {
        return Err(Fault { line: 2, why: why("with 'notify' for what has no rule, 'sendmsg' needs one") });
    }
    Ok(())
}

/// Whether a section is about this machine's own programs.
fn native(section: Section) -> bool {
    match section {
        Section::All => true,
        Section::One(arch) => scmp(arch) == ScmpArch::native(),
    }
}

/// Further architectures whose programs this kernel runs.
pub(super) fn compatible(native: ScmpArch) -> &'static [ScmpArch] {
    match native {
        ScmpArch::X8664 => &[ScmpArch::X86, ScmpArch::X32],
        ScmpArch::Aarch64 => &[ScmpArch::Arm],
        ScmpArch::Mips64 => &[ScmpArch::Mips, ScmpArch::Mips64N32],
        ScmpArch::Mipsel64 => &[ScmpArch::Mipsel, ScmpArch::Mipsel64N32],
        ScmpArch::Ppc64 => &[ScmpArch::Ppc],
        ScmpArch::S390X => &[ScmpArch::S390],
        _ => &[],
    }
}

fn scmp(arch: Arch) -> ScmpArch {
    match arch {
        Arch::X86 => ScmpArch::X86,
        Arch::X8664 => ScmpArch::X8664,
        Arch::X32 => ScmpArch::X32,
        Arch::Arm => ScmpArch::Arm,
        Arch::Arm64 => ScmpArch::Aarch64,
        Arch::Mips => ScmpArch::Mips,
        Arch::Mips64 => ScmpArch::Mips64,
        Arch::Mips64N32 => ScmpArch::Mips64N32,
        Arch::Mipsel => ScmpArch::Mipsel,
        Arch::Mipsel64 => ScmpArch::Mipsel64,
        Arch::Mipsel64N32 => ScmpArch::Mipsel64N32,
        Arch::Ppc => ScmpArch::Ppc,
        Arch::Ppc64 => ScmpArch::Ppc64,
        Arch::Ppc64Le => ScmpArch::Ppc64Le,
        Arch::S390 => ScmpArch::S390,
        Arch::S390X => ScmpArch::S390X,
        Arch::Riscv64 => ScmpArch::Riscv64,
        Arch::Loongarch64 => ScmpArch::Loongarch64,
    }
}

fn build(profile: &Profile) -> Result<ScmpFilterContext, Fault> {
    let native = ScmpArch::native();
    let default = scmp_action(profile.default);
    let at_large = |error: SeccompError| Fault { line: 2, why: error.to_string() };
    let mut main = ScmpFilterContext::new(default).map_err(at_large)?;
    // A program of any other architecture finds no system call at all.
    main.set_act_badarch(ScmpAction::Errno(libc::ENOSYS)).map_err(at_large)?;
    main.set_ctl_nnp(false).map_err(at_large)?;
    add_rules(&mut main, profile, native, default)?;
    for arch in compatible(native) {
        let mut other = ScmpFilterContext::new(default).map_err(at_large)?;
        other.set_act_badarch(ScmpAction::Errno(libc::ENOSYS)).map_err(at_large)?;
        other.set_ctl_nnp(false).map_err(at_large)?;
        other.add_arch(*arch).and_then(|other| other.remove_arch(native)).map_err(at_large)?;
        add_rules(&mut other, profile, *arch, default)?;
        main.merge(other).map_err(at_large)?;
    }
    Ok(main)
}

fn add_rules(
    filter: &mut ScmpFilterContext,
    profile: &Profile,
    arch: ScmpArch,
    default: ScmpAction,
) -> Result<(), Fault> {
    let mut added = HashSet::new();
    for rule in &profile.rules {
        let fault = |why| Fault { line: rule.line, why };
        let action = scmp_action(rule.action);
        // Every name is looked up, so that a wrong one is found on any machine that reads the file.
        let call = call(rule, arch).map_err(fault)?;
        let meant = match rule.section {
            Section::All => true,
            Section::One(named) => scmp(named) == arch,
        };
        // libseccomp takes no rule twice, and none that says what the default says.
        let (Some(call), true, true) = (call, meant, action != default) else { continue };
        if !added.insert((i32::from(call), rule.action, rule.conditions.clone())) {
            continue;
        }
        let result = match rule.call {
            Call::ForcedUmount => filter.add_rule_conditional(action, call, &[forced()]),
            _ if rule.conditions.is_empty() => filter.add_rule(action, call),
            _ => {
                let conditions: Vec<_> = rule.conditions.iter().map(compare).collect();
                filter.add_rule_conditional(action, call, &conditions)
            }
        };
        result.map_err(|error| fault(format!("libseccomp refuses this rule: {error}")))?;
    }
    Ok(())
}

/// The call as libseccomp wants it: always by the native number, which it translates. None: a call that this
/// architecture cannot have.
fn call(rule: &Rule, arch: ScmpArch) -> Result<Option<ScmpSyscall>, String> {
    let native = arch == ScmpArch::native();
    let name = match &rule.call {
        Call::Number(number) => return Ok(native.then(|| ScmpSyscall::from(*number))),
        Call::ForcedUmount => "umount2",
        Call::Name(name) => name,
    };
    if let Ok(call) = ScmpSyscall::from_name(name)
        && !call.is_error()
    {
        // Negative numbers stand for calls that only other architectures have.
        return Ok((!native || i32::from(call) >= 0).then_some(call));
    }
    match NEW_CALLS.iter().find(|(new, _)| *new == name) {
        Some((_, number)) if native => Ok(Some(ScmpSyscall::from(*number))),
        // Not allowing it there is safe; not refusing it there is a hole.
        Some(_)
            if rule.action == Action::Allow
                || matches!(rule.section, Section::One(named) if scmp(named) != arch) =>
        {
            Ok(None)
        }
        Some(_) => Err(format!(
            "libseccomp here does not know '{name}' for {arch:?}; put it below the section of this machine's own architecture"
        )),
        None => Err(format!("'{name}' is no system call that is known here")),
    }
}

fn scmp_action(action: Action) -> ScmpAction {
    match action {
        Action::Kill => ScmpAction::KillThread,
        Action::Errno(errno) => ScmpAction::Errno(errno),
        Action::Allow => ScmpAction::Allow,
        Action::Trap => ScmpAction::Trap,
        Action::Log => ScmpAction::Log,
        Action::Notify => ScmpAction::Notify,
    }
}

fn compare(condition: &Condition) -> ScmpArgCompare {
    let operator = match condition.comparison {
        Comparison::Equal => ScmpCompareOp::Equal,
        Comparison::NotEqual => ScmpCompareOp::NotEqual,
        Comparison::Less => ScmpCompareOp::Less,
        Comparison::LessOrEqual => ScmpCompareOp::LessOrEqual,
        Comparison::Greater => ScmpCompareOp::Greater,
        Comparison::GreaterOrEqual => ScmpCompareOp::GreaterEqual,
        Comparison::MaskedEqual(mask) => ScmpCompareOp::MaskedEqual(mask),
    };
    ScmpArgCompare::new(condition.index, operator, condition.value)
}

fn forced() -> ScmpArgCompare {
    let force = libc::MNT_FORCE as u64;
    ScmpArgCompare::new(1, ScmpCompareOp::MaskedEqual(force), force)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;
    use crate::sys::seccomp::Filter;

    fn file(text: &str) -> Result<ProfileFile> {
        ProfileFile::parse(Path::new("/p"), "/d:3: SeccompProfile=:".to_string(), text)
    }

    fn program(text: &str) -> Result<Vec<u8>> {
        file(text)?.build()
    }

    #[test]
    fn the_shapes_that_lxc_ships_become_filters() {
        let numbers: String = (0..=300).chain(1024..=1079).map(|number| format!("{number}\n")).collect();
        let denylist = "2\ndenylist\nreject_force_umount  # comment\n[all]\nkexec_load errno 1\n\
                        open_by_handle_at errno 1\ninit_module errno 1\nfinit_module errno 1\n\
                        delete_module errno 1\n";
        let allowlist = "2\nallowlist trap\n[x86_64]\nopen\nclose\nmount\numount2\n[x86]\nopen\nmount\n";
        for text in [&format!("1\nallowlist\n{numbers}"), denylist, allowlist, "2\ndenylist\nmknod errno 0\n"]
        {
            let program = program(text).expect(text);
            assert!(!program.is_empty() && program.len().is_multiple_of(8));
        }
    }

    #[test]
    fn arguments_and_other_architectures_make_a_difference() {
        let of = |rule: &str| program(&format!("2\ndenylist\n{rule}\n")).expect(rule);
        assert_ne!(of("ioctl errno 1 [1,21522,&=,0xffffffff]"), of("ioctl errno 1"));
        assert_ne!(of("mount errno 1"), of("[x86_64]\nmount errno 1"));
        assert_eq!(of("mount errno 1"), of("mount errno 1\n[x86_64]\nmount errno 1"));
        // A call of 32-bit programs only.
        assert_ne!(of("socketcall errno 1"), of(""));
        assert_eq!(of("[s390x]\nmount errno 1"), of(""));
    }

    #[test]
    fn an_unknown_call_is_named_with_key_file_and_line() {
        let error = program("2\nallowlist\nread\nfrobnicate\n").expect_err("unknown");
        assert_eq!(error.kind(), Kind::Config);
        let expected = "/d:3: SeccompProfile=: /p:4: 'frobnicate' is no system call that is known here";
        assert_eq!(error.message(), expected);
        // In the section of another machine too.
        assert!(program("2\nallowlist\n[s390x]\nfrobnicate\n").is_err());
    }

    #[test]
    fn what_asks_outside_is_known_by_its_line() {
        let profile = file("2\ndenylist\n\nmknod notify [1,8192,&=,61440]\n").expect("parsed");
        assert_eq!(profile.asking().as_deref(), Some("/d:3: SeccompProfile=: /p:4:"));
        assert!(!profile.build().expect("built").is_empty());
        let by_default = file("2\nallowlist notify\nsendmsg\n").expect("parsed");
        assert_eq!(by_default.asking().as_deref(), Some("/d:3: SeccompProfile=: /p:2:"));
        assert_eq!(file("2\ndenylist\nmknod errno 1\n").expect("parsed").asking(), None);
    }

    #[test]
    fn the_call_that_hands_the_listener_over_is_not_asked_about() {
        for (text, line) in [
            ("2\ndenylist\nsendmsg notify [2,1,==]\n", "/p:3: 'sendmsg'"),
            ("2\nallowlist notify\nread\n", "/p:2: "),
            ("2\nallowlist notify\nsendmsg [2,1,==]\n", "/p:2: "),
            ("2\nallowlist notify\n[s390x]\nsendmsg\n", "/p:2: "),
        ] {
            let error = file(text).expect_err(text);
            assert!(error.message().contains(line), "{error}");
        }
    }

    #[test]
    fn a_call_that_libseccomp_may_not_know_is_not_left_open_elsewhere() {
        assert!(program("2\nallowlist errno 38\nopen_tree_attr\n").is_ok());
        assert!(program("2\ndenylist\n[x86_64]\nopen_tree_attr errno 1\n").is_ok());
    }

    #[test]
    fn the_kernel_does_what_the_profile_says() {
        let profile = file("2\ndenylist\ngetpriority errno 95\nsethostname errno 95\n").expect("parsed");
        let cache = tempfile::tempdir().expect("tempdir");
        let policy = crate::sandbox::seccomp::Policy { capabilities: 0, rules: &[], profile: Some(&profile) };
        let filters = policy.filters(cache.path()).expect("built");
        let load = |filter: &Filter| crate::sys::seccomp::load(&filter.program, filter.listening).map(drop);
        // Filters are a thread's own.
        let seen = std::thread::spawn(move || {
            rustix::thread::set_no_new_privs(true).expect("set");
            filters.iter().for_each(|filter| load(filter).expect("loaded"));
            (rustix::system::sethostname(b"").err(), rustix::process::getpriority_process(None).err())
        });
        let (name, priority) = seen.join().expect("joined");
        assert_eq!(name, Some(rustix::io::Errno::OPNOTSUPP));
        assert_eq!(priority, Some(rustix::io::Errno::OPNOTSUPP));
    }
}
