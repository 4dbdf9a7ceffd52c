//! SEC-24: archives made to hurt. Whatever is in them, `create --from-tar` ends soon, touches nothing outside
//! the new tree, and leaves nothing behind when it fails. Needs root.

#![allow(clippy::unwrap_used)]

mod archive;

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use archive::{Archive, Entry};

/// What must become of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Refused,
    Unpacked,
    /// tar may take it either way, as long as nothing is hurt.
    Harmless,
}
use Fate::{Harmless, Refused, Unpacked};

/// A host in a directory, with a marker beside it that nothing may touch.
struct Host {
    directory: tempfile::TempDir,
}

impl Host {
    fn new() -> Host {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("marker")).unwrap();
        fs::write(directory.path().join("marker/file"), "untouched").unwrap();
        fs::set_permissions(directory.path().join("marker/file"), PermissionsExt::from_mode(0o600)).unwrap();
        let programs = directory.path().join("host/usr/lib/containerctl");
        fs::create_dir_all(&programs).unwrap();
        let worker = env!("CARGO_BIN_EXE_containerctl-worker");
        std::os::unix::fs::symlink(worker, programs.join("containerctl-worker")).unwrap();
        Host { directory }
    }

    fn marker(&self) -> PathBuf {
        self.directory.path().join("marker")
    }

    fn marker_state(&self) -> (String, u32, u64, i64, usize) {
        let file = self.marker().join("file");
        let metadata = fs::metadata(&file).unwrap();
        let entries = fs::read_dir(self.marker()).unwrap().count();
        (fs::read_to_string(file).unwrap(), metadata.mode(), metadata.nlink(), metadata.mtime_nsec(), entries)
    }

    fn store(&self) -> PathBuf {
        self.directory.path().join("host/var/lib/containerctl")
    }

    fn rootfs(&self) -> PathBuf {
        self.store().join("p1/rootfs")
    }

    fn run(&self, args: &[&str], input: &[u8]) -> Output {
        let mut child = Command::new(env!("CARGO_BIN_EXE_containerctl"))
            .arg("--root")
            .arg(self.directory.path().join("host"))
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // It may end before it has read all.
        let _ = child.stdin.take().unwrap().write_all(input);
        child.wait_with_output().unwrap()
    }

    /// Unpacks, checks what holds for every archive, and returns whether it was taken.
    fn unpack(&self, what: &str, archive: &[u8]) -> bool {
        let before = self.marker_state();
        let started = Instant::now();
        let output = self.run(&["create", "p1", "--from-tar", "-", "--", "/bin/true"], archive);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(started.elapsed() < Duration::from_secs(10), "{what} took {:?}", started.elapsed());
        assert_eq!(self.marker_state(), before, "{what} touched the marker");
        if !output.status.success() {
            assert_eq!(stderr.lines().count(), 1, "{what}: {stderr}");
            assert!(stderr.starts_with("containerctl: failed to unpack '-': "), "{what}: {stderr}");
            let left: Vec<_> =
                fs::read_dir(self.store()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            assert!(
                left.iter().all(|name| name.to_string_lossy().starts_with(".ids")),
                "{what} left {left:?}"
            );
            assert_eq!(fs::read_to_string(self.store().join(".ids")).unwrap_or_default(), "", "{what}");
        }
        output.status.success()
    }
}

/// Whether the tests can run; says so if not.
fn may_run() -> bool {
    let root = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    if !root {
        eprintln!("SKIPPED: needs root, for namespaces and mounts");
    }
    root
}

