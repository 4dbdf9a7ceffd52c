//! The whole posture against a golden file: what a payload can see, reach and do, tried by a program of its own
//! (posture/probe.rs), for the default, `Nesting=yes` and `PrivateUsers=no`. `UPDATE_EXPECTED=1` rewrites the files;
//! those of the last two hold only what is not as in the default.
//!
//! The kernel has a say in it, and the next machine's is another one. So no errno is compared, but whether a thing is
//! allowed, refused or absent; what the host itself lacks (calls, socket families, file systems, files below /proc
//! and /sys) is not compared at all; neither are the disk's file system, access times, nor a label where the host
//! has a security module. Capabilities that the host itself lacks are taken as granted.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::container::{Container, SOON};
use crate::harness::{Failure, Host, Result};

/// Section and key → finding.
type Posture = BTreeMap<(String, String), String>;

const CAP_SYS_RESOURCE: u32 = 24;

/// What each golden file is for.
const POSTURES: [(&str, &str); 3] =
    [("default", ""), ("nesting", "Nesting=yes\n"), ("host-ids", "PrivateUsers=no\nPrivileged=yes\n")];

/// SEC-33; in it SEC-5 for the mounts, SEC-18 for the first process, SEC-20 for the cgroup's files. Each cover withstands unmounting, moving, remounting, a fresh instance, and all
/// of that by the root of a user namespace inside.
#[test]
fn nothing_can_be_done_that_is_not_known() -> Result<()> {
    if cfg!(not(target_arch = "x86_64")) {
        skip!("the golden files have the numbers that system calls have on x86_64");
    }
    let host = boot!();
    let probe = match build_probe() {
        Ok(probe) => probe,
        Err(why) => skip!("the probe cannot be linked statically here: {why}"),
    };
    fs::copy(&probe, host.path("/srv/probe")?)?;
    let facts = Facts::of(&host)?;
    let containers = POSTURES.map(|(name, key)| (Container { host: &host, name }, key));
    for (container, key) in &containers {
        Container::busybox(&host, container.name)?;
        fs::copy(&probe, host.path(container.root() + "/probe")?)?;
        container.define(&format!("[Exec]\n{key}Boot=no\nParameters=/probe /posture\n"))?;
        container.start()?;
    }
    for (container, _) in &containers {
        host.case(&format!("{} is as in the golden file", container.name), || {
            host.wait_until(3 * SOON, &format!("test -e {}/posture", container.root()))?;
            compare(container.name, &facts, facts.normalize(parse(&container.read("/posture")?)))
        });
    }
    host.finish()
}

/// Compiles the probe, which needs nothing but a compiler and a static libc.
fn build_probe() -> std::result::Result<PathBuf, String> {
    let probe = Path::new(env!("CARGO_TARGET_TMPDIR")).join("posture-probe");
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let built = Command::new(rustc)
        .args([
            "--edition=2024",
            "-O",
            "-Ctarget-feature=+crt-static",
            "-Cpanic=abort",
            "-Cstrip=symbols",
            "-o",
        ])
        .arg(&probe)
        .arg(directory().join("probe.rs"))
        .output();
    match built {
        Ok(output) if output.status.success() => Ok(probe),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).lines().take(3).collect()),
        Err(error) => Err(error.to_string()),
    }
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/host/posture")
}

fn parse(text: &str) -> Posture {
    let row = |line: &str| {
        let mut fields = line.split('\t').map(str::to_owned);
        Some(((fields.next()?, fields.next()?), fields.next()?))
    };
    text.lines().filter_map(row).collect()
}

/// What of the host decides about which findings can be compared.
struct Facts {
    /// The probe's own look at the host.
    baseline: Posture,
    /// Names of files that the host has not, of all that a golden file or a finding names below /proc and /sys.
    files: BTreeSet<String>,
    filesystems: String,
    /// Files of a cgroup that whoever is given one may write (kernel: Documentation/admin-guide/cgroup-v2.rst).
    delegated: String,
    bounding: u64,
    has_label: bool,
}

