//! Values of `[Resources]`: what systemd.resource-control(5) takes for each key, and what it is on the bus
//! (org.freedesktop.systemd1(5)).
//!
//! A definition passes them to systemd as they are written. Here they are read in order to be changed while the
//! container runs, and to refuse a wrong one, which systemd would leave out with no more than a warning.

use super::quantity;
use super::values::{self, Parsed, Wrong};
use super::verbatim::RESOURCES;
use crate::paths::Root;

/// The most tasks that a container has by default.
const DEFAULT_TASKS_MAX: u64 = 16384;

/// A value as the bus takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// `b`.
    Flag(bool),
    /// `t`; `u64::MAX` is no limit, or none set.
    Number(u64),
    /// `u`: a share of the whole, `u32::MAX` being all of it.
    Share(u32),
    /// `s`.
    Word(String),
    /// `ay`: a set of numbers, bit by bit.
    Bits(Vec<u8>),
    /// `a(st)`: one entry for a device.
    Device(String, u64),
    /// `a(ss)`: devices and what may be done with them.
    Rules(Vec<(String, String)>),
}

/// A property of the slice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Property {
    /// The property's name on the bus.
    pub name: String,
    /// The property's value.
    pub value: Value,
}

/// The syntax of a key's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Yes or no.
    Flag,
    /// Bytes, a share of the host's memory, or `infinity`.
    Memory,
    /// A count, a share of what the host can have, or `infinity`.
    Tasks,
    /// 1 to 10000.
    Weight,
    /// 1 to 10000, or `idle`.
    CpuWeight,
    /// A share of one processor's time; above 100% of several.
    Quota,
    /// A share.
    Share,
    /// A time span.
    Span,
    /// Processors or memory nodes: `0-3 5`.
    Set,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A device and bytes per second, or `infinity`.
    Rate,
    /// A device and operations per second.
    Operations,
    /// A device and 1 to 10000.
    DeviceWeight,
    /// A device and a time span.
    DeviceSpan,
    /// Not read here: systemd has it from the definition alone.
    Unread,
}

/// The syntax of a key's values; [`Kind::Unread`] for an unknown key.
pub fn kind(key: &str) -> Kind {
    match key {
        "CPUWeight" | "StartupCPUWeight" => Kind::CpuWeight,
        "IOWeight" | "StartupIOWeight" => Kind::Weight,
        "CPUQuota" => Kind::Quota,
        "TasksMax" => Kind::Tasks,
        "MemoryPressureWatch" => Kind::Word(&["auto", "on", "off", "skip"]),
        "ManagedOOMSwap" | "ManagedOOMMemoryPressure" => Kind::Word(&["auto", "kill"]),
        "ManagedOOMPreference" => Kind::Word(&["none", "avoid", "omit"]),
        "ManagedOOMMemoryPressureLimit" => Kind::Share,
        "CPUQuotaPeriodSec" | "MemoryPressureThresholdSec" => Kind::Span,
        "IODeviceWeight" => Kind::DeviceWeight,
        "IODeviceLatencyTargetSec" => Kind::DeviceSpan,
        "MemoryZSwapWriteback" => Kind::Flag,
        key if key.ends_with("Accounting") => Kind::Flag,
        key if key.ends_with("BandwidthMax") => Kind::Rate,
        key if key.ends_with("IOPSMax") => Kind::Operations,
        key if key.ends_with("CPUs") || key.ends_with("MemoryNodes") => Kind::Set,
        key if key.trim_start_matches("Default").trim_start_matches("Startup").starts_with("Memory") => {
            Kind::Memory
        }
        _ => Kind::Unread,
    }
}

/// Whether `key` stands in `[Resources]` and each assignment of it adds to those before.
pub fn adds(key: &str) -> bool {
    let devices = [Kind::Rate, Kind::Operations, Kind::DeviceWeight, Kind::DeviceSpan];
    RESOURCES.contains(&key)
        && (devices.contains(&kind(key)) || kind(key) == Kind::Unread && !key.starts_with("Managed"))
}

/// The name on the bus of what a definition calls `key`.
pub fn property(key: &str) -> String {
    match key {
        "CPUQuota" => "CPUQuotaPerSecUSec".to_string(),
        key => key.strip_suffix("Sec").map_or_else(|| key.to_string(), |stem| format!("{stem}USec")),
    }
}

