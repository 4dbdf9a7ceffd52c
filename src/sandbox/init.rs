//! Which init a root file system has, and which signal makes it shut down.

use std::path::Path;

use serde::Serialize;

use crate::error::{Error, Kind, Result};
use crate::storage::tree::Tree;
use crate::sys::signal::rtmin;

/// Paths of an init in order of precedence: first the one that a machine would run, which a distribution that has several
/// lets its administrator choose.
const CANDIDATES: [&str; 6] = [
    "/usr/sbin/init",
    "/sbin/init",
    "/usr/lib/systemd/systemd",
    "/lib/systemd/systemd",
    "/etc/init",
    "/bin/init",
];

/// The family an init belongs to; it decides the signals it understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum InitKind {
    /// systemd(1).
    Systemd,
    /// busybox's init applet.
    Busybox,
    /// openrc-init.
    OpenRc,
    /// sysvinit, and whatever reads an inittab.
    Sysvinit,
    /// runit-init.
    Runit,
    /// Anything else.
    Other,
}

impl InitKind {
    /// Judges by the name of the file behind all links.
    fn of(file: &str) -> InitKind {
        match file {
            "systemd" => InitKind::Systemd,
            "busybox" => InitKind::Busybox,
            "openrc-init" => InitKind::OpenRc,
            "runit" | "runit-init" => InitKind::Runit,
            "init" => InitKind::Sysvinit,
            _ => InitKind::Other,
        }
    }

    /// The signal that asks for a clean power-off: systemd(1) SIGRTMIN+4, busybox SIGUSR2, openrc-init(8) and
    /// runit-init(8) by SIGTERM and SIGCONT, others SIGPWR as LXC sends it.
    pub fn poweroff_signal(self) -> i32 {
        match self {
            InitKind::Systemd => rtmin() + 4,
            InitKind::Busybox => libc::SIGUSR2,
            InitKind::OpenRc => libc::SIGTERM,
            InitKind::Runit => libc::SIGCONT,
            InitKind::Sysvinit | InitKind::Other => libc::SIGPWR,
        }
    }
}

/// An init that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Init {
    /// The path to execute, inside.
    pub path: String,
    /// The family of the init.
    pub kind: InitKind,
}

/// The init of `tree`, which a message calls `shown`.
pub fn require(tree: &Tree, shown: &Path) -> Result<Init> {
    find(tree).ok_or_else(|| {
        let tried = CANDIDATES.join(", ");
        Error::new(Kind::NotFound, format!("'{}' has no init, tried {tried}", shown.display()))
            .hint("install one there, or set Boot=no and Parameters= in [Exec]")
    })
}

/// The first init in `tree`; the kind is told by the file behind the links, as `/sbin/init` is often one.
fn find(tree: &Tree) -> Option<Init> {
    CANDIDATES.iter().filter(|path| tree.is_program(path)).find_map(|path| {
        let real = tree.real_path(path).ok()?;
        let file = real.rsplit('/').next()?;
        Some(Init { path: path.to_string(), kind: InitKind::of(file) })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn an_init_behind_links_is_known_by_its_file() {
        assert_eq!(InitKind::of("systemd"), InitKind::Systemd);
        assert_eq!(InitKind::of("busybox"), InitKind::Busybox);
        assert_eq!(InitKind::of("tini"), InitKind::Other);
    }

    #[test]
    fn an_init_is_found_through_the_trees_own_links_only() {
        let dir = tempfile::tempdir().expect("tempdir");
        let tree = Tree::open(dir.path()).expect("open");
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("usr/sbin")).expect("mkdir");
        symlink("/usr/sbin", at("sbin")).expect("symlink");
        symlink("/bin/sh", at("usr/sbin/init")).expect("symlink");
        assert_eq!(require(&tree, dir.path()).expect_err("dangling").kind(), Kind::NotFound);
        fs::create_dir(at("bin")).expect("mkdir");
        fs::write(at("bin/sh"), "").expect("write");
        assert!(require(&tree, dir.path()).is_err(), "it is no program yet");
        fs::set_permissions(at("bin/sh"), PermissionsExt::from_mode(0o755)).expect("chmod");
        let path = "/usr/sbin/init".to_string();
        assert_eq!(require(&tree, dir.path()).expect("init"), Init { path, kind: InitKind::Other });
    }
}
