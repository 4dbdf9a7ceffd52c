//! Limits of a container: properties of its slice, and the amounts in use.
//!
//! They come from two places: `[Resources]` of the definition, and the files that `systemctl set-property` writes, which
//! win. Limits that are set by an operation go to those files, so that both commands show and change the same, also of
//! a container that does not run, and destroy removes all of it.

use std::path::PathBuf;

use serde::Serialize;

use crate::config::resources::{self, Kind, Property, Value};
use crate::config::verbatim;
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::machine::Machine;
use crate::machine::inspect::usage::Usage;
use crate::machine::lifecycle::unit_files;
use crate::replace::remove_file;
use crate::systemd::manager::UnitProperties;

pub use crate::systemd::manager::Lasting;

/// One limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Limit {
    /// The key in `[Resources]`, as in systemd.resource-control(5).
    pub key: String,
    /// The value, as it can be set; `infinity` is no limit.
    pub value: String,
    /// The amount in use, in bytes, tasks, or for CPUQuota in microseconds since the slice began.
    pub used: Option<u64>,
    /// The place where it is set.
    pub from: Origin,
}

/// The place where a limit is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// Nobody has set it: the default of containers, systemd or the kernel.
    Default,
    /// `[Resources]` of the definition, or a drop-in of the slice.
    Definition,
    /// Set for good.
    Set,
    /// Set until the next boot.
    SetUntilBoot,
}

/// Limits that are shown also when nobody has set them.
const ALWAYS: [&str; 5] = ["MemoryMax", "MemoryHigh", "MemorySwapMax", "CPUQuota", "TasksMax"];

/// One change of a limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// To this value.
    Set(String, Property),
    /// Back to the value of the definition.
    Reset(String),
}

/// Reads `KEY=VALUE`, or `KEY=` for a reset. Errors are `Config`.
pub fn change(text: &str) -> Result<Change> {
    let Some((key, value)) = text.split_once('=') else {
        return Err(Error::config(format!("'{}' is not KEY=VALUE", text.escape_debug()))
            .hint("for example MemoryMax=1G; 'MemoryMax=' takes it back"));
    };
    let (key, value) = (key.trim(), value.trim());
    if !verbatim::RESOURCES.contains(&key) {
        return Err(Error::config(format!("there is no limit '{}'", key.escape_debug()))
            .hint("systemd.resource-control(5) lists them"));
    }
    if value.is_empty() {
        return Ok(Change::Reset(key.to_string()));
    }
    match resources::parse(key, value) {
        Ok(Some(property)) => Ok(Change::Set(key.to_string(), property)),
        Ok(None) => Err(Error::config(format!("'{key}=' can be changed in a definition only"))
            .hint(format!("use 'containerctl config set NAME {key}=…'"))),
        Err(wrong) => Err(Error::config(format!("{key}=: {}", wrong.why))
            .hint("systemd.resource-control(5) says what it takes")),
    }
}

impl Machine {
    /// Changes limits: those that are set all or none, in effect at once, and kept as `lasting` says.
    pub fn set_limits(&self, changes: &[Change], lasting: Lasting) -> Result<()> {
        self.host().require_systemd()?;
        let mut properties = Vec::new();
        for change in changes {
            if let Change::Set(key, property) = change {
                self.refuse_hidden(key, lasting)?;
                properties.push(property.clone());
            }
        }
        if !properties.is_empty() {
            let slice = self.name.slice();
            self.host()
                .systemd(async |manager| manager.set_unit_properties(&slice, lasting, &properties).await)?;
        }
        let mut removed = false;
        for change in changes {
            let Change::Reset(key) = change else { continue };
            for (path, _) in self.limit_files(key) {
                removed |= remove_file(&path)?;
            }
        }
        if removed { self.reload_limits() } else { Ok(()) }
    }

