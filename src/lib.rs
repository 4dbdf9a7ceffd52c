//! containerctl: system containers as systemd units. This page is the map of the crate.
//!
//! Each room may import those that are listed behind it, and the base: `cancellation`, `error`, `name`, `paths`,
//! `progress`, `replace`, `warning`.
//! `tests/structure` reads this table, and fails on any other import and on a cycle between rooms.
//!
//! | room | imports |
//! |---|---|
//! | `sys` | |
//! | `config` | `sys` |
//! | `systemd` | `sys` `config` |
//! | `runtime` | `sys` `config` |
//! | `storage` | `sys` `config` |
//! | `network` | `sys` `config` `systemd` `storage` |
//! | `sandbox` | `sys` `config` `runtime` `storage` `network` |
//! | `worker` | `sys` `runtime` `storage` `sandbox` |
//! | `image` | `sys` `config` `storage` `network` `sandbox` `worker` |
//! | `preparation` | `sys` `config` `runtime` `storage` `network` `sandbox` `image` |
//! | `generator` | `config` `storage` |
//! | `child` | `sys` `storage` `sandbox` |
//! | `supervisor` | `sys` `config` `systemd` `runtime` `storage` `network` `sandbox` `worker` `preparation` `child` |
//! | `machine` | `sys` `config` `systemd` `runtime` `storage` `network` `sandbox` `worker` `image` `preparation` |
//! | `cli` | `sys` `config` `generator` `machine` |
//! | `dbus` | `sys` `config` `systemd` `generator` `machine` `worker` |
//!
//! `config` and `generator` do no I/O but reading below a [`paths::Root`].

/// Cancellation of operations.
pub mod cancellation;
/// The processes between clone and exec.
#[allow(unsafe_code)]
pub mod child;
/// The command line: one file per verb.
pub mod cli;
/// Definitions: fragment → merged → settings.
pub mod config;
/// The bus service `org.containerctl1`: one file per interface.
pub mod dbus;
/// Errors with operation, object and next step; their exit codes.
pub mod error;
/// Definitions → unit text.
pub mod generator;
/// From a name to a root file system: templates and archives.
pub mod image;
/// The core: operations on containers; every front-end calls this.
pub mod machine;
/// Checked names of machines and the unit names that follow from them.
pub mod name;
/// Links: one driver per type.
pub mod network;
/// Every path that we own, below one root.
pub mod paths;
/// Everything that a start decides, from the definition and what is found.
pub mod preparation;
/// Progress of long operations.
pub mod progress;
/// Atomic replacement of a file's content.
pub mod replace;
/// A running container as others find it: state, control socket, cgroup, lock.
pub mod runtime;
/// Confinement: plan, mounts, devices, seccomp, security modules.
pub mod sandbox;
/// Root file systems, their ids, and safe access to their files.
pub mod storage;
/// One process per container: spawn, console, notify, control socket, adoption.
pub mod supervisor;
/// The raw system calls that nix and rustix lack.
#[allow(unsafe_code)]
pub mod sys;
/// The calls we use of systemd's manager, machined, the notify protocol and the journal.
pub mod systemd;
/// Warnings about ignored failures.
pub mod warning;
/// Processes that do one piece of work: entering a container, answering one call.
#[allow(unsafe_code)]
pub mod worker;