impl Facts {
    fn of(host: &Host) -> Result<Facts> {
        let status = host.ok("cat /proc/1/status")?;
        let files = host.ok("find /proc /sys -path '/proc/[0-9]*' -prune -o -print 2>/dev/null; true")?;
        Ok(Facts {
            baseline: parse(&host.ok("/srv/probe --baseline")?),
            files: files.lines().map(str::to_owned).collect(),
            filesystems: host.ok("cat /proc/filesystems")?,
            delegated: host.ok("cat /sys/kernel/cgroup/delegate")?,
            bounding: hex(status.lines().find_map(|line| line.strip_prefix("CapBnd:")).unwrap_or_default()),
            has_label: host.run("cat /proc/self/attr/current 2>/dev/null | grep -q .")?.code == 0,
        })
    }

    /// Whether the host has what this finding is about.
    fn can_tell(&self, (section, key): &(String, String)) -> bool {
        let baseline = self.baseline.get(&(section.clone(), key.clone()));
        match section.as_str() {
            "calls" | "sockets" => baseline.is_none_or(|finding| finding != "absent"),
            "fresh" | "nested" => {
                self.filesystems.split_whitespace().any(|known| key.split(' ').any(|word| word == known))
            }
            // Which controllers there are is the host's; what is not to be delegated has to show.
            "cgroup" => key.starts_with("cgroup.") || self.delegated.lines().all(|file| file != key),
            "rights" if key == "label" => !self.has_label,
            "writable" if key == "/proc/sys/user/" => self.bounding >> CAP_SYS_RESOURCE & 1 == 1,
            "mounts" | "covered" | "sensitive" | "writable" => {
                let path = key.rsplit(' ').next().unwrap_or(key).trim_end_matches('/');
                let told = path.starts_with("/proc/") || path.starts_with("/sys/");
                !told || self.files.contains(path)
            }
            _ => true,
        }
    }

    /// The findings in the words of the golden files.
    fn normalize(&self, found: Posture) -> Posture {
        let shared = found.values().any(|finding| finding == "0 0 4294967295");
        found
            .into_iter()
            .filter(|((section, key), _)| !(shared && is_of_root(section, key)))
            .map(|(place, finding)| {
                let finding = self.word(&place, finding);
                (place, finding)
            })
            .collect()
    }

    fn word(&self, place: &(String, String), finding: String) -> String {
        match (place.0.as_str(), place.1.as_str()) {
            ("ids", _) => match finding.split(' ').nth(1).and_then(|base| base.parse::<u32>().ok()) {
                Some(base) if base >= 524_288 && base.is_multiple_of(65536) => {
                    finding.replace(&base.to_string(), "BASE")
                }
                _ => finding,
            },
            ("mounts", path) => mount_word(path, &finding),
            ("host", _) => match self.baseline.get(place) {
                Some(own) if *own == finding && finding != "nothing" => "the host's".to_string(),
                _ if finding == "nothing" => finding,
                _ => "its own".to_string(),
            },
            ("cgroup", "path") => finding.rsplit("0::").next().unwrap_or_default().to_string(),
            _ => finding,
        }
    }
}

/// What root may write because it is root, though nothing comes of it, is as many files as the kernel has.
fn is_of_root(section: &str, key: &str) -> bool {
    match section {
        "writable" => !key.starts_with("/proc/sys/") && !key.starts_with("/sys/"),
        "cgroup" => key.contains('.'),
        _ => false,
    }
}

fn mount_word(path: &str, finding: &str) -> String {
    let (filesystem, rest) = finding.split_once(' ').unwrap_or((finding, ""));
    let filesystem = if path == "/" { "disk" } else { filesystem };
    let (options, tries) = rest.split_once(' ').unwrap_or((rest, ""));
    let kept: Vec<&str> = options.split(',').filter(|option| !option.ends_with("atime")).collect();
    format!("{filesystem} {} {tries}", kept.join(","))
}

fn hex(text: &str) -> u64 {
    u64::from_str_radix(text.trim(), 16).unwrap_or_default()
}

