//! The posture probe: tries, where it is put, what a prisoner would try, and writes down what came of it.
//!
//! A program of its own, static and of nothing but std, so that it is the same in every kind of container: rustc
//! alone makes it, for the tests (posture.rs) and for the comparison with others (contrib/bench/posture).
//! `probe FILE` writes lines of `SECTION TAB KEY TAB FINDING`, then waits to be stopped; `probe --baseline` prints
//! those that are no attempt on anything, for a look at what the kernel has. Each try is made in a process of its
//! own that ends with it, and in mounts of its own where it is one on them.

use std::ffi::CString;
use std::fmt::Write as _;
use std::fs;
use std::io::{ErrorKind, Read};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

/// What is used of the C library.
mod sys {
    use std::ffi::{c_char, c_int, c_long, c_ulong, c_void};
    unsafe extern "C" {
        pub fn syscall(number: c_long, ...) -> c_long;
        pub fn fork() -> c_int;
        pub fn waitpid(pid: c_int, status: *mut c_int, options: c_int) -> c_int;
        pub fn kill(pid: c_int, signal: c_int) -> c_int;
        pub fn _exit(code: c_int) -> !;
        pub fn ioctl(fd: c_int, request: c_ulong, ...) -> c_int;
        pub fn socket(family: c_int, kind: c_int, protocol: c_int) -> c_int;
        pub fn unshare(flags: c_int) -> c_int;
        pub fn umount2(target: *const c_char, flags: c_int) -> c_int;
        pub fn mknod(path: *const c_char, mode: u32, device: u64) -> c_int;
        pub fn mount(
            source: *const c_char,
            target: *const c_char,
            filesystem: *const c_char,
            flags: c_ulong,
            data: *const c_void,
        ) -> c_int;
    }
}

/// Exit statuses of a try: it could be done, it was refused, there is no such thing.
const ALLOWED: i32 = 10;
const REFUSED: i32 = 11;
const ABSENT: i32 = 12;

const EPERM: i32 = 1;
const ENOENT: i32 = 2;
const EACCES: i32 = 13;
const ENODEV: i32 = 19;
const ENOSYS: i32 = 38;
const EAFNOSUPPORT: i32 = 97;

/// Calls by number on x86_64 that say nothing by their errno, or that must not be made with null arguments:
/// rt_sigreturn, exit, vfork, exit_group (no return), vhangup (takes the terminal), sethostname, setdomainname
/// (null is a name).
const SKIPPED_CALLS: [i64; 7] = [15, 58, 60, 153, 170, 171, 231];
const SOCKET: i64 = 41;
const CLOSE_RANGE: i64 = 436;
/// As far as numbers are given out, and beyond.
const LAST_CALL: i64 = 470;

/// What tells about the host or reaches into it: more than we mask, so that others' masks show as well.
const SENSITIVE: [&str; 37] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/config.gz",
    "/proc/interrupts",
    "/proc/kallsyms",
    "/proc/kcore",
    "/proc/key-users",
    "/proc/keys",
    "/proc/kmsg",
    "/proc/kpagecgroup",
    "/proc/kpagecount",
    "/proc/kpageflags",
    "/proc/latency_stats",
    "/proc/modules",
    "/proc/pagetypeinfo",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/slabinfo",
    "/proc/sysrq-trigger",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/vmallocinfo",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
    "/sys/fs/bpf",
    "/sys/fs/pstore",
    "/sys/kernel/btf",
    "/sys/kernel/debug",
    "/sys/kernel/security",
    "/sys/kernel/tracing",
    "/dev/kmsg",
    "/dev/mem",
    "/dev/fuse",
    "/dev/net/tun",
    "/dev/loop-control",
    "/dev/kvm",
    "/dev/disk",
];

/// Where a mask or a read-only cover is worth taking away.
const COVERED: [&str; 8] = [
    "/proc/kallsyms",
    "/proc/kcore",
    "/proc/keys",
    "/proc/sysrq-trigger",
    "/proc/sys",
    "/sys",
    "/sys/firmware",
    "/proc/interrupts",
];

const NAMESPACES: [(&str, i32); 8] = [
    ("mnt", 0x0002_0000),
    ("cgroup", 0x0200_0000),
    ("uts", 0x0400_0000),
    ("ipc", 0x0800_0000),
    ("user", 0x1000_0000),
    ("pid", 0x2000_0000),
    ("net", 0x4000_0000),
    ("time", 0x80),
];
const NEWNS: i32 = 0x0002_0000;
const NEWUSER: i32 = 0x1000_0000;
const NEWPID: i32 = 0x2000_0000;

