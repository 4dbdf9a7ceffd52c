//! Settings of the host that limit it once there are many containers, or that let containers see or do more than they
//! need. They are only shown, with the lines that would change them.

use std::fs;

use serde::Serialize;

use crate::machine::Host;
use crate::paths::Root;

/// The file in which [`Setting::line`] is to stand (sysctl.d(5)).
pub const SYSCTL_FILE: &str = "/etc/sysctl.d/90-containerctl.conf";
/// The file for what is systemd's to set (systemd-system.conf(5)).
pub const MANAGER_FILE: &str = "/etc/systemd/system.conf.d/90-containerctl.conf";

/// One setting of the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// The name in sysctl(8) or systemd-system.conf(5).
    pub name: &'static str,
    /// The current value; `None` where the kernel has no such setting.
    pub value: Option<u64>,
    /// The recommended value.
    pub wanted: Wanted,
    /// The reason for the recommendation.
    pub why: &'static str,
    /// Whether the value is not as recommended.
    pub hurts: bool,
    /// The line that would change it.
    pub line: String,
    /// The file that the line belongs in.
    pub file: &'static str,
}

/// A recommended value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wanted {
    /// This much, or more.
    AtLeast(u64),
    /// Just this.
    Exactly(u64),
}

impl Wanted {
    fn suits(self, value: u64) -> bool {
        match self {
            Wanted::AtLeast(least) => value >= least,
            Wanted::Exactly(one) => value == one,
        }
    }

    fn number(self) -> u64 {
        let (Wanted::AtLeast(number) | Wanted::Exactly(number)) = self;
        number
    }
}

/// Settings of sysctl(8): name, recommended value, reason.
const SYSCTLS: [(&str, Wanted, &str); 21] = [
    (
        "fs.inotify.max_user_instances",
        Wanted::AtLeast(1024),
        "each guest's systemd takes some; without, units fail",
    ),
    ("fs.inotify.max_user_watches", Wanted::AtLeast(1_048_576), "guests that watch files share it"),
    ("fs.aio-max-nr", Wanted::AtLeast(524_288), "databases in guests share it"),
    ("fs.nr_open", Wanted::AtLeast(1_048_576), "no LimitNOFILE= can be above it"),
    ("kernel.keys.maxkeys", Wanted::AtLeast(2000), "every start and every entry takes a keyring"),
    ("kernel.keys.maxbytes", Wanted::AtLeast(2_000_000), "every start and every entry takes a keyring"),
    ("kernel.pid_max", Wanted::AtLeast(131_072), "the processes of all containers are the host's, too"),
    ("kernel.pty.max", Wanted::AtLeast(4096), "consoles and shells of all containers share it"),
    ("vm.max_map_count", Wanted::AtLeast(262_144), "search engines and virtual machines in guests need it"),
    ("net.ipv4.neigh.default.gc_thresh3", Wanted::AtLeast(8192), "more neighbours than this are not reached"),
    ("net.ipv6.neigh.default.gc_thresh3", Wanted::AtLeast(8192), "more neighbours than this are not reached"),
    ("kernel.dmesg_restrict", Wanted::Exactly(1), "else users of a guest read the host's kernel log"),
    ("kernel.kptr_restrict", Wanted::AtLeast(1), "else addresses of the kernel are shown"),
    ("kernel.unprivileged_bpf_disabled", Wanted::AtLeast(1), "attack surface of the kernel"),
    ("kernel.io_uring_disabled", Wanted::AtLeast(1), "attack surface of the kernel"),
    ("vm.unprivileged_userfaultfd", Wanted::Exactly(0), "a help for exploits of the kernel"),
    ("dev.tty.legacy_tiocsti", Wanted::Exactly(0), "else who shares a terminal can type on it"),
    ("fs.protected_hardlinks", Wanted::Exactly(1), "links in shared directories cannot trap anyone"),
    ("fs.protected_symlinks", Wanted::Exactly(1), "links in shared directories cannot trap anyone"),
    ("fs.protected_fifos", Wanted::AtLeast(1), "FIFOs in shared directories cannot trap anyone"),
    ("fs.protected_regular", Wanted::AtLeast(1), "files in shared directories cannot trap anyone"),
];

/// The hard limit of open files that units get.
const NOFILE: (&str, Wanted, &str) =
    ("DefaultLimitNOFILE", Wanted::AtLeast(524_288), "the hard limit that containers start with");

impl Host {
    /// The settings of the host that matter to containers.
    pub fn settings(&self) -> Vec<Setting> {
        examine(self.root())
    }
}

fn examine(root: &Root) -> Vec<Setting> {
    let sysctl = |(name, wanted, why): &(&'static str, Wanted, &'static str)| {
        let line = format!("{name} = {}", wanted.number());
        setting(name, read(root, name), *wanted, why, line, SYSCTL_FILE)
    };
    let mut settings: Vec<Setting> = SYSCTLS.iter().map(sysctl).collect();
    let (name, wanted, why) = NOFILE;
    let line = format!("{name}=1024:{}", wanted.number());
    settings.push(setting(name, nofile(root), wanted, why, line, MANAGER_FILE));
    settings
}

fn setting(
    name: &'static str,
    value: Option<u64>,
    wanted: Wanted,
    why: &'static str,
    line: String,
    file: &'static str,
) -> Setting {
    // What the kernel does not have cannot hurt.
    let hurts = value.is_some_and(|value| !wanted.suits(value));
    Setting { name, value, wanted, why, hurts, line, file }
}

fn read(root: &Root, name: &str) -> Option<u64> {
    let path = root.path("/proc/sys").join(name.replace('.', "/"));
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// The hard limit of PID 1, which it gives to units (proc_pid_limits(5)).
fn nofile(root: &Root) -> Option<u64> {
    let limits = fs::read_to_string(root.path("/proc/1/limits")).ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_whitespace().nth(1)? {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hurts_is_told_with_the_line_that_helps() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::at(dir.path());
        let write = |path: &str, text: &str| {
            let path = root.path(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("/proc/sys/fs/inotify/max_user_instances", "128\n");
        write("/proc/sys/vm/max_map_count", "1000000\n");
        write("/proc/sys/dev/tty/legacy_tiocsti", "1\n");
        write(
            "/proc/1/limits",
            "Max open files            1024                 4096                 files\n",
        );
        let settings = examine(&root);
        let hurting: Vec<_> = settings.iter().filter(|one| one.hurts).map(|one| one.line.as_str()).collect();
        assert_eq!(
            hurting,
            [
                "fs.inotify.max_user_instances = 1024",
                "dev.tty.legacy_tiocsti = 0",
                "DefaultLimitNOFILE=1024:524288"
            ]
        );
        let absent = settings.iter().find(|one| one.name == "kernel.pid_max").unwrap();
        assert!(absent.value.is_none() && !absent.hurts);
    }
}
