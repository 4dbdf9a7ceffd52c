//! Parsers of plain values. Each takes the whole text right of `=` and says what is wrong with it, and where in it.

use std::path::{Component, PathBuf};

use super::settings::{AppArmorProfile, DeviceAllow, LinkJournal, PrivateUsers, Readiness, SyscallRule};
use super::words;
use crate::name::MachineName;

/// Bytes of a unix socket's address, the zero at its end or start included (unix(7), `sun_path`).
const SOCKET_ADDRESS: usize = 108;
/// Bytes of `SeccompNotifyCookie=`.
const LONGEST_COOKIE: usize = 255;

/// Why a value is wrong.
#[derive(Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The byte of the value that is meant.
    pub offset: usize,
    /// The mistake, as the end of a sentence.
    pub why: String,
}

impl Wrong {
    /// The value as a whole.
    pub fn new(why: impl Into<String>) -> Wrong {
        Wrong { offset: 0, why: why.into() }
    }

    /// Moves the fault, found in a part of the value that begins at `offset`.
    pub fn shifted(self, offset: usize) -> Wrong {
        Wrong { offset: self.offset + offset, ..self }
    }
}

/// The result of a value parser.
pub type Parsed<T> = Result<T, Wrong>;

/// A boolean as systemd.syntax(7) has it.
pub fn boolean(text: &str) -> Parsed<bool> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "yes" | "y" | "true" | "t" | "on" => Ok(true),
        "0" | "no" | "n" | "false" | "f" | "off" => Ok(false),
        _ => Err(Wrong::new(format!("'{text}' is neither yes nor no"))),
    }
}

/// `NotifyReady=`.
pub fn readiness(text: &str) -> Parsed<Readiness> {
    match text {
        "network" => Ok(Readiness::Network),
        _ => match boolean(text) {
            Ok(told) => Ok(if told { Readiness::Told } else { Readiness::Started }),
            Err(_) => Err(Wrong::new(format!("'{text}' is neither yes, no nor network"))),
        },
    }
}

/// A decimal number from `min` to `max`.
pub fn number<T>(text: &str, min: T, max: T) -> Parsed<T>
where
    T: std::str::FromStr + PartialOrd + std::fmt::Display,
{
    match text.parse() {
        Ok(number) if min <= number && number <= max => Ok(number),
        _ => Err(Wrong::new(format!("'{text}' is not a number from {min} to {max}"))),
    }
}

/// An absolute path without `..`, in its simplest form; at most PATH_MAX.
pub fn path(text: &str) -> Parsed<PathBuf> {
    let path = PathBuf::from(text);
    if !path.is_absolute() {
        return Err(Wrong::new(format!("'{text}' is not an absolute path")));
    }
    if text.len() >= libc::PATH_MAX as usize {
        return Err(Wrong::new("the path is longer than PATH_MAX"));
    }
    if path.components().any(|part| part == Component::ParentDir) {
        return Err(Wrong::new(format!("'{text}' contains '..'")));
    }
    Ok(path.components().collect())
}

/// A path as [`path`], but not `/` itself.
pub fn path_below_root(text: &str) -> Parsed<PathBuf> {
    match path(text)? {
        path if path.parent().is_none() => Err(Wrong::new("'/' is not allowed here")),
        path => Ok(path),
    }
}

/// The address of a unix socket: an absolute path, or `@` and an abstract name. It fits into what unix(7) takes.
pub fn socket_address(text: &str) -> Parsed<String> {
    let address = match text.strip_prefix('@') {
        Some("") => return Err(Wrong::new("'@' lacks the name of a socket")),
        Some(_) => text.to_string(),
        None => path_below_root(text)?.to_string_lossy().into_owned(),
    };
    match address.len() {
        0..SOCKET_ADDRESS => Ok(address),
        _ => Err(Wrong::new(format!(
            "'{text}' is longer than the {} bytes of a socket's address",
            SOCKET_ADDRESS - 1
        ))),
    }
}