const MS_RDONLY: u64 = 1;
const MS_REMOUNT: u64 = 32;
const MS_BIND: u64 = 4096;
const MS_MOVE: u64 = 8192;
const MS_PRIVATE_ALL: u64 = 1 << 18 | 16384;
const MNT_DETACH: i32 = 2;

const FILESYSTEMS: [&str; 9] =
    ["proc", "sysfs", "tmpfs", "devpts", "cgroup2", "mqueue", "devtmpfs", "debugfs", "securityfs"];

fn main() {
    let argument = std::env::args().nth(1).unwrap_or_default();
    let mut told = String::new();
    if argument == "--baseline" {
        calls(&mut told);
        sockets(&mut told);
        host(&mut told);
        print!("{told}");
        return;
    }
    for section in [
        ids, rights, calls, sockets, mounts, covered, fresh, nested, namespaces, sensitive, writable, cgroup,
        devices, terminal, host,
    ] {
        section(&mut told);
    }
    // Whole or not at all, for whoever waits for it.
    let new = format!("{argument}.new");
    if fs::write(&new, told).and_then(|()| fs::rename(&new, &argument)).is_err() {
        println!("probe: failed to write '{argument}'");
    }
    println!("probed");
    loop {
        std::thread::sleep(Duration::from_secs(3600));
    }
}

// --- How a try is made -------------------------------------------------------------------------------------------

fn errno() -> i32 {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

/// Runs `work` in a child and names what came of it. What blocks was let through.
fn attempt(work: impl FnOnce() -> i32) -> &'static str {
    // SAFETY: this program has one thread.
    let pid = unsafe { sys::fork() };
    if pid == 0 {
        let code = work();
        // SAFETY: always sound.
        unsafe { sys::_exit(code) }
    }
    let end = Instant::now() + Duration::from_millis(400);
    let mut status = 0;
    // SAFETY: `status` is valid for the call; the pid is our child's.
    while unsafe { sys::waitpid(pid, &mut status, 1) } == 0 {
        if Instant::now() > end {
            // SAFETY: as above; it is not waited for yet, so the pid is still its own.
            unsafe {
                sys::kill(pid, 9);
                sys::waitpid(pid, &mut status, 0);
            }
            return "allowed";
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    match (status & 0x7f, status >> 8 & 0xff) {
        (0, REFUSED) => "refused",
        (0, ABSENT) => "absent",
        // SIGSYS, and SIGSEGV where there is no gate to call through.
        (31, _) => "killed",
        (11, _) => "absent",
        _ => "allowed",
    }
}

/// A call that complains of its arguments was let through.
fn called(result: i64) -> i32 {
    match (result, errno()) {
        (0.., _) => ALLOWED,
        (_, EPERM | EACCES) => REFUSED,
        (_, ENOSYS) => ABSENT,
        _ => ALLOWED,
    }
}

/// What is done is done; anything else is a refusal, whatever its name.
fn done(result: i32) -> i32 {
    match (result, errno()) {
        (0.., _) => ALLOWED,
        (_, ENOENT | ENODEV) => ABSENT,
        _ => REFUSED,
    }
}

fn c(text: &str) -> CString {
    CString::new(text).unwrap_or_default()
}

fn unshare(flags: i32) -> bool {
    // SAFETY: one thread; nothing is shared.
    unsafe { sys::unshare(flags) == 0 }
}

fn mount(source: &str, target: &str, filesystem: &str, flags: u64) -> i32 {
    let (source, target, filesystem) = (c(source), c(target), c(filesystem));
    // SAFETY: all three are strings that outlive the call, and there is no data.
    unsafe { sys::mount(source.as_ptr(), target.as_ptr(), filesystem.as_ptr(), flags, std::ptr::null()) }
}

fn umount(target: &str) -> i32 {
    let target = c(target);
    // SAFETY: a string that outlives the call.
    unsafe { sys::umount2(target.as_ptr(), MNT_DETACH) }
}

/// In a copy of the mounts, in which what is locked stays locked.
fn own_mounts(work: impl FnOnce() -> i32) -> &'static str {
    attempt(|| {
        if !unshare(NEWNS) {
            return REFUSED;
        }
        mount("none", "/", "", MS_PRIVATE_ALL);
        done(work())
    })
}

/// In a user namespace made by the container's root, with the mounts that it may then have.
fn nested_mounts(work: impl FnOnce() -> i32) -> &'static str {
    attempt(|| {
        if !unshare(NEWUSER | NEWNS | NEWPID) {
            return REFUSED;
        }
        let _ = fs::write("/proc/self/setgroups", "deny");
        let _ = fs::write("/proc/self/uid_map", "0 0 1");
        let _ = fs::write("/proc/self/gid_map", "0 0 1");
        mount("none", "/", "", MS_PRIVATE_ALL);
        // procfs is of the pid namespace that its mounter is in.
        match attempt(|| done(work())) {
            "allowed" => ALLOWED,
            "absent" => ABSENT,
            _ => REFUSED,
        }
    })
}

