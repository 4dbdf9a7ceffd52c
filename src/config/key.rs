//! One key of a definition: who may set it, how it reaches the settings, and when.

use serde::Serialize;

use super::directives::{SECTIONS, TABLE};
use super::network::{Interface, values};
use super::settings::Settings;
use super::values::{Parsed, Wrong};
use super::{resources, verbatim};

/// The trust that setting a key needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// The host's administrator alone: it reaches out of the container, or takes of the host's.
    Host,
    /// Harmless: an image may bring it along.
    Image,
}

/// When a change of a key takes effect in a container that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// Once systemd has read it, by `systemctl daemon-reload`.
    Live,
    /// By `systemctl reload container@NAME`.
    Reload,
    /// When the container is started next.
    Restart,
}

/// One key.
pub struct Directive {
    /// Section it stands in.
    pub section: &'static str,
    /// Left of `=`.
    pub key: &'static str,
    /// Syntax of the value, for the manual.
    pub value: &'static str,
    /// The trust that setting it needs.
    pub trust: Trust,
    /// When a change of it takes effect.
    pub effect: Effect,
    /// The documentation: sentences for the manual.
    pub doc: &'static str,
    pub(super) field: Field,
}

/// The effect of repeated assignments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeps {
    /// The last one.
    Last,
    /// A list of all values.
    All,
}

/// The way from a key's value to [`Settings`].
pub(super) struct Field {
    pub(super) keeps: Keeps,
    pub(super) reach: Reach,
}

/// The part of the settings that a key belongs to.
pub(super) enum Reach {
    /// A key of the definition as a whole.
    Settings { assign: fn(&mut Settings, &str) -> Parsed<()>, reset: fn(&mut Settings) },
    /// A key of each `[Interface NAME]` section.
    Interface { assign: fn(&mut Interface, &str) -> Parsed<()>, reset: fn(&mut Interface) },
}

/// The one section of which there may be many, each with a name.
const NAMED: &str = "Interface";

/// A section's name as it is written in manuals.
pub fn title(section: &str) -> String {
    if section == NAMED { format!("{NAMED} NAME") } else { section.to_string() }
}

/// A section's kind, and the name that follows it.
fn split(section: &str) -> (&str, Option<&str>) {
    match section.split_once(' ') {
        Some((NAMED, name)) => (NAMED, Some(name.trim())),
        _ => (section, None),
    }
}

/// The row of a key.
pub fn find(section: &str, key: &str) -> Option<&'static Directive> {
    let (section, _) = split(section);
    TABLE.iter().find(|row| row.section == section && row.key == key)
}

/// Whether any key stands in `section`.
pub fn is_section(section: &str) -> bool {
    SECTIONS.contains(&split(section).0)
}

/// Takes note of a section's header: an interface is there even if nothing is said of it.
pub(super) fn begin(settings: &mut Settings, section: &str) -> Parsed<()> {
    match split(section) {
        (NAMED, Some(name)) => {
            let name = values::interface(name).map_err(|wrong| wrong.shifted(NAMED.len() + 2))?;
            settings.network.interface(name);
            Ok(())
        }
        (NAMED, None) => {
            Err(Wrong::new(format!("'[{NAMED}]' lacks the name of an interface: [{NAMED} eth0]")))
        }
        _ => Ok(()),
    }
}

/// The trust that a key needs; keys that systemd reads need the host's. `None`: no such key.
pub fn trust(section: &str, key: &str) -> Option<Trust> {
    let passed_on = verbatim::keys(section).contains(&key).then_some(Trust::Host);
    find(section, key).map(|row| row.trust).or(passed_on)
}

/// When a change of a key takes effect; what systemd reads, once it is read. `None`: no such key.
pub fn effect(section: &str, key: &str) -> Option<Effect> {
    let passed_on = verbatim::keys(section).contains(&key).then_some(Effect::Live);
    find(section, key).map(|row| row.effect).or(passed_on)
}

/// The effect of repeated assignments of a key.
pub fn keeps(section: &str, key: &str) -> Keeps {
    let passed_on = || if verbatim::adds(section, key) { Keeps::All } else { Keeps::Last };
    find(section, key).map_or_else(passed_on, |row| row.field.keeps)
}

/// The sections that have `key`.
pub fn sections_of(key: &str) -> Vec<&'static str> {
    SECTIONS.into_iter().filter(|section| trust(section, key).is_some()).collect()
}

/// Refuses a value that the key does not take; an empty one is a reset.
pub fn check(section: &str, key: &str, text: &str) -> Parsed<()> {
    apply(&mut Settings::default(), section, key, text).map(drop)
}