/// The cookie that is sent to the seccomp proxy with every call.
pub fn cookie(text: &str) -> Parsed<String> {
    match text.len() {
        0..=LONGEST_COOKIE => Ok(text.to_string()),
        length => Err(Wrong::new(format!("{length} bytes are more than {LONGEST_COOKIE}"))),
    }
}

/// A host name as sethostname(2) and systemd take it: the rules are those of machine names.
pub fn hostname(text: &str) -> Parsed<String> {
    match MachineName::new(text) {
        Ok(_) => Ok(text.to_string()),
        Err(_) => Err(Wrong::new(format!("'{text}' is not a host name"))),
    }
}

/// A machine-id(5): 32 hexadecimal digits, or the same as a UUID; not all zero.
pub fn machine_id(text: &str) -> Parsed<String> {
    let is_uuid = text.len() == 36 && [8, 13, 18, 23].iter().all(|i| text.as_bytes()[*i] == b'-');
    let digits = if is_uuid { text.replace('-', "") } else { text.to_string() };
    let is_id = digits.len() == 32 && digits.bytes().all(|b| b.is_ascii_hexdigit());
    if !is_id || digits.bytes().all(|b| b == b'0') {
        return Err(Wrong::new(format!("'{text}' is not a machine id of 32 hexadecimal digits")));
    }
    Ok(digits.to_ascii_lowercase())
}

/// `PrivateUsers=`: a boolean, `pick`, `identity` or `BASE[:SIZE]`.
pub fn private_users(text: &str) -> Parsed<PrivateUsers> {
    if let Ok(private) = boolean(text) {
        return Ok(if private { PrivateUsers::Pick } else { PrivateUsers::No });
    }
    match text {
        "pick" => Ok(PrivateUsers::Pick),
        "identity" => Ok(PrivateUsers::Identity),
        _ => id_range(text),
    }
}

/// `BASE[:SIZE]`. The highest id is none: it means 'no change' to the kernel.
fn id_range(text: &str) -> Parsed<PrivateUsers> {
    let (base, size) = text.split_once(':').unwrap_or((text, "65536"));
    let Ok(base) = base.parse::<u32>() else {
        return Err(Wrong::new(format!("'{text}' is none of yes, no, pick, identity and BASE[:SIZE]")));
    };
    let room = u32::MAX - base;
    let size =
        number(size, 1, room).map_err(|wrong| wrong.shifted(text.find(':').map_or(0, |colon| colon + 1)))?;
    Ok(PrivateUsers::Range { base, size })
}

/// `LinkJournal=`.
pub fn link_journal(text: &str) -> Parsed<LinkJournal> {
    Ok(match text {
        "no" => LinkJournal::No,
        "host" => LinkJournal::Host,
        "try-host" => LinkJournal::TryHost,
        "guest" => LinkJournal::Guest,
        "try-guest" => LinkJournal::TryGuest,
        "auto" => LinkJournal::Auto,
        _ => {
            return Err(Wrong::new(format!(
                "'{text}' is none of no, host, try-host, guest, try-guest and auto"
            )));
        }
    })
}

/// `SystemCallFilter=`: names; a `~` in front of the first refuses them all.
pub fn system_calls(text: &str) -> Parsed<Vec<SyscallRule>> {
    let (rule, names): (fn(String) -> SyscallRule, &str) = match text.strip_prefix('~') {
        Some(names) => (SyscallRule::Deny, names),
        None => (SyscallRule::Allow, text),
    };
    let skipped = text.len() - names.len();
    let checked = words::plain(names).map(|(offset, name)| {
        if name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_') {
            return Ok(rule(name.to_string()));
        }
        Err(Wrong { offset: offset + skipped, why: format!("'{name}' is not the name of a system call") })
    });
    checked.collect()
}