/// A directory to mount on.
fn spare() -> &'static str {
    ["/dev/shm", "/tmp", "/mnt"].into_iter().find(|path| Path::new(path).is_dir()).unwrap_or("/")
}

fn line(told: &mut String, section: &str, key: &str, finding: &str) {
    let clean = |text: &str| text.replace(|c: char| c.is_control(), " ");
    let _ = writeln!(told, "{section}\t{}\t{}", clean(key), clean(finding).trim());
}

fn text(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

// --- The sections ------------------------------------------------------------------------------------------------

fn ids(told: &mut String) {
    for map in ["uid_map", "gid_map"] {
        let ids = text(&format!("/proc/self/{map}"));
        line(told, "ids", map, &ids.split_whitespace().collect::<Vec<_>>().join(" "));
    }
}

fn rights(told: &mut String) {
    let status = text("/proc/self/status");
    for field in
        ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Seccomp_filters"]
    {
        let found = status.lines().find_map(|l| l.strip_prefix(field)?.strip_prefix(':'));
        line(told, "rights", field, found.unwrap_or("?"));
    }
    let label = text("/proc/self/attr/current");
    line(told, "rights", "label", if label.trim().is_empty() { "none" } else { &label });
}

fn calls(told: &mut String) {
    for number in (0..=LAST_CALL).filter(|number| !SKIPPED_CALLS.contains(number)) {
        // SAFETY: no pointer is passed that the kernel could use; what the call does, it does to a child. Zero is a
        // descriptor, too, so none is left open.
        let tried = attempt(|| unsafe {
            sys::syscall(CLOSE_RANGE, 0i64, 1i64 << 20, 0i64);
            called(sys::syscall(number, 0i64, 0i64, 0i64, 0i64, 0i64, 0i64))
        });
        line(told, "calls", &format!("{number:03}"), tried);
    }
    // getpid(2) by the two other doors that the kernel may have.
    // SAFETY: without arguments.
    let x32 = attempt(|| called(unsafe { sys::syscall(0x4000_0000 | 39) }));
    line(told, "calls", "x32", x32);
    line(told, "calls", "compat", attempt(compat_getpid));
}

/// getpid(2) as a 32-bit program calls it; where the kernel has no such gate that is a SIGSEGV.
#[cfg(target_arch = "x86_64")]
fn compat_getpid() -> i32 {
    let mut result: i64 = 20;
    // SAFETY: the call takes no arguments and touches no memory; the kernel clobbers r8 to r11.
    unsafe {
        std::arch::asm!("int 0x80", inout("rax") result, out("r8") _, out("r9") _, out("r10") _, out("r11") _);
    }
    match -(result as i32) {
        ENOSYS => ABSENT,
        1.. => REFUSED,
        _ => ALLOWED,
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn compat_getpid() -> i32 {
    ABSENT
}

fn sockets(told: &mut String) {
    for family in 0..=46 {
        // DGRAM, STREAM, SEQPACKET, RAW: the family is there if one of them does not deny it.
        let finding = |kind| {
            attempt(|| {
                // SAFETY: no memory is passed.
                let result = unsafe { sys::socket(family, kind, 0) };
                match (result, errno()) {
                    (..0, EAFNOSUPPORT) => ABSENT,
                    (result, _) => called(i64::from(result)),
                }
            })
        };
        let findings = [2, 1, 5, 3].map(finding);
        let best = ["allowed", "killed", "refused"].into_iter().find(|word| findings.contains(word));
        line(told, "sockets", &format!("{family:02}"), best.unwrap_or("absent"));
    }
    for (name, protocol) in [("netlink-audit", 9), ("netlink-audit high bits", 1i64 << 32 | 9)] {
        // SAFETY: no memory is passed.
        let tried = attempt(|| done(unsafe { sys::syscall(SOCKET, 16i64, 3i64, protocol) } as i32));
        line(told, "sockets", name, tried);
    }
}

/// Mount point, file system and flags of every mount, and whether it can be taken away, elsewhere or made writable.
fn mounts(told: &mut String) {
    for row in text("/proc/self/mountinfo").lines() {
        let fields: Vec<&str> = row.split(' ').collect();
        let Some(dash) = fields.iter().position(|field| *field == "-") else { continue };
        let (point, options, filesystem) = (fields[4], fields[5], fields[dash + 1]);
        let gone = own_mounts(|| umount(point));
        let moved = own_mounts(|| mount(point, spare(), "", MS_MOVE));
        let writable = match options.split(',').any(|option| option == "ro") {
            true => own_mounts(|| mount("none", point, "", MS_REMOUNT | MS_BIND | flags(options))),
            false => "-",
        };
        let finding = format!("{filesystem} {options} unmount={gone} move={moved} remount={writable}");
        line(told, "mounts", point, &finding);
    }
}

/// The flags that a remount has to repeat: nosuid, nodev, noexec, and how access times are kept.
fn flags(options: &str) -> u64 {
    let flag = |option| match option {
        "nosuid" => 2,
        "nodev" => 4,
        "noexec" => 8,
        "noatime" => 1024,
        "nodiratime" => 2048,
        "relatime" => 1 << 21,
        _ => 0,
    };
    options.split(',').map(flag).sum()
}

/// What covers something is tried again by every way there is, by the container's root and by that of a user
/// namespace that it made.
fn covered(told: &mut String) {
    for path in COVERED {
        let ways: [(&str, fn(&str) -> i32); 4] = [
            ("unmount", |path| umount(path)),
            ("move", |path| mount(path, spare(), "", MS_MOVE)),
            ("remount", |path| {
                mount("none", path, "", MS_REMOUNT | MS_BIND | flags("nosuid,nodev,noexec,relatime"))
            }),
            ("remount-all", |path| {
                mount("none", path, "", MS_REMOUNT | flags("nosuid,nodev,noexec,relatime"))
            }),
        ];
        for (way, work) in ways {
            line(told, "covered", &format!("{way} {path}"), own_mounts(|| work(path)));
            line(told, "covered", &format!("nested {way} {path}"), nested_mounts(|| work(path)));
        }
    }
}

fn fresh(told: &mut String) {
    for filesystem in FILESYSTEMS {
        line(told, "fresh", filesystem, own_mounts(|| mount(filesystem, spare(), filesystem, 0)));
    }
    let read_only = own_mounts(|| mount("proc", spare(), "proc", MS_RDONLY));
    line(told, "fresh", "proc read-only", read_only);
}

fn nested(told: &mut String) {
    for filesystem in FILESYSTEMS {
        line(told, "nested", filesystem, nested_mounts(|| mount(filesystem, spare(), filesystem, 0)));
    }
}

fn namespaces(told: &mut String) {
    for (name, flag) in NAMESPACES {
        let made = attempt(|| if unshare(flag) { ALLOWED } else { REFUSED });
        line(told, "namespaces", name, made);
    }
}

/// A file that gives nothing is as good as one that cannot be opened.
fn sensitive(told: &mut String) {
    for path in SENSITIVE {
        let read = attempt(|| match fs::metadata(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => ABSENT,
            Err(_) => REFUSED,
            Ok(found) if found.is_dir() => {
                match fs::read_dir(path).map(|mut entries| entries.next().is_some()) {
                    Ok(true) => ALLOWED,
                    _ => REFUSED,
                }
            }
            Ok(_) => match open(path, false).map(|mut file| file.read(&mut [0])) {
                // Nothing to be read just now, which whoever may not read is not told.
                Ok(Ok(1..)) => ALLOWED,
                Ok(Err(error)) if error.kind() == ErrorKind::WouldBlock => ALLOWED,
                _ => REFUSED,
            },
        });
        line(told, "sensitive", path, read);
    }
}

fn open(path: &str, write: bool) -> std::io::Result<fs::File> {
    // O_NONBLOCK, O_NOCTTY, O_CLOEXEC.
    fs::OpenOptions::new().read(!write).write(write).custom_flags(0o4000 | 0o400 | 0o2_000_000).open(path)
}

/// What can be opened for writing below /proc and /sys, without the processes' own and the cgroups. Settings of
/// the kernel are cut off after two names, for what lies below depends on interfaces and modules.
fn writable(told: &mut String) {
    let mut found = std::collections::BTreeMap::new();
    for start in ["/proc", "/sys"] {
        look_below(start, &mut found);
    }
    for (place, count) in found {
        line(told, "writable", &place, if count > 0 { "allowed" } else { "-" });
    }
}

fn look_below(dir: &str, found: &mut std::collections::BTreeMap<String, usize>) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{dir}/{name}");
        let own = dir == "/proc" && (name.bytes().all(|b| b.is_ascii_digit()) || name.ends_with("self"));
        match entry.file_type() {
            _ if own || path == "/sys/fs/cgroup" => {}
            Ok(kind) if kind.is_dir() => look_below(&path, found),
            Ok(kind) if kind.is_file() && open(&path, true).is_ok() => {
                let place = match path.strip_prefix("/proc/sys/").and_then(|below| below.split_once('/')) {
                    Some((first @ ("net" | "user"), _)) => format!("/proc/sys/{first}/"),
                    _ => path,
                };
                *found.entry(place).or_insert(0) += 1;
            }
            _ => {}
        }
    }
}

/// What can be written of the cgroup that is the root of the container's view, and whether something lies above it.
fn cgroup(told: &mut String) {
    for entry in fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_file() && open(&path.to_string_lossy(), true).is_ok() {
            line(told, "cgroup", &name, "allowed");
        }
    }
    let own = Path::new("/sys/fs/cgroup/probe");
    let made = attempt(|| if fs::create_dir(own).is_ok() { ALLOWED } else { REFUSED });
    let _ = fs::remove_dir(own);
    line(told, "cgroup", "make a cgroup", made);
    line(told, "cgroup", "path", &text("/proc/self/cgroup"));
    let first = attempt(|| done(mount("none", spare(), "cgroup", 0)));
    line(told, "cgroup", "mount version 1", first);
}

