//! Capabilities (capabilities(7)): their names, and which of them a container keeps.

use rustix::io::Errno;
use rustix::thread::{CapabilitySet, CapabilitySets};

/// A set of capabilities, one bit each as in `/proc/PID/status`.
pub type Mask = u64;

/// Names without `CAP_`, in the kernel's order (linux/capability.h).
const NAMES: [&str; 41] = [
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "fsetid",
    "kill",
    "setgid",
    "setuid",
    "setpcap",
    "linux_immutable",
    "net_bind_service",
    "net_broadcast",
    "net_admin",
    "net_raw",
    "ipc_lock",
    "ipc_owner",
    "sys_module",
    "sys_rawio",
    "sys_chroot",
    "sys_ptrace",
    "sys_pacct",
    "sys_admin",
    "sys_boot",
    "sys_nice",
    "sys_resource",
    "sys_time",
    "sys_tty_config",
    "mknod",
    "lease",
    "audit_write",
    "audit_control",
    "setfcap",
    "mac_override",
    "mac_admin",
    "syslog",
    "wake_alarm",
    "block_suspend",
    "audit_read",
    "perfmon",
    "bpf",
    "checkpoint_restore",
];

/// Kept by default: what a whole distribution needs, 23 of them.
const KEPT: [&str; 23] = [
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "fsetid",
    "kill",
    "setgid",
    "setuid",
    "setpcap",
    "setfcap",
    "net_bind_service",
    "net_admin",
    "net_raw",
    "sys_chroot",
    "sys_ptrace",
    "sys_admin",
    "sys_boot",
    "sys_nice",
    "sys_resource",
    "sys_tty_config",
    "mknod",
    "audit_write",
    "ipc_owner",
];

/// The bit of a capability, by its name with or without `CAP_`, in any case.
pub fn bit(name: &str) -> Option<Mask> {
    let name = name.to_ascii_lowercase();
    let name = name.strip_prefix("cap_").unwrap_or(&name);
    NAMES.iter().position(|known| *known == name).map(|number| 1 << number)
}

/// The bit of a capability by its number, if it is one.
pub fn numbered(number: usize) -> Option<Mask> {
    (number < NAMES.len()).then(|| 1 << number)
}

/// All capabilities that have a name.
pub fn all() -> Mask {
    (1 << NAMES.len()) - 1
}

/// The default set.
pub fn default_set() -> Mask {
    KEPT.iter().filter_map(|name| bit(name)).sum()
}

/// The capabilities of a container: the default set, plus `added`, less `dropped`, limited to our own `bounding` set.
pub fn kept(added: Mask, dropped: Mask, bounding: Mask) -> Mask {
    (default_set() | added) & !dropped & bounding
}

/// The names in a set, as `CAP_CHOWN`.
pub fn names(set: Mask) -> Vec<String> {
    let named = NAMES.iter().enumerate().filter(|(number, _)| set & (1 << number) != 0);
    named.map(|(_, name)| format!("CAP_{}", name.to_ascii_uppercase())).collect()
}

/// Bounding, permitted and effective become `kept`; inheritable and ambient become `ambient`, which is empty unless
/// the definition asks.
pub fn drop_capabilities(kept: Mask, ambient: Mask) -> Result<(), Errno> {
    rustix::thread::clear_ambient_capability_set()?;
    for number in 0..64 {
        let bit = CapabilitySet::from_bits_retain(1 << number);
        if kept & (1 << number) == 0 {
            match rustix::thread::remove_capability_from_bounding_set(bit) {
                // The kernel has no capability of this number.
                Err(Errno::INVAL) => break,
                other => other?,
            }
        }
    }
    let set = CapabilitySet::from_bits_retain(kept);
    let inheritable = CapabilitySet::from_bits_retain(ambient);
    rustix::thread::set_capabilities(None, CapabilitySets { effective: set, permitted: set, inheritable })?;
    for bit in inheritable.iter() {
        rustix::thread::configure_capability_in_ambient_set(bit, true)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_set_is_the_promised_23() {
        assert_eq!(default_set().count_ones(), 23);
        assert_eq!(default_set() & bit("CAP_SYS_MODULE").expect("known"), 0);
    }

    #[test]
    fn names_are_taken_as_people_write_them() {
        assert_eq!(bit("CAP_CHOWN"), Some(1));
        assert_eq!(bit("chown"), Some(1));
        assert_eq!(bit("Cap_Bpf"), Some(1 << 39));
        assert_eq!(bit("CAP_NONSENSE"), None);
    }

    #[test]
    fn dropping_wins_and_our_own_bounds_are_never_passed() {
        let time = bit("sys_time").expect("known");
        assert_eq!(kept(time, time, all()) & time, 0);
        assert_eq!(kept(time, 0, all() & !time) & time, 0);
        assert_ne!(kept(time, 0, all()) & time, 0);
    }
}