    /// Has systemd read its files again, and apply the limits to a container that runs. systemd 257 applies none of them to
    /// a slice that is active when it reloads; a change of any property has it apply all.
    pub(super) fn reload_limits(&self) -> Result<()> {
        const ANY: &str = "TasksAccounting";
        self.host().reload()?;
        let [_, (path, _)] = self.limit_files(ANY);
        if !self.state()?.is_up() || path.exists() {
            return Ok(());
        }
        let (slice, any) =
            (self.name.slice(), [Property { name: ANY.to_string(), value: Value::Flag(true) }]);
        self.host()
            .systemd(async |manager| manager.set_unit_properties(&slice, Lasting::Runtime, &any).await)?;
        remove_file(&path)?;
        self.host().reload()
    }

    /// A limit that is set until the boot beside one that is set for good would last until systemd reads its files again.
    fn refuse_hidden(&self, key: &str, lasting: Lasting) -> Result<()> {
        let [(path, _), _] = self.limit_files(key);
        if lasting == Lasting::Persistent || !path.exists() {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Busy, format!("'{key}' is set for good in '{}'", path.display()))
            .hint(format!("take that back with 'containerctl limit {} {key}=' first", self.name)))
    }

    /// The files that `SetUnitProperties` writes for a key, the stronger first.
    fn limit_files(&self, key: &str) -> [(PathBuf, Origin); 2] {
        let (directory, file) = (format!("{}.d", self.name.slice()), format!("50-{key}.conf"));
        let [lasting, runtime] =
            unit_files::CONTROL.map(|path| self.root().path(path).join(&directory).join(&file));
        [(lasting, Origin::Set), (runtime, Origin::SetUntilBoot)]
    }

    /// Whether a limit was set, so that the definition does not count for it.
    pub(super) fn has_set_limit(&self, key: &str) -> bool {
        self.limit_files(key).iter().any(|(path, _)| path.exists())
    }

    /// The limits that somebody has set, and the commonest; they need not be in effect.
    pub fn limits(&self) -> Result<Vec<Limit>> {
        self.host().require_systemd()?;
        let slice = self.name.slice();
        let slice = self.host().systemd(async |manager| manager.properties(&slice, "Slice").await)?;
        Ok(self.limits_of(&slice))
    }

    /// As [`Machine::limits`], from the slice's properties.
    pub(in crate::machine) fn limits_of(&self, slice: &UnitProperties) -> Vec<Limit> {
        let usage = self.usage();
        let defined =
            self.definition().map(|definition| &definition.settings.resources[..]).unwrap_or_default();
        let row = |key: &'static str| {
            let set = self.limit_files(key).into_iter().find(|(path, _)| path.exists()).map(|(_, from)| from);
            let written = defined.iter().rfind(|(written, _)| written == key).map(|(_, text)| text);
            let from = set.or(written.map(|_| Origin::Definition));
            if from.is_none() && !ALWAYS.contains(&key) {
                return None;
            }
            let value =
                if resources::kind(key) == Kind::Unread { written.cloned() } else { shown(key, slice) };
            Some(Limit {
                key: key.to_string(),
                value: value.unwrap_or_else(|| "infinity".to_string()),
                used: used(key, &usage),
                from: from.unwrap_or(Origin::Default),
            })
        };
        let rest = verbatim::RESOURCES.into_iter().filter(|key| !ALWAYS.contains(key));
        ALWAYS.into_iter().chain(rest).filter_map(row).collect()
    }
}

