//! containerctl: system containers as systemd units. This page is the map of the house.
//!
//! Front-ends (`cli`, later `dbus`) call `machine`; `machine` calls `sandbox`, `image`, `systemd`; these call
//! `sys`. Never upward. `config` and `generator` do no I/O but reading below a [`paths::Root`].

/// Checked names of machines and the unit names that follow from them.
pub mod name;
/// Every path that we own, below one root.
pub mod paths;
/// Errors with operation, object and next step; their exit codes.
pub mod error;
/// Definitions: fragment → merged → settings.
pub mod config;
/// Definitions → unit text.
pub mod generator;
/// The calls we use of systemd's manager, machined, the notify protocol and the journal.
pub mod systemd;
/// The core: registry and operations; every front-end calls this.
pub mod machine;
/// From a name to a root file system: templates and archives.
pub mod image;
/// What a container is confined by: plan, namespaces, mounts, ids, capabilities, seccomp.
pub mod sandbox;
/// What runs between clone and exec.
#[allow(unsafe_code)]
pub mod child;
/// One process per container: spawn, console, notify, control socket, adoption.
pub mod supervisor;
/// The raw system calls that nix and rustix lack.
#[allow(unsafe_code)]
pub mod sys;
/// One file per verb.
pub mod cli;