/// Applies one assignment, an empty one being a reset. False if there is no such key.
pub(super) fn apply(settings: &mut Settings, section: &str, key: &str, text: &str) -> Parsed<bool> {
    let Some(row) = find(section, key) else {
        let known = verbatim::apply(settings, section, key, text);
        if known && section == "Resources" && !text.is_empty() {
            resources::parse(key, text)?;
        }
        return Ok(known);
    };
    match (&row.field.reach, text) {
        (Reach::Settings { reset, .. }, "") => reset(settings),
        (Reach::Settings { assign, .. }, text) => assign(settings, text)?,
        (Reach::Interface { assign, reset }, text) => {
            let name = values::interface(split(section).1.unwrap_or_default())?;
            let interface = settings.network.interface(name);
            if text.is_empty() { reset(interface) } else { assign(interface, text)? }
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::settings::{CustomMount, ResourceLimit};
    use std::collections::BTreeSet;

    fn settings(assignments: &[(&str, &str, &str)]) -> Settings {
        let mut settings = Settings::default();
        for (section, key, text) in assignments {
            assert_eq!(apply(&mut settings, section, key, text), Ok(true), "{key}={text}");
        }
        settings
    }

    #[test]
    fn a_limit_that_systemd_would_ignore_is_refused() {
        let apply = |key, text| apply(&mut Settings::default(), "Resources", key, text);
        for (key, text) in
            [("MemoryMax", "lots"), ("MemoryMax", "120%"), ("TasksMax", "0"), ("CPUWeight", "20000")]
        {
            assert!(apply(key, text).is_err(), "{key}={text}");
        }
        // An empty one is a reset; some only systemd can read; and what is no key at all is another mistake.
        for (key, text) in [("MemoryMax", ""), ("MemoryMax", "50%"), ("IPAddressDeny", "any")] {
            assert_eq!(apply(key, text), Ok(true), "{key}={text}");
        }
        assert_eq!(apply("MemoryMost", "lots"), Ok(false));
    }

    /// A value that each key takes and that is not its default.
    fn example(row: &Directive) -> &'static str {
        match (row.key, row.value) {
            ("Boot" | "Private", _) => "no",
            (_, "BOOL") => "yes",
            (_, "PATH" | "TARGET" | "TARGET[:OPTIONS]" | "SOURCE[:TARGET[:OPTIONS]]") => "/x",
            ("MachineID", _) => "0123456789abcdef0123456789abcdef",
            ("PrivateUsers", _) => "identity",
            ("SeccompNotifyProxy", _) => "@x",
            ("AppArmorProfile", _) => "unconfined",
            ("SELinuxContext", _) => "u:r:t:s0",
            ("LinkJournal", _) => "no",
            ("Type", _) => "macvlan",
            ("Mode", _) => "private",
            ("MACAddress", _) => "02:00:00:00:00:01",
            ("MTU", _) => "1400",
            ("RateIn" | "RateOut", _) => "1M",
            ("Address" | "AllowedAddress" | "Gateway" | "DNS", _) => "10.0.0.1",
            (_, "INTERFACE" | "ZONE" | "HOST[:INSIDE]…" | "PARENT[:INSIDE]…") => "e0",
            ("DeviceAllow", _) => "/dev/fuse",
            (_, "CAPABILITY…") => "CAP_CHOWN",
            (_, "PATH [rwm]") => "/dev/fuse rw",
            (_, "NAME=VALUE…") => "A=b",
            (_, "SIGNAL") => "TERM",
            (_, "SIZE") => "8K",
            (_, "UNIT…") => "a.target",
            (_, "GROUP…") => "web",
            (_, "WORD…" | "NAME" | "[~]NAME…") => "bpf",
            _ => "1",
        }
    }

    #[test]
    fn every_key_changes_settings_and_an_empty_one_resets_it() {
        for row in TABLE {
            let section = title(row.section);
            let mut unset = Settings::default();
            begin(&mut unset, &section).expect("a section");
            let changed = settings(&[(&section, row.key, example(row))]);
            assert_ne!(changed, unset, "{}", row.key);
            let reset = settings(&[(&section, row.key, example(row)), (&section, row.key, "")]);
            assert_eq!(reset, unset, "{}", row.key);
        }
    }

    #[test]
    fn no_key_stands_twice_and_each_in_a_known_section() {
        let keys: BTreeSet<_> = TABLE.iter().map(|row| (row.section, row.key)).collect();
        assert_eq!(keys.len(), TABLE.len());
        assert!(TABLE.iter().all(|row| is_section(row.section)));
    }

    #[test]
    fn lists_grow_and_scalars_are_replaced() {
        let settings = settings(&[
            ("Exec", "Parameters", "a 'b c'"),
            ("Exec", "Parameters", "d"),
            ("Exec", "Hostname", "one"),
            ("Exec", "Hostname", "two"),
            ("Exec", "LimitNOFILE", "1"),
            ("Exec", "LimitNOFILE", "2:3"),
            ("Exec", "Capability", "0"),
            ("Exec", "Capability", "1"),
        ]);
        assert_eq!(settings.exec.parameters, ["a", "b c", "d"]);
        assert_eq!(settings.exec.hostname.as_deref(), Some("two"));
        let limit = ResourceLimit { resource: libc::RLIMIT_NOFILE, soft: Some(2), hard: Some(3) };
        assert_eq!(settings.exec.limits, [limit]);
        assert_eq!(settings.exec.capability, 3);
    }

    #[test]
    fn mounts_keep_their_order_and_reset_by_kind() {
        let settings = settings(&[
            ("Files", "Bind", "/a"),
            ("Files", "TemporaryFileSystem", "/b"),
            ("Files", "BindReadOnly", "/c"),
            ("Files", "Bind", ""),
        ]);
        assert!(matches!(
            &settings.files.mounts[..],
            [CustomMount::Tmpfs { .. }, CustomMount::Bind { read_only: true, .. }]
        ));
    }

    #[test]
    fn what_reaches_the_host_is_the_hosts() {
        for (section, key) in
            [("Files", "Bind"), ("Exec", "Capability"), ("Network", "Private"), ("Unit", "After")]
        {
            assert_eq!(trust(section, key), Some(Trust::Host), "{key}");
        }
        assert_eq!(trust("Exec", "Hostname"), Some(Trust::Image));
        assert_eq!(trust("Exec", "Nonsense"), None);
    }
}