/// A property as it could be set.
fn shown(key: &str, slice: &UnitProperties) -> Option<String> {
    let name = resources::property(key);
    let number = || slice.number(&name);
    match resources::kind(key) {
        Kind::Unread => None,
        Kind::Flag => Some(if slice.flag(&name) { "yes" } else { "no" }.to_string()),
        Kind::Word(_) => Some(slice.text(&name)),
        Kind::Memory => number().map(size),
        Kind::Tasks | Kind::Weight => number().map(|number| number.to_string()),
        Kind::CpuWeight => {
            number().map(|weight| if weight == 0 { "idle".into() } else { weight.to_string() })
        }
        Kind::Quota => number().map(|usec| percent(usec / 100)),
        Kind::Share => {
            number().map(|share| percent((share * 10_000 + u64::from(u32::MAX) / 2) / u64::from(u32::MAX)))
        }
        Kind::Span => number().map(|usec| format!("{usec}us")),
        Kind::Set => Some(numbers(&slice.bits(&name))),
        Kind::Rate | Kind::Operations | Kind::DeviceWeight => Some(devices(slice.devices(&name), "")),
        Kind::DeviceSpan => Some(devices(slice.devices(&name), "us")),
    }
}

/// The largest unit that needs no fraction.
fn size(bytes: u64) -> String {
    let units = [(40, "T"), (30, "G"), (20, "M"), (10, "K")];
    let fits = units.into_iter().find(|(shift, _)| bytes > 0 && bytes.is_multiple_of(1 << shift));
    fits.map_or_else(|| bytes.to_string(), |(shift, unit)| format!("{}{unit}", bytes >> shift))
}

/// Of hundredths of a percent.
fn percent(share: u64) -> String {
    match share % 100 {
        0 => format!("{}%", share / 100),
        rest => format!("{}.{rest:02}%", share / 100),
    }
}

/// Bits as ranges of their numbers.
fn numbers(bits: &[u8]) -> String {
    let is_set = |number: usize| bits.get(number / 8).is_some_and(|byte| byte & (1 << (number % 8)) != 0);
    let mut ranges = Vec::new();
    let mut number = 0;
    while number < bits.len() * 8 {
        let first = number;
        while is_set(number) {
            number += 1;
        }
        match number - first {
            0 => number += 1,
            1 => ranges.push(first.to_string()),
            _ => ranges.push(format!("{first}-{}", number - 1)),
        }
    }
    ranges.join(",")
}

fn devices(devices: Vec<(String, u64)>, unit: &str) -> String {
    let one = |(path, number): (String, u64)| match number {
        u64::MAX => format!("{path} infinity"),
        number => format!("{path} {number}{unit}"),
    };
    devices.into_iter().map(one).collect::<Vec<_>>().join(", ")
}

fn used(key: &str, usage: &Usage) -> Option<u64> {
    match key {
        "MemoryMax" | "MemoryHigh" => usage.memory_bytes,
        "MemorySwapMax" => usage.swap_bytes,
        "CPUQuota" => usage.cpu_usec,
        "TasksMax" => usage.tasks,
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_checked_before_anything_is_asked_of_systemd() {
        assert_eq!(change("MemoryMax=").unwrap(), Change::Reset("MemoryMax".to_string()));
        assert!(matches!(change("MemoryMax=1G").unwrap(), Change::Set(key, _) if key == "MemoryMax"));
        for (text, words) in [
            ("MemoryMax", "is not KEY=VALUE"),
            ("Memory=1G", "there is no limit 'Memory'"),
            ("MemoryMax=lots", "MemoryMax=: 'lots' is not a size"),
            ("NFTSet=x", "'NFTSet=' can be changed in a definition only"),
            ("Delegate=yes", "there is no limit 'Delegate'"),
        ] {
            let error = change(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains(words), "{error}");
        }
    }

    #[test]
    fn values_are_shown_as_they_can_be_set() {
        assert_eq!((size(1 << 30), size(1000), size(0)), ("1G".into(), "1000".into(), "0".into()));
        assert_eq!((percent(15_000), percent(1250)), ("150%".into(), "12.50%".into()));
        assert_eq!(numbers(&[0b1000_0111, 0b10]), "0-2,7,9");
        assert_eq!(numbers(&[0xff, 0x01]), "0-8");
        assert_eq!(devices(vec![("/dev/x".into(), 5), ("/y".into(), u64::MAX)], ""), "/dev/x 5, /y infinity");
    }
}