/// The marker's path is in some of them.
fn corpus(marker: &Path) -> Vec<(&'static str, Fate, Vec<u8>)> {
    let marker = marker.to_str().unwrap();
    let new = Archive::default;
    let node =
        |name: &'static [u8], kind| new().file("a", b"").add(Entry { name, kind, ..Entry::default() }).end();
    let sized = |size| new().add(Entry { size: Some(size), ..Entry::default() }).end();
    let plain = new().file("etc/hostname", b"p1").end();
    let compressed = |program: &str| pipe(program, &plain);
    let cut = |at: usize| new().file("a", &[b'a'; 2000]).file("b", &[b'b'; 2000]).end()[..at].to_vec();
    vec![
        ("plain", Unpacked, plain.clone()),
        ("gzip", Unpacked, compressed("gzip")),
        ("xz", Unpacked, compressed("xz")),
        ("empty input", Refused, Vec::new()),
        ("no archive", Refused, b"#!/bin/sh\necho hello\n".repeat(100)),
        ("dotdot", Refused, new().file("../marker/file", b"x").end()),
        ("dotdot inside", Refused, new().directory("a").file("a/../../x", b"x").end()),
        ("absolute", Harmless, new().file(&format!("{marker}/file"), b"x").end()),
        ("symlink, then file through it", Harmless, new().symlink("a", marker).file("a/file", b"x").end()),
        ("symlink, then directory over it", Harmless, new().symlink("a", marker).directory("a").end()),
        (
            "symlink to a file, then a file",
            Harmless,
            new().symlink("a", &format!("{marker}/file")).file("a", b"x").end(),
        ),
        ("symlink parent", Harmless, new().symlink("a", "..").file("a/../x", b"x").end()),
        (
            "chain of symlinks",
            Harmless,
            new().symlink("a", "b").symlink("b", marker).file("a/file", b"x").end(),
        ),
        ("hard link out", Refused, new().hardlink("a", "../marker/file").end()),
        ("hard link to an absolute path", Refused, new().hardlink("a", &format!("{marker}/file")).end()),
        (
            "hard link to a symlink",
            Harmless,
            new().symlink("a", marker).hardlink("b", "a").file("b/file", b"x").end(),
        ),
        ("hard link to itself", Harmless, new().hardlink("a", "a").end()),
        ("block device", Unpacked, node(b"disk", b'4')),
        ("character device", Unpacked, node(b"null", b'3')),
        ("device below dev", Unpacked, node(b"dev/null", b'3')),
        ("device below ./dev", Unpacked, node(b"./dev/null", b'3')),
        ("FIFO as hostname", Unpacked, node(b"etc/hostname", b'6')),
        ("unknown kind", Harmless, node(b"a", b'Z')),
        ("twice the same", Unpacked, new().file("a", b"1").file("a", b"2").end()),
        ("file, then directory", Harmless, new().file("a", b"1").directory("a").end()),
        ("setuid and all", Unpacked, new().add(Entry { mode: 0o7777, ..Entry::default() }).end()),
        ("user beyond the range", Refused, new().add(Entry { uid: 70_000, ..Entry::default() }).end()),
        ("size of all sevens", Refused, sized(b"77777777777\0")),
        ("negative size", Refused, sized(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xf0")),
        ("size beyond 64 bits", Refused, sized(b"\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")),
        ("size of letters", Refused, sized(b"not a number")),
        ("pax size and ustar size differ", Harmless, new().pax("size", b"1024").file("a", b"x").end()),
        ("pax path dotdot", Refused, new().pax("path", b"../marker/file").file("a", b"x").end()),
        ("pax link dotdot", Refused, new().pax("linkpath", b"../marker/file").hardlink("a", "b").end()),
        ("pax path of 64 KiB", Refused, new().pax("path", &b"d/".repeat(32_768)).file("a", b"x").end()),
        (
            "pax header upon pax header",
            Harmless,
            (0..2000).fold(new(), |a, _| a.pax("comment", &[b'x'; 500])).end(),
        ),
        (
            "pax of a gigabyte",
            Refused,
            new().add(Entry { kind: b'x', size: Some(b"10000000000\0"), ..Entry::default() }).end(),
        ),
        (
            "long link upon long link",
            Harmless,
            (0..1000).fold(new(), |a, _| a.add(Entry { kind: b'L', data: b"a/b", ..Entry::default() })).end(),
        ),
        ("xattr of trust", Unpacked, new().pax("SCHILY.xattr.trusted.x", b"1").file("a", b"x").end()),
        (
            "xattr of 64 KiB",
            Harmless,
            new().pax("SCHILY.xattr.user.x", &[b'x'; 65_536]).file("a", b"x").end(),
        ),
        ("time before time", Harmless, new().pax("mtime", b"-99999999999").file("a", b"x").end()),
        ("time after time", Harmless, new().pax("mtime", b"9999999999999999").file("a", b"x").end()),
        (
            "name of no character set",
            Unpacked,
            new().add(Entry { name: b"\xff\xfe\x1b[2J", ..Entry::default() }).end(),
        ),
        (
            "newline in a name that fails",
            Refused,
            new().add(Entry { name: b"../a\n\x1b[2J", ..Entry::default() }).end(),
        ),
        ("trailing garbage", Unpacked, [plain.clone(), vec![0x55; 4096]].concat()),
        ("two archives", Unpacked, [plain.clone(), plain.clone()].concat()),
        ("cut in a header", Refused, cut(300)),
        ("cut in a file", Refused, cut(1024)),
        ("cut between", Harmless, cut(2560)),
        ("gzip cut", Refused, {
            let all = compressed("gzip");
            all[..all.len() / 2].to_vec()
        }),
        ("gzip broken", Refused, {
            let mut all = compressed("gzip");
            for byte in &mut all[20..40] {
                *byte ^= 0x5a;
            }
            all
        }),
        ("gzip of no archive", Refused, pipe("gzip", b"hello")),
        ("ten times packed", Refused, (0..10).fold(plain.clone(), |all, _| pipe("gzip", &all))),
    ]
}

fn pipe(program: &str, input: &[u8]) -> Vec<u8> {
    let mut child = Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let feeder = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    let _ = feeder.join();
    output.stdout
}

#[test]
fn no_archive_hurts_the_host() {
    if !may_run() {
        return;
    }
    let host = Host::new();
    let corpus = corpus(&host.marker());
    assert!(corpus.len() >= 40);
    for (what, fate, archive) in corpus {
        let taken = host.unpack(what, &archive);
        assert!(fate == Harmless || taken == (fate == Unpacked), "{what}: should be {fate:?}");
        if taken {
            assert!(host.run(&["destroy", "p1"], b"").status.success(), "{what}");
        }
    }
}

#[test]
fn users_and_rights_are_kept_as_the_archive_has_them() {
    if !may_run() {
        return;
    }
    let host = Host::new();
    let archive = Archive::default()
        .add(Entry { name: b"su", mode: 0o4755, ..Entry::default() })
        .add(Entry { name: b"home", uid: 1000, mode: 0o600, ..Entry::default() })
        .pax("SCHILY.xattr.user.note", b"kept")
        .file("noted", b"");
    assert!(host.unpack("rights", &archive.end()));
    let stat = |name: &str| fs::metadata(host.rootfs().join(name)).unwrap();
    assert_eq!((stat("su").uid(), stat("su").mode() & 0o7777), (0, 0o4755));
    assert_eq!((stat("home").uid(), stat("home").mode() & 0o7777), (1000, 0o600));
    let mut value = [0u8; 16];
    let length = rustix::fs::getxattr(host.rootfs().join("noted"), "user.note", &mut value).unwrap();
    assert_eq!(&value[..length], b"kept");
}

#[test]
fn a_device_node_that_is_left_out_is_named() {
    if !may_run() {
        return;
    }
    let host = Host::new();
    let archive = Archive::default()
        .file("a", b"")
        .directory("jail")
        .add(Entry { name: b"jail/null", kind: b'3', ..Entry::default() })
        .file("b", b"");
    let output = host.run(&["create", "p1", "--from-tar", "-", "--", "/bin/true"], &archive.end());
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && stderr.contains("the device node 'jail/null' was left out"),
        "{stderr}"
    );
    assert!(host.rootfs().join("b").exists() && !host.rootfs().join("jail/null").exists());
}

#[test]
fn the_root_file_system_of_an_incus_image_is_on_top() {
    if !may_run() {
        return;
    }
    let host = Host::new();
    let archive = Archive::default()
        .file("metadata.yaml", b"architecture: x86_64\n")
        .directory("rootfs")
        .directory("rootfs/etc")
        .file("rootfs/etc/hostname", b"builder\n")
        .directory("templates");
    let output = host.run(&["create", "p1", "--from-tar", "-", "--", "/bin/true"], &archive.end());
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    assert_eq!(fs::read_to_string(host.rootfs().join("etc/hostname")).unwrap(), "p1\n");
    assert!(!host.rootfs().join("templates").exists());
    let left: Vec<_> = fs::read_dir(host.store().join("p1")).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
    assert!(host.run(&["destroy", "p1"], b"").status.success());
}

#[test]
fn a_machine_that_boots_needs_an_init_in_its_archive() {
    if !may_run() {
        return;
    }
    let host = Host::new();
    let output = host.run(&["create", "p1", "--from-tar", "-"], &Archive::default().file("a", b"").end());
    assert_eq!(output.status.code(), Some(66));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("containerctl: '-' has no init"));
    assert!(!host.rootfs().exists());
}
