//! Labels of the kernel's security modules: what the payload is confined by beyond its namespaces.
//!
//! [`Support::of`] looks at the host, [`check`] refuses what was asked for and cannot be, [`labels`] decides, purely.
//! The leader asks the kernel for the labels on exec, and [`verify`] looks from the host whether it has them.

/// AppArmor: profiles.
pub mod apparmor;
/// SELinux: contexts.
pub mod selinux;

use std::fmt;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use crate::config::Definition;
use crate::config::settings::{AppArmorProfile, Exec, PrivateUsers, Settings};
use crate::error::{Error, Kind, Result};
use crate::name::MachineName;
use crate::paths::Root;
use crate::sandbox::init::InitKind;
use crate::sandbox::layout::writable_sysctls;
use crate::sys::idmap::IdRange;

/// Security modules of the host.
#[derive(Clone, Debug, Default)]
pub struct Support {
    /// AppArmor.
    pub apparmor: apparmor::Support,
    /// SELinux.
    pub selinux: selinux::Support,
}

impl Support {
    /// Looks at the host, and at the label of the root file system at `rootfs`.
    pub fn of(root: &Root, rootfs: &Path) -> Support {
        Support { apparmor: apparmor::Support::of(root), selinux: selinux::Support::of(root, rootfs) }
    }
}

/// The labels that the payload gets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Labels {
    /// Name of an AppArmor profile; none leaves it to what the supervisor has.
    pub apparmor: Option<String>,
    /// SELinux context; none leaves it to the policy.
    pub selinux: Option<String>,
    /// Text of the AppArmor profile, where it is generated.
    #[serde(skip)]
    pub profile: Option<String>,
}

impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let none = |label: &Option<String>| label.clone().unwrap_or_else(|| "none".to_string());
        write!(f, "AppArmor {}, SELinux {}", none(&self.apparmor), none(&self.selinux))
    }
}

/// Refuses labels that the definition asks for and the host cannot give, and the ids of the host for a container that
/// no label confines, with the key, its file and line.
pub fn check(definition: &Definition, support: &Support) -> Result<()> {
    let exec = &definition.settings.exec;
    let refused = |key, why: String| {
        Err(Error::new(Kind::Unsupported, format!("{} {why}", definition.named("Exec", key)))
            .hint(format!("leave {key}= out to go without where it cannot be")))
    };
    let wanted = exec.apparmor_profile.as_ref().and_then(|profile| support.apparmor.lacks(profile));
    if let Some(why) = wanted {
        return refused("AppArmorProfile", why);
    }
    match exec.selinux_context.as_ref().and_then(|context| support.selinux.lacks(context)) {
        Some(why) => refused("SELinuxContext", why),
        None => require_confinement(definition, support),
    }
}

/// Root with the ids of the host is root of the host, unless a label confines it or the definition says so twice.
fn require_confinement(definition: &Definition, support: &Support) -> Result<()> {
    let exec = &definition.settings.exec;
    if exec.private_users != PrivateUsers::No || exec.privileged || confines(exec, support) {
        return Ok(());
    }
    let named = definition.named("Exec", "PrivateUsers");
    Err(Error::config(format!(
        "{named} root of the container would be root of the host: no AppArmor or SELinux confines it"
    ))
    .hint("leave PrivateUsers= out, or add Privileged=yes to [Exec]"))
}

/// Whether a container of the definition gets a label that confines it.
pub fn confines(exec: &Exec, support: &Support) -> bool {
    let by_apparmor = match exec.apparmor_profile {
        None => support.apparmor.can_load(),
        Some(AppArmorProfile::Unconfined) => false,
        Some(AppArmorProfile::Generated | AppArmorProfile::Named(_)) => true,
    };
    by_apparmor || exec.selinux_context.is_some() || support.selinux.own_context("", None).is_some()
}

/// The labels of a container. `ids` is `None` where it shares the host's ids.
pub fn labels(settings: &Settings, support: &Support, name: &MachineName, ids: Option<IdRange>) -> Labels {
    let exec = &settings.exec;
    let generated = || {
        let sysctls: Vec<_> = writable_sysctls(settings.network.private, ids.is_some()).collect();
        let text = apparmor::profile(&apparmor::Profile {
            machine: name.as_str(),
            nesting: exec.nesting,
            user_namespace: ids.is_some(),
            sysctls: &sysctls,
            abi: support.apparmor.abi,
        });
        (Some(apparmor::profile_name(name.as_str())), Some(text))
    };
    let (apparmor, profile) = match &exec.apparmor_profile {
        Some(AppArmorProfile::Generated) => generated(),
        None if support.apparmor.can_load() => generated(),
        None => (None, None),
        // A supervisor with a profile of its own would hand that on.
        Some(AppArmorProfile::Unconfined) => {
            (support.apparmor.enabled.then(|| apparmor::UNCONFINED.to_string()), None)
        }
        Some(AppArmorProfile::Named(name)) => (Some(name.clone()), None),
    };
    let selinux = exec.selinux_context.clone().or_else(|| support.selinux.own_context(name.as_str(), ids));
    Labels { apparmor, selinux, profile }
}

/// Warns of what a guest with systemd loses by the generated profile.
pub fn warning(
    settings: &Settings,
    labels: &Labels,
    ids: Option<IdRange>,
    init: Option<InitKind>,
) -> Option<String> {
    let refused = labels.profile.is_some() && ids.is_none() && !settings.exec.nesting;
    (refused && init == Some(InitKind::Systemd)).then(|| {
        "AppArmor refuses copies of the mount tree to a container without user namespace, so services of the guest \
         that systemd sandboxes will fail; PrivateUsers=identity keeps the host's ids and has no such loss"
            .to_string()
    })
}

