//! The guest's `/etc/resolv.conf`: written from outside where the guest has none, or one that we wrote before.

use std::net::IpAddr;

use rustix::io::Errno;

use super::DOMAIN;
use crate::error::Result;
use crate::network::links::LinkConfig;
use crate::storage::tree::Tree;

/// The path of the file in a tree.
pub const PATH: &str = "/etc/resolv.conf";
/// By its first line we know it again; who removes the line keeps the file.
const OURS: &str = "# Written by containerctl at each start, as long as this line is here.\n";

/// Writes the name servers of some links; nothing is written where they have none.
pub fn write(tree: &Tree, configs: &[LinkConfig]) -> Result<()> {
    match text(configs) {
        // A start changes nothing of a tree that need not be changed.
        Some(text) if is_ours(tree) && tree.read(PATH).is_ok_and(|now| now == text) => Ok(()),
        Some(text) if is_ours(tree) => tree.replace_file(PATH, 0o644, &text),
        _ => Ok(()),
    }
}

/// The state of the file in a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Missing, empty, or written by us.
    Ours,
    /// A symbolic link to a file that the tree has, or that a resolver of the tree makes when it runs.
    Resolver,
    /// A symbolic link to a file that nothing in the tree makes.
    Dangling,
    /// Any other text.
    Foreign,
}

/// Programs that make a file which `/etc/resolv.conf` links to, and the directory of that file.
const RESOLVERS: [(&str, &[&str]); 3] = [
    ("run/systemd/resolve/", &["/usr/lib/systemd/systemd-resolved", "/lib/systemd/systemd-resolved"]),
    ("run/NetworkManager/", &["/usr/sbin/NetworkManager", "/usr/bin/NetworkManager"]),
    ("run/resolvconf/", &["/usr/sbin/resolvconf", "/sbin/resolvconf", "/usr/bin/resolvconf"]),
];

/// Judges the file of a tree that does not run.
pub fn kind(tree: &Tree) -> Kind {
    match tree.resolve_strict(PATH) {
        Err(Errno::LOOP) => match tree.read_link(PATH) {
            Ok(target) if leads_somewhere(tree, &target) => Kind::Resolver,
            _ => Kind::Dangling,
        },
        _ if is_ours(tree) => Kind::Ours,
        _ => Kind::Foreign,
    }
}

fn leads_somewhere(tree: &Tree, target: &str) -> bool {
    let made_by = RESOLVERS.iter().find(|(directory, _)| target.contains(directory));
    match made_by {
        Some((_, programs)) => programs.iter().any(|program| tree.resolve(program).is_ok()),
        None => tree.resolve(PATH).is_ok(),
    }
}

/// Makes the file ours, in place of whatever is there.
pub fn claim(tree: &Tree) -> Result<()> {
    tree.replace_file(PATH, 0o644, OURS)
}

fn text(configs: &[LinkConfig]) -> Option<String> {
    let of = |config: &LinkConfig| match (config.dns.is_empty(), config.is_managed()) {
        (false, _) => config.dns.clone(),
        (true, true) => config.gateways.iter().filter(|gateway| gateway.is_ipv4()).copied().collect(),
        (true, false) => Vec::new(),
    };
    let servers: Vec<IpAddr> = configs.iter().flat_map(of).collect();
    if servers.is_empty() {
        return None;
    }
    let domain =
        if configs.iter().any(LinkConfig::is_managed) { format!("search {DOMAIN}\n") } else { String::new() };
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
        assert_eq!(kind(&tree), Kind::Dangling);
    }
}