/// Reads a value; `None` where only systemd can.
pub fn parse(key: &str, text: &str) -> Parsed<Option<Property>> {
    let value = match kind(key) {
        Kind::Unread => return Ok(None),
        Kind::Flag => Value::Flag(values::boolean(text)?),
        Kind::Word(words) => Value::Word(one_of(text, words)?),
        Kind::Set => Value::Bits(set(text)?),
        Kind::Weight => Value::Number(weight(text)?),
        Kind::CpuWeight if text == "idle" => Value::Number(0),
        Kind::CpuWeight => Value::Number(weight(text)?),
        Kind::Span => Value::Number(quantity::time_span(text)?),
        Kind::Quota => Value::Number(share(text)? * 100),
        Kind::Share => Value::Share(scaled(share(text)?)),
        Kind::Memory | Kind::Tasks if text == "infinity" => Value::Number(u64::MAX),
        Kind::Memory | Kind::Tasks if text.ends_with('%') => {
            let (name, value) = (format!("{key}Scale"), Value::Share(scaled(at_most_all(text)?)));
            return Ok(Some(Property { name, value }));
        }
        Kind::Memory => Value::Number(quantity::size(text)?),
        Kind::Tasks => Value::Number(values::number(text, 1, u64::MAX - 1)?),
        Kind::Rate | Kind::Operations => device(text, rate)?,
        Kind::DeviceWeight => device(text, weight)?,
        Kind::DeviceSpan => device(text, quantity::time_span)?,
    };
    Ok(Some(Property { name: property(key), value }))
}

fn one_of(text: &str, words: &[&str]) -> Parsed<String> {
    match words.contains(&text) {
        true => Ok(text.to_string()),
        false => Err(Wrong::new(format!("'{text}' is none of {}", words.join(", ")))),
    }
}

fn weight(text: &str) -> Parsed<u64> {
    values::number(text, 1, 10_000)
}

/// `50%` or `12.5%` in hundredths of a percent.
fn share(text: &str) -> Parsed<u64> {
    let wrong = || Wrong::new(format!("'{text}' is not a share like 50% or 12.5%"));
    let number = text.strip_suffix('%').ok_or_else(wrong)?.trim_end();
    let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
    let plain = |text: &str| !text.is_empty() && text.len() <= 7 && text.bytes().all(|b| b.is_ascii_digit());
    if !plain(whole) || !plain(decimals) || decimals.len() > 2 {
        return Err(wrong());
    }
    let parse = |text: &str| text.parse::<u64>().map_err(|_| wrong());
    let hundredths = parse(&format!("{decimals:0<2}"))?;
    match parse(whole)? * 100 + hundredths {
        0 => Err(wrong()),
        share => Ok(share),
    }
}

/// A share of something that there is only so much of.
fn at_most_all(text: &str) -> Parsed<u64> {
    match share(text)? {
        share if share <= 10_000 => Ok(share),
        _ => Err(Wrong::new(format!("'{text}' is more than all there is"))),
    }
}

/// Hundredths of a percent on the scale of the bus, rounded as systemd does.
fn scaled(share: u64) -> u32 {
    u32::try_from((share * u64::from(u32::MAX) + 5000) / 10_000).unwrap_or(u32::MAX)
}

/// Per second, to the base of 1000; with a decimal suffix.
fn rate(text: &str) -> Parsed<u64> {
    let wrong = || Wrong::new(format!("'{text}' is not a rate like 500, 10M or infinity"));
    if text == "infinity" {
        return Ok(u64::MAX);
    }
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match &text[digits.len()..] {
        "" | "B" => 1,
        "K" => 1000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        "T" => 1_000_000_000_000,
        _ => return Err(wrong()),
    };
    let count: u64 = values::number(digits, 1, u64::MAX - 1).map_err(|_| wrong())?;
    count.checked_mul(factor).ok_or_else(wrong)
}

/// `PATH VALUE`.
fn device(text: &str, read: impl Fn(&str) -> Parsed<u64>) -> Parsed<Value> {
    let Some((path, value)) = text.split_once(char::is_whitespace) else {
        return Err(Wrong::new(format!("'{text}' is not a device or file and a value")));
    };
    let path = values::path(path)?;
    let value = value.trim_start();
    let number = read(value).map_err(|wrong| wrong.shifted(text.len() - value.len()))?;
    Ok(Value::Device(path.display().to_string(), number))
}

/// Numbers and ranges, separated by spaces or commas, as bits (`0` is the first byte's lowest).
fn set(text: &str) -> Parsed<Vec<u8>> {
    let wrong = || Wrong::new(format!("'{text}' is not a set of numbers like 0-3,5"));
    let mut bits = Vec::new();
    for part in text.split([' ', ',', '\t']).filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let number = |text| values::number(text, 0_usize, 8191).map_err(|_| wrong());
        let (first, last) = (number(first)?, number(last)?);
        if first > last {
            return Err(wrong());
        }
        bits.resize(bits.len().max(last / 8 + 1), 0);
        (first..=last).for_each(|number| bits[number / 8] |= 1 << (number % 8));
    }
    if bits.is_empty() { Err(wrong()) } else { Ok(bits) }
}