/// Every node in /dev and what opening it gives; and whether one that is made can be opened.
fn devices(told: &mut String) {
    for entry in fs::read_dir("/dev").into_iter().flatten().flatten() {
        let path = entry.path().to_string_lossy().into_owned();
        let Ok(found) = fs::symlink_metadata(&path) else { continue };
        let kind = match found.file_type() {
            kind if kind.is_block_device() => "b",
            kind if kind.is_char_device() => "c",
            _ => continue,
        };
        let (major, minor) = (found.rdev() >> 8 & 0xfff, found.rdev() & 0xff);
        // Which pseudo terminal it is says nothing.
        let opened = attempt(|| if open(&path, false).is_ok() { ALLOWED } else { REFUSED });
        let number =
            if path == "/dev/console" { "a terminal".to_string() } else { format!("{major}:{minor}") };
        line(told, "devices", &path, &format!("{kind} {number} {:04o} {opened}", found.mode() & 0o7777));
    }
    for (what, mode, device) in
        [("mem", 0o20600, 0x101), ("a disk", 0o60600, 0x800), ("kmsg", 0o20600, 0x10b)]
    {
        let path = "/.probe-node";
        let tried = attempt(|| {
            let name = c(path);
            // SAFETY: a string that outlives the call.
            match unsafe { sys::mknod(name.as_ptr(), mode, device) } {
                0 => match open(path, false) {
                    Ok(_) => ALLOWED,
                    Err(error) if error.raw_os_error() == Some(6) => ALLOWED,
                    Err(_) => REFUSED,
                },
                _ => REFUSED,
            }
        });
        let _ = fs::remove_file(path);
        line(told, "devices", &format!("make and open {what}"), tried);
    }
}

