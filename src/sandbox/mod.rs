//! What a container is confined by.
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
/// What a container sees mounted.
pub mod layout;
/// Labels of AppArmor and SELinux.
pub mod lsm;
/// Carrying out the mount operations of a plan.
pub mod mounts;
/// One mount operation.
pub mod operation;
/// The printable list of everything a start does.
pub mod plan;
/// What a container is promised to be held by.
pub mod posture;
/// The system call filter.
pub mod seccomp;
/// What must be known of host and root file system before a plan can be made.
pub mod survey;
/// A container's terminals, and how its init learns of them.
pub mod terminal;
/// Whom a caller asks for, and what a container's passwd says.
pub mod user;
/// A user namespace that nobody runs in, and becoming root of one.
pub mod userns;
