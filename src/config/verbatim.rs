//! Keys that are systemd's own and are passed to it unread: `[Unit]` to the service, `[Resources]` to the slice.
//!
//! Values stay as written, specifiers included; the line check has refused control characters.

use super::resources;
use super::settings::Settings;

/// Keys of systemd.unit(5) that make sense for a unit whose life is ours.
pub const UNIT: [&str; 16] = [
    "After",
    "Before",
    "BindsTo",
    "Conflicts",
    "Description",
    "Documentation",
    "OnFailure",
    "PartOf",
    "Requires",
    "RequiresMountsFor",
    "Requisite",
    "StartLimitAction",
    "StartLimitBurst",
    "StartLimitIntervalSec",
    "Upholds",
    "Wants",
];

/// Keys of systemd.resource-control(5) that hold for a slice.
pub const RESOURCES: [&str; 54] = [
    "AllowedCPUs",
    "AllowedMemoryNodes",
    "BPFProgram",
    "CPUAccounting",
    "CPUQuota",
    "CPUQuotaPeriodSec",
    "CPUWeight",
    "DefaultMemoryLow",
    "DefaultMemoryMin",
    "DefaultStartupMemoryLow",
    "DisableControllers",
    "IOAccounting",
    "IODeviceLatencyTargetSec",
    "IODeviceWeight",
    "IOReadBandwidthMax",
    "IOReadIOPSMax",
    "IOWeight",
    "IOWriteBandwidthMax",
    "IOWriteIOPSMax",
    "IPAccounting",
    "IPAddressAllow",
    "IPAddressDeny",
    "IPEgressFilterPath",
    "IPIngressFilterPath",
    "ManagedOOMMemoryPressure",
    "ManagedOOMMemoryPressureDurationSec",
    "ManagedOOMMemoryPressureLimit",
    "ManagedOOMPreference",
    "ManagedOOMSwap",
    "MemoryAccounting",
    "MemoryHigh",
    "MemoryLow",
    "MemoryMax",
    "MemoryMin",
    "MemoryPressureThresholdSec",
    "MemoryPressureWatch",
    "MemorySwapMax",
    "MemoryZSwapMax",
    "MemoryZSwapWriteback",
    "NFTSet",
    "RestrictNetworkInterfaces",
    "SocketBindAllow",
    "SocketBindDeny",
    "StartupAllowedCPUs",
    "StartupAllowedMemoryNodes",
    "StartupCPUWeight",
    "StartupIOWeight",
    "StartupMemoryHigh",
    "StartupMemoryLow",
    "StartupMemoryMax",
    "StartupMemorySwapMax",
    "StartupMemoryZSwapMax",
    "TasksAccounting",
    "TasksMax",
];

/// The keys of `section` that are passed on.
pub fn keys(section: &str) -> &'static [&'static str] {
    match section {
        "Unit" => &UNIT,
        "Resources" => &RESOURCES,
        _ => &[],
    }
}

/// Whether each assignment of a key adds to those before, as systemd reads it.
pub fn adds(section: &str, key: &str) -> bool {
    match section {
        "Unit" => key != "Description" && !key.starts_with("StartLimit"),
        _ => resources::adds(key),
    }
}

/// Adds the assignment; an empty one takes back all earlier ones of its key. False if there is no such key.
pub fn apply(settings: &mut Settings, section: &str, key: &str, text: &str) -> bool {
    if !keys(section).contains(&key) {
        return false;
    }
    let list = if section == "Unit" { &mut settings.unit } else { &mut settings.resources };
    match text {
        "" => list.retain(|(earlier, _)| earlier != key),
        _ => list.push((key.to_string(), text.to_string())),
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_kept_as_written_until_reset() {
        let mut settings = Settings::default();
        assert!(apply(&mut settings, "Unit", "After", "a%i.service"));
        assert!(apply(&mut settings, "Unit", "Wants", "b.service"));
        assert!(apply(&mut settings, "Unit", "After", ""));
        assert_eq!(settings.unit, [("Wants".to_string(), "b.service".to_string())]);
        assert!(!apply(&mut settings, "Unit", "DefaultDependencies", "no"));
        assert!(!apply(&mut settings, "Resources", "Delegate", "yes"));
    }
}
