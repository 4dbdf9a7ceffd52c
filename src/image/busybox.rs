//! The template `busybox`: made offline from the host's statically linked busybox, in a few milliseconds.
//!
//! busybox's init takes its orders by signal: SIGUSR2 powers off, SIGUSR1 halts, SIGTERM reboots, SIGINT is
//! ctrlaltdel, which the inittab makes a reboot.

use std::fs::{self, DirBuilder};
use std::io::Read;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use crate::error::{Context, Error, Kind, Result};
use crate::name::MachineName;
use crate::storage::tree::Tree;

/// Directories and their modes; the supervisor mounts over some of them.
const DIRECTORIES: [(&str, u32); 16] = [
    ("bin", 0o755),
    ("dev", 0o755),
    ("etc", 0o755),
    ("etc/init.d", 0o755),
    ("proc", 0o555),
    ("root", 0o700),
    ("run", 0o755),
    ("sbin", 0o755),
    ("sys", 0o555),
    ("tmp", 0o1777),
    ("usr", 0o755),
    ("usr/bin", 0o755),
    ("usr/sbin", 0o755),
    ("var", 0o755),
    ("var/log", 0o755),
    ("var/tmp", 0o1777),
];

const INITTAB: &str = "\
# Nothing is mounted here: the host has mounted all there is.
::sysinit:/etc/init.d/rcS
console::askfirst:-/bin/sh
::ctrlaltdel:/sbin/reboot
::shutdown:/etc/init.d/rcK
::restart:/sbin/init
";

const RC_START: &str = "\
#!/bin/sh
# Runs once, before the shell; what you start here in the background stays.
hostname -F /etc/hostname
ip link set lo up 2>/dev/null
echo \"$(hostname) is up\"
";

const RC_STOP: &str = "\
#!/bin/sh
# Runs once, before init ends what is left.
echo \"$(hostname) is going down\"
";

const PASSWD: &str = "root:*:0:0:root:/root:/bin/sh\nnobody:*:65534:65534:nobody:/:/bin/false\n";
const GROUP: &str = "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n";

/// Builds the tree at `rootfs`.
pub fn build(name: &MachineName, rootfs: &Path) -> Result<()> {
    let busybox = find()?;
    make_directories(rootfs)?;
    fs::copy(&busybox, rootfs.join("bin/busybox"))
        .context(|| format!("failed to copy '{}' to the new root file system", busybox.display()))?;
    make_applets(&busybox, rootfs)?;
    let tree = Tree::open(rootfs)?;
    let os_release = format!("ID=busybox\nNAME=\"BusyBox\"\nPRETTY_NAME=\"{}\"\n", version(&busybox)?);
    for (path, mode, text) in [
        ("/etc/inittab", 0o644, INITTAB),
        ("/etc/init.d/rcS", 0o755, RC_START),
        ("/etc/init.d/rcK", 0o755, RC_STOP),
        ("/etc/passwd", 0o644, PASSWD),
        ("/etc/group", 0o644, GROUP),
        ("/etc/os-release", 0o644, &os_release),
        ("/etc/hostname", 0o644, &format!("{name}\n")),
    ] {
        tree.replace_file(path, mode, text)?;
    }
    Ok(())
}

/// The first busybox in the usual places that needs no libraries.
fn find() -> Result<PathBuf> {
    let found: Vec<PathBuf> = [
        "/bin/busybox",
        "/usr/bin/busybox",
        "/usr/sbin/busybox",
        "/bin/busybox.static",
        "/usr/bin/busybox.static",
    ]
    .map(PathBuf::from)
    .into_iter()
    .filter(|path| path.is_file())
    .collect();
    for path in &found {
        if is_static(path)? {
            return Ok(path.clone());
        }
    }
    let message = match found.first() {
        Some(path) => format!("'{}' is not statically linked", path.display()),
        None => "the host has no busybox".to_string(),
    };
    Err(Error::new(Kind::Unsupported, message).hint("install the package busybox-static"))
}

fn is_static(path: &Path) -> Result<bool> {
    let mut program = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(64 << 20).read_to_end(&mut program));
    read.context(|| format!("failed to read '{}'", path.display()))?;
    Ok(needs_interpreter(&program) == Some(false))
}