/// Fails with a line for each finding that is not the golden one, or writes the file.
fn compare(name: &str, facts: &Facts, found: Posture) -> Result<()> {
    let default = read("default")?;
    let changes = if name == "default" { Posture::new() } else { read(name)? };
    let golden = overlay(&default, &changes);
    let found = with_missing_rights(found, &golden, facts.bounding);
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        // What cannot be told here stays as somebody else found it.
        let mut now = found;
        now.retain(|place, _| facts.can_tell(place) || !golden.contains_key(place));
        now.extend(golden.into_iter().filter(|(place, _)| !facts.can_tell(place)));
        return match name {
            "default" => write(name, &now),
            _ => write(name, &changes_of(&default, &now)),
        };
    }
    let places: BTreeSet<_> =
        golden.keys().chain(found.keys()).filter(|place| facts.can_tell(place)).collect();
    let told = |posture: &Posture, place| posture.get(place).cloned().unwrap_or_else(|| "nothing".into());
    let differences: Vec<String> = places
        .into_iter()
        .filter(|place| golden.get(place) != found.get(place))
        .map(|place| {
            format!("{} {}: {}, not {}", place.0, place.1, told(&found, place), told(&golden, place))
        })
        .collect();
    ensure!(differences.is_empty(), "{}", differences.join("\n"));
    Ok(())
}

/// Capabilities that the host cannot give are taken from the golden file.
fn with_missing_rights(mut found: Posture, golden: &Posture, bounding: u64) -> Posture {
    for ((section, key), finding) in &mut found {
        if section == "rights" && key.starts_with("Cap") {
            let wanted = golden.get(&(section.clone(), key.clone())).map_or(0, |finding| hex(finding));
            *finding = format!("{:016x}", hex(finding) | wanted & !bounding);
        }
    }
    found
}

/// A finding that the default has and another posture has not.
const GONE: &str = "gone";

fn overlay(default: &Posture, changes: &Posture) -> Posture {
    let mut whole = default.clone();
    whole.extend(changes.clone());
    whole.retain(|_, finding| finding != GONE);
    whole
}

fn changes_of(default: &Posture, whole: &Posture) -> Posture {
    let gone = default
        .keys()
        .filter(|place| !whole.contains_key(place))
        .map(|place| (place.clone(), GONE.to_string()));
    let changed = whole.iter().filter(|(place, finding)| default.get(place) != Some(finding));
    changed.map(|(place, finding)| (place.clone(), finding.clone())).chain(gone).collect()
}

fn file(name: &str) -> PathBuf {
    directory().join(format!("{name}.json"))
}

/// Reads `{"section": {"key": "finding"}}`; of the key of a call only the number counts.
fn read(name: &str) -> Result<Posture> {
    let Ok(text) = fs::read_to_string(file(name)) else { return Ok(Posture::new()) };
    let value: Value = serde_json::from_str(&text)?;
    let sections = value.as_object().ok_or_else(|| Failure::new(format!("{name}.json is no object")))?;
    let mut posture = Posture::new();
    for (section, keys) in sections {
        for (key, finding) in keys.as_object().into_iter().flatten() {
            let key = if section == "calls" { key.split(' ').next().unwrap_or(key) } else { key };
            posture
                .insert((section.clone(), key.to_string()), finding.as_str().unwrap_or_default().to_string());
        }
    }
    Ok(posture)
}

fn write(name: &str, posture: &Posture) -> Result<()> {
    let mut sections: BTreeMap<&str, BTreeMap<String, Value>> = BTreeMap::new();
    for ((section, key), finding) in posture {
        let key = if section == "calls" { named_call(key) } else { key.clone() };
        sections.entry(section).or_default().insert(key, json!(finding));
    }
    Ok(fs::write(file(name), serde_json::to_string_pretty(&sections)? + "\n")?)
}

/// A call's number with its name behind it, where libseccomp knows one.
fn named_call(number: &str) -> String {
    let call = number.parse().ok().map(libseccomp::ScmpSyscall::from_raw_syscall);
    match call.and_then(|call| call.get_name().ok()) {
        Some(name) => format!("{number} {name}"),
        None => number.to_string(),
    }
}
