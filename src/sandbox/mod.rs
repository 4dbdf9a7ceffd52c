//! Confinement of a container.
//!
//! [`plan`] decides, purely, from the settings and the facts of [`survey`]; [`mounts`] carries the mount part out
//! in the child. The rest are the pieces: ids, capabilities, system calls, the kind of init.

/// A device node in a running container.
pub mod device;
/// One operation of a plan on the host.
pub mod host_operation;
/// Which init a root file system has, and how it is told to stop.
pub mod init;
/// The place of the guest's journal.
pub mod journal;
/// The mounts of a container.
pub mod layout;
/// Labels of AppArmor and SELinux.
pub mod lsm;
/// Carrying out the mount operations of a plan.
pub mod mounts;
/// One mount operation.
pub mod operation;
/// The printable list of everything a start does.
pub mod plan;
/// The promised confinement, as checks.
pub mod posture;
/// The system call filter.
pub mod seccomp;
/// Facts about host and root file system that a plan needs.
pub mod survey;
/// A container's terminals, and how its init learns of them.
pub mod terminal;
/// Users of a container: requested ones, and those of its passwd(5).
pub mod user;
/// A user namespace that nobody runs in, and becoming root of one.
pub mod userns;
