//! Containers that can become root of the host, or leave set-user-ID programs where its users can run them.

use std::fs;
use std::os::unix::fs::MetadataExt;

use super::requirements::{Feature, Found, good};
use crate::config;
use crate::config::settings::PrivateUsers;
use crate::error::Result;
use crate::name::MachineName;
use crate::paths::Root;
use crate::sandbox::lsm::{Support, confines};
use crate::sandbox::survey;
use crate::storage;
use crate::storage::host_path::HostPaths;

/// The containers with the ids of the host that neither AppArmor nor SELinux confines. Definitions that cannot be read
/// are passed over.
pub fn privileged(root: &Root) -> Vec<MachineName> {
    let support = Support::of(root, &root.store());
    let is_privileged = |name: &MachineName| {
        config::load(root, name).is_ok_and(|definition| {
            let exec = &definition.settings.exec;
            exec.private_users == PrivateUsers::No && !confines(exec, &support)
        })
    };
    config::names(root).into_iter().filter(is_privileged).collect()
}

/// One line for each container whose files the users of the host can run, and one for what was left below the host's
/// journals.
pub fn check(root: &Root) -> Vec<Feature> {
    if !rustix::process::geteuid().is_root() {
        return Vec::new();
    }
    let paths = HostPaths::new(root);
    let told = |name| Some((name, is_closed(root, name, &paths).err()?.message().to_string()));
    let names = config::names(root);
    let lines = names.iter().filter_map(told).map(|(name, why)| {
        let hint = "move it below a directory of mode 0700, or mount it nosuid";
        good(&format!("files of '{name}' out of reach"), "its start", Found::Missing(why), hint)
    });
    lines.chain(left_programs(root)).collect()
}

fn is_closed(root: &Root, name: &MachineName, paths: &HostPaths) -> Result<()> {
    let Ok(definition) = config::load(root, name) else { return Ok(()) };
    let settings = &definition.settings;
    let rootfs = storage::locate(root, name, settings);
    match paths.tree(&rootfs) {
        Ok(tree) if settings.exec.private_users != PrivateUsers::No => {
            survey::require_closed(settings, &tree, &rootfs, paths)
        }
        // A start tells what else is wrong.
        _ => Ok(()),
    }
}

/// Set-user-ID files below the host's journals, where a guest's journal was idmapped once.
fn left_programs(root: &Root) -> Option<Feature> {
    let below = |path| fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    let journals = below(root.path("/var/log/journal")).filter(|path| !path.is_symlink());
    let is_program = |path: &std::path::PathBuf| {
        path.symlink_metadata().is_ok_and(|found| found.is_file() && found.mode() & 0o6000 != 0)
    };
    let program = journals.flat_map(below).find(is_program)?;
    let found = Found::Missing(format!("'{}' is a set-user-ID program", program.display()));
    Some(good("no programs among journals", "the host", found, "look at it, and remove it"))
}
