//! Forwarding between the managed network and the host's other links (ip-sysctl in the kernel's documentation).
//!
//! An answer that comes in by another link has to be forwarded, too, so this is a setting of the whole host, as it is
//! for every router. It is switched on when a container needs it and never off: others may count on it by then.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use crate::error::{Context, Result};

const V4: &str = "/proc/sys/net/ipv4/ip_forward";
const V6: &str = "/proc/sys/net/ipv6/conf";

/// Has the kernel forward packets of both kinds; of IPv6 only where the host has it.
pub fn enable() -> Result<()> {
    if !is_on(V4) {
        write(V4, "1")?;
    }
    let all = format!("{V6}/all/forwarding");
    if is_on(&all) || !Path::new(&all).exists() {
        return Ok(());
    }
    keep_router_advertisements();
    write(&all, "1")
}

/// Whether packets of both kinds are forwarded, as far as the host has them.
pub fn is_enabled() -> bool {
    let all = format!("{V6}/all/forwarding");
    is_on(V4) && (is_on(&all) || !Path::new(&all).exists())
}

/// Lets links whose addresses come from router advertisements go on with that: a kernel that forwards ignores them
/// where `accept_ra` is 1. Links that a program configures in the kernel's place have 0.
fn keep_router_advertisements() {
    for entry in fs::read_dir(V6).into_iter().flatten().flatten() {
        let path = entry.path().join("accept_ra");
        // `default` stays: the links of containers come from it.
        let is_template = entry.file_name() == "all" || entry.file_name() == "default";
        if !is_template
            && is_on(&path)
            && let Err(error) = fs::write(&path, "2")
            && error.kind() != ErrorKind::NotFound
        {
            log::warn!("failed to write '{}': {error}, ignoring", path.display());
        }
    }
}

fn is_on(path: impl AsRef<Path>) -> bool {
    fs::read_to_string(path).is_ok_and(|text| text.trim() == "1")
}

fn write(path: &str, value: &str) -> Result<()> {
    fs::write(path, value).context(|| format!("failed to write '{path}'"))
}