/// The `TasksMax=` of a container whose definition has none: 16384, or 15 % of what the host can have if that is less, as
/// `DefaultTasksMax=` of systemd-system.conf(5) counts it.
pub fn default_tasks_max(root: &Root) -> u64 {
    let of_the_host = ["/proc/sys/kernel/pid_max", "/proc/sys/kernel/threads-max", "/sys/fs/cgroup/pids.max"];
    let read = |path| std::fs::read_to_string(root.path(path)).ok()?.trim().parse::<u64>().ok();
    let fewest = of_the_host.into_iter().filter_map(read).min().unwrap_or(u64::MAX);
    (fewest / 100 * 15).clamp(1, DEFAULT_TASKS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_host_gives_a_container_fewer_tasks() {
        let dir = tempfile::tempdir().expect("directory");
        let root = Root::at(dir.path());
        assert_eq!(default_tasks_max(&root), 16384);
        std::fs::create_dir_all(root.path("/proc/sys/kernel")).expect("made");
        std::fs::write(root.path("/proc/sys/kernel/pid_max"), "32768\n").expect("written");
        assert_eq!(default_tasks_max(&root), 327 * 15);
        std::fs::write(root.path("/proc/sys/kernel/pid_max"), "4194304\n").expect("written");
        assert_eq!(default_tasks_max(&root), 16384);
    }
    use proptest::prelude::*;

    fn read(key: &str, text: &str) -> (String, Value) {
        let property = parse(key, text).unwrap_or_else(|wrong| panic!("{key}={text}: {wrong:?}")).unwrap();
        (property.name, property.value)
    }

    #[test]
    fn values_reach_the_bus_as_systemctl_sends_them() {
        let number = |name: &str, number| (name.to_string(), Value::Number(number));
        assert_eq!(read("MemoryMax", "1G"), number("MemoryMax", 1 << 30));
        assert_eq!(read("MemoryHigh", "infinity"), number("MemoryHigh", u64::MAX));
        assert_eq!(read("MemoryMax", "50%"), ("MemoryMaxScale".to_string(), Value::Share(2147483648)));
        assert_eq!(read("TasksMax", "100%"), ("TasksMaxScale".to_string(), Value::Share(u32::MAX)));
        assert_eq!(read("CPUQuota", "150%"), number("CPUQuotaPerSecUSec", 1_500_000));
        assert_eq!(read("CPUQuota", "0.5%"), number("CPUQuotaPerSecUSec", 5000));
        assert_eq!(read("CPUWeight", "idle"), number("CPUWeight", 0));
        assert_eq!(read("CPUQuotaPeriodSec", "10ms"), number("CPUQuotaPeriodUSec", 10_000));
        assert_eq!(read("AllowedCPUs", "0-2,9").1, Value::Bits(vec![7, 2]));
        assert_eq!(read("IOReadBandwidthMax", "/dev/x 10M").1, Value::Device("/dev/x".into(), 10_000_000));
        assert_eq!(read("IODeviceLatencyTargetSec", "/x 5ms").0, "IODeviceLatencyTargetUSec");
        assert_eq!(read("MemoryAccounting", "on").1, Value::Flag(true));
    }

    #[test]
    fn wrong_values_are_refused_with_what_would_be_right() {
        for (key, text) in [
            ("MemoryMax", "lots"),
            ("MemoryMax", "101%"),
            ("MemoryMax", "-1"),
            ("TasksMax", "0"),
            ("TasksMax", "1G"),
            ("CPUWeight", "0"),
            ("IOWeight", "idle"),
            ("IOWeight", "10001"),
            ("CPUQuota", "50"),
            ("CPUQuota", "0%"),
            ("AllowedCPUs", "3-1"),
            ("AllowedCPUs", "99999"),
            ("IOWriteIOPSMax", "10"),
            ("IOWriteIOPSMax", "x 10"),
            ("ManagedOOMSwap", "yes"),
            ("MemoryAccounting", "maybe"),
        ] {
            let wrong = parse(key, text).expect_err(text);
            assert!(wrong.why.contains(text.split(' ').next().unwrap()), "{key}={text}: {wrong:?}");
        }
        assert_eq!(parse("NFTSet", "anything"), Ok(None));
    }

    #[test]
    fn every_key_is_read_or_left_to_systemd_knowingly() {
        let unread: Vec<&str> = RESOURCES.into_iter().filter(|key| kind(key) == Kind::Unread).collect();
        assert_eq!(
            unread,
            [
                "BPFProgram",
                "DisableControllers",
                "IPAddressAllow",
                "IPAddressDeny",
                "IPEgressFilterPath",
                "IPIngressFilterPath",
                "ManagedOOMMemoryPressureDurationSec",
                "NFTSet",
                "RestrictNetworkInterfaces",
                "SocketBindAllow",
                "SocketBindDeny",
            ]
        );
        assert!(adds("IOReadBandwidthMax") && adds("IPAddressAllow") && !adds("MemoryMax") && !adds("After"));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC*|[0-9.%KMG/a ,-]{0,12}", key in prop::sample::select(&RESOURCES[..])) {
            let _ = parse(key, &text);
        }
    }
}
