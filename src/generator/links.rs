//! The symlinks of one machine: who pulls it in, and the name under which machinectl starts it.

use std::path::PathBuf;

use super::Entry;
use crate::config::settings::Settings;
use crate::name::MachineName;
use crate::paths::Root;

const TEMPLATE: &str = "/usr/lib/systemd/system/container@.service";

/// `[Install]`, which systemctl does not see in a definition.
pub(super) fn install(name: &MachineName, settings: &Settings) -> Vec<(PathBuf, Entry)> {
    let link =
        |unit: &String, kind| (PathBuf::from(format!("{unit}.{kind}")).join(name.service()), template());
    let wants = settings.wanted_by.iter().map(|unit| link(unit, "wants"));
    let requires = settings.required_by.iter().map(|unit| link(unit, "requires"));
    wants.chain(requires).collect()
}

/// `machinectl start NAME` starts `systemd-nspawn@NAME.service` and nothing else; as an alias that is ours.
pub(super) fn alias(name: &MachineName) -> (PathBuf, Entry) {
    (PathBuf::from(name.nspawn_service()), template())
}

/// The file by which someone made this machine systemd-nspawn's: a unit of its own, or its settings.
pub(super) fn owned_by_nspawn(root: &Root, name: &MachineName) -> Option<PathBuf> {
    let units = [
        "/etc/systemd/system",
        "/run/systemd/system",
        "/usr/local/lib/systemd/system",
        "/usr/lib/systemd/system",
    ];
    let settings = ["/etc/systemd/nspawn", "/run/systemd/nspawn"];
    let units = units.map(|dir| root.path(dir).join(name.nspawn_service()));
    let settings = settings.map(|dir| root.path(dir).join(format!("{name}.nspawn")));
    units.into_iter().chain(settings).find(|path| path.symlink_metadata().is_ok())
}

fn template() -> Entry {
    Entry::Link(PathBuf::from(TEMPLATE))
}