/// Whether a 64-bit ELF file has a PT_INTERP program header (elf(5)); `None` if it is no such file.
fn needs_interpreter(elf: &[u8]) -> Option<bool> {
    const PT_INTERP: u32 = 3;
    let u16_at = |at: usize| Some(u16::from_ne_bytes(elf.get(at..at + 2)?.try_into().ok()?));
    let u32_at = |at: usize| Some(u32::from_ne_bytes(elf.get(at..at.checked_add(4)?)?.try_into().ok()?));
    if elf.get(..5)? != b"\x7fELF\x02" {
        return None;
    }
    let offset = usize::try_from(u64::from_ne_bytes(elf.get(32..40)?.try_into().ok()?)).ok()?;
    let (size, count) = (usize::from(u16_at(54)?), usize::from(u16_at(56)?));
    for header in 0..count {
        if u32_at(offset.checked_add(header * size)?)? == PT_INTERP {
            return Some(true);
        }
    }
    Some(false)
}

fn make_directories(rootfs: &Path) -> Result<()> {
    let make = |path: &Path, mode: u32| {
        DirBuilder::new().create(path)?;
        fs::set_permissions(path, PermissionsExt::from_mode(mode))
    };
    let failed = |path: &Path| format!("failed to make '{}'", path.display());
    make(rootfs, 0o755).context(|| failed(rootfs))?;
    for (directory, mode) in DIRECTORIES {
        let path = rootfs.join(directory);
        make(&path, mode).context(|| failed(&path))?;
    }
    Ok(())
}

/// As `busybox --install -s` does, which would write links to the host's path.
fn make_applets(busybox: &Path, rootfs: &Path) -> Result<()> {
    for applet in run(busybox, "--list-full")?.lines() {
        let applet = Path::new(applet);
        let is_plain = applet.components().all(|part| matches!(part, Component::Normal(_)));
        let path = rootfs.join(applet);
        if !is_plain || path.symlink_metadata().is_ok() {
            continue;
        }
        let parent = path.parent().unwrap_or(rootfs);
        DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(parent)
            .and_then(|()| symlink("/bin/busybox", &path))
            .context(|| format!("failed to make '{}'", path.display()))?;
    }
    Ok(())
}

/// `BusyBox v1.37.0`, of its first line of help.
fn version(busybox: &Path) -> Result<String> {
    let help = run(busybox, "--help")?;
    let words: Vec<&str> = help.split_whitespace().take(2).collect();
    Ok(words.join(" ").replace(['"', '\\', '$', '`'], ""))
}

fn run(busybox: &Path, option: &str) -> Result<String> {
    let what = || format!("failed to run '{} {option}'", busybox.display());
    let output = Command::new(busybox).arg(option).output().context(what)?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(Error::failed(format!("{}: {}", what(), output.status))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::init;

    #[test]
    fn the_tree_has_an_init_and_no_host_paths() {
        if find().is_err() {
            eprintln!("SKIPPED: no busybox-static here");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let rootfs = dir.path().join("rootfs");
        build(&MachineName::new("p1").unwrap(), &rootfs).unwrap();
        init::require(&Tree::open(&rootfs).unwrap(), &rootfs).unwrap();
        assert_eq!(fs::read_link(rootfs.join("bin/sh")).unwrap(), Path::new("/bin/busybox"));
        assert_eq!(fs::read_to_string(rootfs.join("etc/hostname")).unwrap(), "p1\n");
        let os_release = fs::read_to_string(rootfs.join("etc/os-release")).unwrap();
        assert!(os_release.contains("PRETTY_NAME=\"BusyBox v"), "{os_release}");
    }

    #[test]
    fn a_program_is_static_when_it_names_no_interpreter() {
        let ours = fs::read("/proc/self/exe").unwrap();
        assert_eq!(needs_interpreter(&ours), Some(true));
        assert_eq!(needs_interpreter(b"#!/bin/sh"), None);
        assert_eq!(needs_interpreter(&ours[..60]), None);
    }
}