/// Forging input on a terminal: TIOCSTI, TIOCLINUX, also with bits above the 32 that the kernel looks at.
fn terminal(told: &mut String) {
    for (name, request) in
        [("TIOCSTI", 0x5412), ("TIOCSTI high bits", 1 << 40 | 0x5412), ("TIOCLINUX", 0x541c)]
    {
        let tried = attempt(|| {
            let Ok(master) = open("/dev/ptmx", true) else { return ABSENT };
            let unlock = 0i32;
            let byte = 0u8;
            // SAFETY: the kernel reads the int of TIOCSPTLCK and at most one byte of the other.
            unsafe {
                sys::ioctl(master.as_raw_fd(), 0x4004_5431, &raw const unlock);
                // TIOCGPTPEER, O_RDWR | O_NOCTTY.
                let peer = sys::ioctl(master.as_raw_fd(), 0x5441, 0o402);
                called(i64::from(sys::ioctl(peer, request, &raw const byte)))
            }
        });
        line(told, "terminal", name, tried);
    }
}

/// What the host could be told by, for whoever compares it with the host's own.
fn host(told: &mut String) {
    for path in [
        "/proc/sys/kernel/hostname",
        "/proc/sys/kernel/random/boot_id",
        "/etc/machine-id",
        "/proc/cmdline",
        "/proc/version",
        "/proc/partitions",
        "/proc/1/comm",
    ] {
        // A number in its place: enough to compare, and no secret in a file.
        let content = fs::read(path).unwrap_or_default();
        let sum = content.iter().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
        });
        line(
            told,
            "host",
            path,
            &if content.is_empty() { "nothing".to_string() } else { format!("{sum:016x}") },
        );
    }
}