/// `AppArmorProfile=`. Names as the kernel takes them in a line of its own, without its namespaces and stacks.
pub fn apparmor_profile(text: &str) -> Parsed<AppArmorProfile> {
    match text {
        "generated" => return Ok(AppArmorProfile::Generated),
        "unconfined" => return Ok(AppArmorProfile::Unconfined),
        _ => {}
    }
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_./+@".contains(&b);
    if text.is_empty() || text.len() > 255 || !text.bytes().all(allowed) {
        return Err(Wrong::new(format!("'{text}' is not the name of an AppArmor profile")));
    }
    Ok(AppArmorProfile::Named(text.to_string()))
}

/// `SELinuxContext=`: `USER:ROLE:TYPE[:LEVEL]`.
pub fn selinux_context(text: &str) -> Parsed<String> {
    let mut parts = text.splitn(4, ':');
    let named = |part: Option<&str>| {
        part.is_some_and(|part| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
        })
    };
    let whole = named(parts.next()) && named(parts.next()) && named(parts.next());
    let level = |b: u8| b.is_ascii_alphanumeric() || b":.,_-".contains(&b);
    let well = parts.next().is_none_or(|part| !part.is_empty() && part.bytes().all(level));
    if whole && well && text.len() < 256 {
        return Ok(text.to_string());
    }
    Err(Wrong::new(format!("'{text}' is not an SELinux context USER:ROLE:TYPE[:LEVEL]")))
}

/// `WantedBy=` and its kin: names of units, without specifiers.
pub fn units(text: &str) -> Parsed<Vec<String>> {
    const TYPES: [&str; 7] = ["service", "target", "socket", "timer", "path", "mount", "device"];
    let checked = words::plain(text).map(|(offset, name)| {
        let known_type =
            name.rsplit_once('.').is_some_and(|(stem, kind)| !stem.is_empty() && TYPES.contains(&kind));
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b":-_.\\@".contains(&b);
        if known_type && name.len() < 256 && name.bytes().all(allowed) {
            return Ok(name.to_string());
        }
        Err(Wrong { offset, why: format!("'{name}' is not the name of a unit") })
    });
    checked.collect()
}

/// Names of groups: letters, digits, dots, dashes and underscores.
pub fn groups(text: &str) -> Parsed<Vec<String>> {
    let checked = words::plain(text).map(|(offset, name)| {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        match name.len() <= 64 && name.bytes().all(allowed) && !name.starts_with('-') {
            true => Ok(name.to_string()),
            false => {
                Err(Wrong { offset, why: format!("'{name}' is not a group's name: use letters and digits") })
            }
        }
    });
    checked.collect()
}

