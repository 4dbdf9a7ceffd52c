//! Asking a security module for a label: from exec on, or at once where nothing will be executed.
//!
//! The file is one of our own procfs and nothing else: a label that went into another file would be missing where it
//! is relied upon.

use std::ffi::CStr;

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

/// A label and the file to write it to; prepared before the clone.
#[derive(Debug)]
pub struct Label {
    /// Below `/proc`: the first that there is. The leader is process 1 of its namespace.
    files: &'static [&'static CStr],
    text: Vec<u8>,
}

/// From when on a label counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The next program has it.
    Exec,
    /// For a process that executes nothing.
    Now,
}

impl Label {
    /// A profile of AppArmor's.
    pub fn apparmor(profile: &str, from: Moment) -> Label {
        let (files, verb): (&[_], _) = match from {
            Moment::Exec => (&[c"1/attr/apparmor/exec", c"1/attr/exec"], "exec"),
            Moment::Now => (&[c"1/attr/apparmor/current", c"1/attr/current"], "changeprofile"),
        };
        Label { files, text: format!("{verb} {profile}").into_bytes() }
    }

    /// A context of SELinux'.
    pub fn selinux(context: &str, from: Moment) -> Label {
        let files: &[_] = match from {
            Moment::Exec => &[c"1/attr/exec"],
            Moment::Now => &[c"1/attr/current"],
        };
        Label { files, text: context.as_bytes().to_vec() }
    }
}

/// Asks for the label. Allocates nothing.
pub fn ask_for(label: &Label) -> Result<(), Errno> {
    let root = rustix::fs::open(c"/", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let proc = rustix::fs::openat2(&root, c"proc", flags, Mode::empty(), resolve)?;
    if rustix::fs::fstatfs(&proc)?.f_type != libc::PROC_SUPER_MAGIC {
        return Err(Errno::NODEV);
    }
    // Not onto another mount, even of procfs.
    let resolve = resolve | ResolveFlags::NO_XDEV;
    let mut opened = Err(Errno::NOENT);
    for file in label.files {
        opened = rustix::fs::openat2(&proc, *file, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty(), resolve);
        if !matches!(opened, Err(Errno::NOENT)) {
            break;
        }
    }
    // The kernel takes it in one piece or not at all.
    match rustix::io::write(opened?, &label.text)? {
        written if written == label.text.len() => Ok(()),
        _ => Err(Errno::IO),
    }
}
