//! containerctl: system containers as systemd units. This page is the map of the house.
//!
//! Front-ends (`cli`, `dbus`) call `machine`; `machine` calls `sandbox`, `network`, `image`, `systemd`; these call
//! `sys`. Never upward. `config` and `generator` do no I/O but reading below a [`paths::Root`].

/// What runs between clone and exec.
#[allow(unsafe_code)]
pub mod child;
/// One file per verb.
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
/// The core: registry and operations; every front-end calls this.
pub mod machine;
/// Checked names of machines and the unit names that follow from them.
pub mod name;
/// Links: one driver per type.
pub mod network;
/// Every path that we own, below one root.
pub mod paths;
/// How far long work has come.
pub mod progress;
/// A file with another text in it.
pub mod replace;
/// What a container is confined by: plan, namespaces, mounts, ids, capabilities, seccomp.
pub mod sandbox;
/// One process per container: spawn, console, notify, control socket, adoption.
pub mod supervisor;
/// The raw system calls that nix and rustix lack.
#[allow(unsafe_code)]
pub mod sys;
/// The calls we use of systemd's manager, machined, the notify protocol and the journal.
pub mod systemd;