/// `PATH [ACCESS]` of `DeviceAllow=`.
pub fn device(text: &str) -> Parsed<DeviceAllow> {
    let (path, access) = text.split_once(char::is_whitespace).unwrap_or((text, "rwm"));
    let (start, access) = (path.len() + 1, access.trim());
    let path = path_below_root(path)?;
    if !path.starts_with("/dev") {
        return Err(Wrong::new("the path is not below /dev"));
    }
    if access.is_empty() || access.contains(|c| !"rwm".contains(c)) {
        return Err(Wrong::new(format!("'{access}' is not made of r, w and m")).shifted(start));
    }
    Ok(DeviceAllow { path, access: access.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paths_are_absolute_and_simple() {
        assert_eq!(path("/a//b/./c/"), Ok(PathBuf::from("/a/b/c")));
        assert_eq!(path("/a b%c"), Ok(PathBuf::from("/a b%c")));
        for text in ["", "a", "./a", "/a/../b", "/..", &format!("/{}", "x".repeat(4096))] {
            assert!(path(text).is_err(), "{text}");
        }
        assert!(path("/").is_ok());
        assert!(path_below_root("//.").is_err());
    }

    #[test]
    fn a_socket_has_a_path_or_an_abstract_name() {
        assert_eq!(socket_address("/run//proxy").as_deref(), Ok("/run/proxy"));
        assert_eq!(socket_address("@proxy").as_deref(), Ok("@proxy"));
        let longest = format!("/{}", "x".repeat(106));
        assert_eq!(socket_address(&longest).as_deref(), Ok(&longest[..]));
        for text in ["", "@", "/", "run/proxy", "unix:/run/proxy", "/../x", &format!("{longest}x")] {
            assert!(socket_address(text).is_err(), "{text}");
        }
        assert!(cookie(&"x".repeat(255)).is_ok() && cookie(&"x".repeat(256)).is_err());
    }

    #[test]
    fn machine_ids_are_normalised() {
        let id = "0123456789abcdef0123456789abcdef";
        assert_eq!(machine_id(id).as_deref(), Ok(id));
        assert_eq!(machine_id("01234567-89AB-cdef-0123-456789abcdef").as_deref(), Ok(id));
        for text in ["", "0", &"0".repeat(32), "0123456789abcdef0123456789abcdeg", "üüüüüüüüüüüüüüüüüü"]
        {
            assert!(machine_id(text).is_err(), "{text}");
        }
    }

    #[test]
    fn private_users_takes_words_and_ranges() {
        assert_eq!(private_users("yes"), Ok(PrivateUsers::Pick));
        assert_eq!(private_users("pick"), Ok(PrivateUsers::Pick));
        assert_eq!(private_users("no"), Ok(PrivateUsers::No));
        assert_eq!(private_users("identity"), Ok(PrivateUsers::Identity));
        assert_eq!(private_users("100000"), Ok(PrivateUsers::Range { base: 100_000, size: 65536 }));
        assert_eq!(private_users("5:10"), Ok(PrivateUsers::Range { base: 5, size: 10 }));
        assert_eq!(private_users("5:0").map_err(|wrong| wrong.offset), Err(2));
        for text in ["managed", "-1", "4294967295", "4294967290:6", "1:2:3", ""] {
            assert!(private_users(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_tilde_refuses_the_whole_list() {
        let deny = |name: &str| SyscallRule::Deny(name.to_string());
        assert_eq!(system_calls("~bpf keyctl"), Ok(vec![deny("bpf"), deny("keyctl")]));
        assert_eq!(system_calls("bpf"), Ok(vec![SyscallRule::Allow("bpf".to_string())]));
        assert_eq!(system_calls("~bpf @clock").map_err(|wrong| wrong.offset), Err(5));
    }

    #[test]
    fn labels_are_one_word_that_a_kernel_file_takes() {
        assert_eq!(apparmor_profile("generated"), Ok(AppArmorProfile::Generated));
        assert_eq!(apparmor_profile("lxc-x"), Ok(AppArmorProfile::Named("lxc-x".to_string())));
        for text in ["", "a b", "a\nb", ":ns:a", "a//&b", "a\"b"] {
            assert!(apparmor_profile(text).is_err(), "{text:?}");
        }
        let context = "system_u:system_r:container_t:s0:c1,c2";
        assert_eq!(selinux_context(context).as_deref(), Ok(context));
        assert!(selinux_context("u:r:t").is_ok());
        for text in ["", "u:r", "u:r:", "u:r:t:", "u:r:t:s0 c1", "u:r:t:s0\n"] {
            assert!(selinux_context(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn units_are_names_not_paths() {
        assert_eq!(
            units("a.target  b@c.service"),
            Ok(vec!["a.target".to_string(), "b@c.service".to_string()])
        );
        for text in ["a", "../a.target", ".target", "%n.target", "a.conf"] {
            assert!(units(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_value_panics(text in any::<String>()) {
            let _ = (boolean(&text), path(&text), hostname(&text), machine_id(&text), private_users(&text));
            let _ = (apparmor_profile(&text), selinux_context(&text), socket_address(&text), cookie(&text));
            let _ = (link_journal(&text), system_calls(&text), units(&text), number(&text, 0, 9));
        }
    }
}
