//! The guest's `/etc/resolv.conf`: written from outside where the guest has none, or one that we wrote before.

use std::net::IpAddr;

use rustix::io::Errno;

use super::DOMAIN;
use crate::error::Result;
use crate::network::wiring::Wire;
use crate::storage::tree::Tree;

const PATH: &str = "/etc/resolv.conf";
/// By its first line we know it again; who removes the line keeps the file.
const OURS: &str = "# Written by containerctl at each start, as long as this line is here.\n";

/// Writes the name servers of some links; nothing is written where they have none.
pub fn write(tree: &Tree, wires: &[Wire]) -> Result<()> {
    match text(wires) {
        // A start changes nothing of a tree that need not be changed.
        Some(text) if is_ours(tree) && tree.read(PATH).is_ok_and(|now| now == text) => Ok(()),
        Some(text) if is_ours(tree) => tree.replace_file(PATH, 0o644, &text),
        _ => Ok(()),
    }
}

/// Makes the file ours in a new tree, in which whoever built it may have left that of the machine it was built on.
pub fn claim(tree: &Tree) -> Result<()> {
    match tree.resolve_strict(PATH) {
        Err(Errno::LOOP) => Ok(()),
        _ => tree.replace_file(PATH, 0o644, OURS),
    }
}

fn text(wires: &[Wire]) -> Option<String> {
    let of = |wire: &Wire| match (wire.dns.is_empty(), wire.is_managed()) {
        (false, _) => wire.dns.clone(),
        (true, true) => wire.gateways.iter().filter(|gateway| gateway.is_ipv4()).copied().collect(),
        (true, false) => Vec::new(),
    };
    let servers: Vec<IpAddr> = wires.iter().flat_map(of).collect();
    if servers.is_empty() {
        return None;
    }
    let domain =
        if wires.iter().any(Wire::is_managed) { format!("search {DOMAIN}\n") } else { String::new() };
    let servers: String = servers.iter().map(|server| format!("nameserver {server}\n")).collect();
    Some(format!("{OURS}{domain}{servers}"))
}

/// A link is somebody's decision, even one that leads nowhere yet; so is any other text.
fn is_ours(tree: &Tree) -> bool {
    match tree.resolve_strict(PATH) {
        Err(Errno::NOENT) => true,
        Err(_) => false,
        Ok(_) => tree.read(PATH).is_ok_and(|text| text.trim().is_empty() || text.starts_with(OURS)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn what_is_the_guests_stays_the_guests() {
        let dir = tempfile::tempdir().expect("tempdir");
        fs::create_dir(dir.path().join("etc")).expect("mkdir");
        let (at, tree) = (dir.path().join("etc/resolv.conf"), Tree::open(dir.path()).expect("open"));
        assert!(is_ours(&tree));
        claim(&tree).expect("claimed");
        assert!(is_ours(&tree) && fs::read_to_string(&at).expect("read") == OURS);
        fs::write(&at, "nameserver 192.0.2.1\n").expect("write");
        assert!(!is_ours(&tree));
        fs::remove_file(&at).expect("rm");
        symlink("../run/systemd/resolve/stub-resolv.conf", &at).expect("symlink");
        assert!(!is_ours(&tree));
        claim(&tree).expect("left");
        assert!(at.symlink_metadata().expect("there").is_symlink());
    }
}
