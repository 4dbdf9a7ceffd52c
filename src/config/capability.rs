//! Names of capabilities, as in capabilities(7).

use super::values::{Parsed, Wrong};
use super::words;

/// In the kernel's order: the index is the number.
const NAMES: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// A list of names or numbers, or `all`, as a bit mask.
pub fn mask(text: &str) -> Parsed<u64> {
    words::plain(text).try_fold(0, |mask, (offset, word)| {
        let bits =
            bits(word).ok_or_else(|| Wrong { offset, why: format!("'{word}' is not a capability") })?;
        Ok(mask | bits)
    })
}

fn bits(word: &str) -> Option<u64> {
    if word == "all" {
        return Some((1 << NAMES.len()) - 1);
    }
    let named = NAMES.iter().position(|name| name.eq_ignore_ascii_case(word));
    let number = named.or_else(|| word.parse().ok().filter(|number| *number < NAMES.len()))?;
    Some(1 << number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_make_a_mask() {
        assert_eq!(mask("CAP_CHOWN cap_net_admin 39"), Ok(1 | 1 << 12 | 1 << 39));
        assert_eq!(mask("all"), Ok((1 << 41) - 1));
        assert_eq!(mask("CAP_CHECKPOINT_RESTORE"), Ok(1 << 40));
    }

    #[test]
    fn what_is_no_capability_is_pointed_at() {
        assert_eq!(mask("CAP_CHOWN CAP_FLY").map_err(|wrong| wrong.offset), Err(10));
        assert!(mask("41").is_err());
        assert!(mask("-1").is_err());
    }
}