/// Number of attempts to read the label; the kernel closes the leader's descriptors a moment before it changes the label.
const LOOKS: u32 = 200;
const PAUSE: Duration = Duration::from_millis(5);

/// Looks whether a process has its labels, as the host sees it. It must be a child of ours that was not waited for,
/// so that its number is its own.
pub fn verify(pid: i32, labels: &Labels) -> Result<()> {
    if let Some(profile) = &labels.apparmor {
        let files = ["attr/apparmor/current", "attr/current"];
        eventually("AppArmor profile", profile, || {
            apparmor::name_of(&read(pid, &files)?).map(str::to_string)
        })?;
    }
    if let Some(context) = &labels.selinux {
        eventually("SELinux context", context, || read(pid, &["attr/current"]))?;
    }
    Ok(())
}

fn eventually(what: &str, wanted: &str, look: impl Fn() -> Option<String>) -> Result<()> {
    let mut seen = None;
    for _ in 0..LOOKS {
        seen = look();
        if seen.as_deref() == Some(wanted) {
            return Ok(());
        }
        std::thread::sleep(PAUSE);
    }
    let seen = seen.map_or_else(|| "none".to_string(), |seen| format!("'{seen}'"));
    Err(Error::failed(format!("a process of the container has {what} {seen} instead of '{wanted}'")))
}

/// The first of `files` below `/proc/PID` that there is.
fn read(pid: i32, files: &[&str]) -> Option<String> {
    let text = files.iter().find_map(|file| std::fs::read_to_string(format!("/proc/{pid}/{file}")).ok())?;
    Some(text.trim_end_matches(['\n', '\0']).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    fn definition(text: &str) -> Definition {
        config::parse(Path::new("/p1.conf"), text).expect("parsed")
    }

    fn apparmor() -> Support {
        let mut support = Support::default();
        support.apparmor.enabled = true;
        support.apparmor.parser = Some("/sbin/apparmor_parser".into());
        support.apparmor.loaded = vec!["mine".to_string()];
        support
    }

    fn decided(text: &str, support: &Support) -> Labels {
        let name = MachineName::new("p1").expect("valid");
        labels(&definition(text).settings, support, &name, Some(IdRange { base: 524_288, size: 65536 }))
    }

    #[test]
    fn without_a_module_there_is_no_label_and_asking_for_one_is_refused() {
        let none = Support::default();
        assert_eq!(decided("", &none), Labels::default());
        assert_eq!(decided("[Exec]\nAppArmorProfile=unconfined\n", &none), Labels::default());
        assert!(check(&definition("[Exec]\nAppArmorProfile=unconfined\n"), &none).is_ok());
        for (line, key) in [
            ("AppArmorProfile=generated", "AppArmorProfile="),
            ("AppArmorProfile=x", "AppArmorProfile="),
            ("SELinuxContext=u:r:t:s0", "SELinuxContext="),
        ] {
            let error = check(&definition(&format!("[Exec]\n{line}\n")), &none).expect_err(line);
            assert_eq!(error.kind(), Kind::Unsupported);
            assert!(error.message().starts_with(&format!("/p1.conf:2: {key} ")), "{error}");
        }
    }

    #[test]
    fn a_profile_is_generated_unless_another_is_asked_for() {
        let support = apparmor();
        let labels = decided("", &support);
        assert_eq!(labels.apparmor.as_deref(), Some("containerctl_p1"));
        assert!(labels.profile.is_some());
        let of = |text: &str| decided(text, &support).apparmor;
        assert_eq!(of("[Exec]\nAppArmorProfile=unconfined\n").as_deref(), Some("unconfined"));
        assert_eq!(of("[Exec]\nAppArmorProfile=mine\n").as_deref(), Some("mine"));
        assert!(check(&definition("[Exec]\nAppArmorProfile=mine\n"), &support).is_ok());
        assert!(check(&definition("[Exec]\nAppArmorProfile=other\n"), &support).is_err());
    }

    #[test]
    fn a_guest_with_systemd_is_warned_that_has_no_user_namespace() {
        let settings = definition("").settings;
        let labels = decided("", &apparmor());
        let warned = |ids, init| warning(&settings, &labels, ids, Some(init)).is_some();
        assert!(warned(None, InitKind::Systemd));
        assert!(!warned(Some(IdRange::IDENTITY), InitKind::Systemd) && !warned(None, InitKind::Busybox));
        assert_eq!(warning(&settings, &Labels::default(), None, Some(InitKind::Systemd)), None);
    }

    #[test]
    fn a_kernel_without_a_parser_beside_it_confines_only_on_request() {
        let support =
            Support { apparmor: apparmor::Support { parser: None, ..apparmor().apparmor }, ..apparmor() };
        assert_eq!(decided("", &support), Labels::default());
        assert!(check(&definition("[Exec]\nAppArmorProfile=generated\n"), &support).is_err());
    }

    #[test]
    fn a_label_that_is_not_there_is_an_error() {
        let labels = Labels { apparmor: Some("containerctl_p1".to_string()), ..Labels::default() };
        let error = verify(std::process::id() as i32, &labels).expect_err("not labelled");
        assert!(error.message().contains("instead of 'containerctl_p1'"), "{error}");
    }
}
