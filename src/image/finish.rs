//! Finishing a new root file system: host name, `/etc/hosts`, `/etc/resolv.conf` and machine-id(5), whatever the
//! tree came from.
//!
//! | file | a new tree (template, archive) | the user's own tree (`--rootfs`) |
//! |---|---|---|
//! | `/etc/hostname` | the container's name | written where it is missing or empty |
//! | `/etc/hosts` | gets the lines of `localhost` and of the container's name where it lacks them | written where it is missing |
//! | `/etc/resolv.conf` | ours, unless it is a link to a resolver that the tree has | written by a start where it is missing or empty |
//! | `/etc/machine-id` | emptied, so that the first boot makes one | kept |
//!
//! Each note tells what was replaced or kept although it does not fit. Nothing here fails a creation: a tree without
//! `/etc`, or with a symbolic link in its place, is left as it is, with a note.

use std::path::Path;

use rustix::io::Errno;

use crate::error::{Cause, Result};
use crate::name::MachineName;
use crate::network::names::resolv;
use crate::storage::tree::Tree;

const HOSTNAME: &str = "/etc/hostname";
const HOSTS: &str = "/etc/hosts";
const MACHINE_ID: &str = "/etc/machine-id";
const LOCALHOST: &str = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n";
/// Names that tools leave behind where nobody chose one.
const PLACEHOLDERS: [&str; 3] = ["", "localhost", "localhost.localdomain"];

/// The owner of a tree before the container was created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Built or unpacked for this container.
    New,
    /// The user's, used in place.
    Existing,
}

/// Finishes `tree`, which messages call `shown`. Returns notes for the user.
pub fn finish(tree: &Tree, shown: &Path, name: &MachineName, origin: Origin) -> Vec<String> {
    match tree.resolve_strict("/etc") {
        Ok(_) => {}
        // A tree for one command needs none of this.
        Err(Errno::NOENT) => return Vec::new(),
        Err(errno) => {
            return vec![format!("'{}/etc' was not looked at: {}", shown.display(), errno.cause())];
        }
    }
    let steps = [host_name, hosts, name_servers, machine_id];
    let results = steps.into_iter().map(|step| step(tree, name, origin));
    results.filter_map(|result| result.unwrap_or_else(|error| Some(format!("{error}, ignoring")))).collect()
}

fn host_name(tree: &Tree, name: &MachineName, origin: Origin) -> Result<Option<String>> {
    let found = tree.read(HOSTNAME).unwrap_or_default().trim().to_string();
    if found == name.as_str() {
        return Ok(None);
    }
    let is_chosen = !PLACEHOLDERS.contains(&found.as_str());
    if is_chosen && origin == Origin::Existing {
        return Ok(Some(format!("the tree's host name '{}' is kept", found.escape_debug())));
    }
    tree.replace_file(HOSTNAME, 0o644, &format!("{name}\n"))?;
    Ok(is_chosen.then(|| format!("the host name '{}' was replaced by '{name}'", found.escape_debug())))
}

fn hosts(tree: &Tree, name: &MachineName, origin: Origin) -> Result<Option<String>> {
    let found = match tree.read_whole(HOSTS) {
        Ok(text) => text,
        Err(Errno::NOENT) => String::new(),
        Err(errno) => return Ok(Some(format!("'{HOSTS}' is kept as it is: {}", errno.cause()))),
    };
    let text = with_names(&found, name);
    match (text == found, found.trim().is_empty(), origin) {
        (true, ..) => Ok(None),
        (false, false, Origin::Existing) => {
            Ok(Some(format!("'{HOSTS}' of the tree is kept; it does not name 'localhost' and '{name}'")))
        }
        _ => tree.replace_file(HOSTS, 0o644, &text).map(|()| None),
    }
}

/// `hosts`, a file of hosts(5), with the lines that it lacks of `localhost` and of `name`.
fn with_names(hosts: &str, name: &MachineName) -> String {
    let names = |wanted: &str| {
        let fields = |line: &str| line.split('#').next().unwrap_or_default().to_string();
        hosts.lines().any(|line| fields(line).split_whitespace().skip(1).any(|field| field == wanted))
    };
    let mut text = if names("localhost") { String::new() } else { LOCALHOST.to_string() };
    text.push_str(hosts);
    if !names(name.as_str()) {
        if !text.ends_with('\n') {
            text.push('\n');
        }
        text.push_str(&format!("127.0.1.1\t{name}\n"));
    }
    text
}

fn name_servers(tree: &Tree, _: &MachineName, origin: Origin) -> Result<Option<String>> {
    let note = |what: &str| Some(format!("'{}' {what}", resolv::PATH));
    match (resolv::kind(tree), origin) {
        (resolv::Kind::Ours | resolv::Kind::Resolver, _) => Ok(None),
        (resolv::Kind::Foreign, Origin::Existing) => Ok(None),
        (resolv::Kind::Dangling, Origin::Existing) => {
            Ok(note("of the tree is kept; it is a link to a resolver that the tree does not have"))
        }
        (resolv::Kind::Foreign, Origin::New) => {
            resolv::claim(tree).map(|()| note("was replaced; it named the servers of another machine"))
        }
        (resolv::Kind::Dangling, Origin::New) => resolv::claim(tree)
            .map(|()| note("was replaced; it was a link to a resolver that the tree does not have")),
    }
}

/// An id that came with a tree is another machine's (machine-id(5)); where there is no file, the init wants none.
fn machine_id(tree: &Tree, _: &MachineName, origin: Origin) -> Result<Option<String>> {
    let found = tree.read(MACHINE_ID).unwrap_or_default();
    if origin == Origin::Existing || matches!(found.trim(), "" | "uninitialized") {
        return Ok(None);
    }
    tree.replace_file(MACHINE_ID, 0o444, "")?;
    Ok(Some(format!("'{MACHINE_ID}' was emptied; the first boot makes a new one")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    struct Case {
        directory: tempfile::TempDir,
    }

    impl Case {
        fn new(files: &[(&str, &str)]) -> Case {
            let directory = tempfile::tempdir().expect("directory");
            fs::create_dir(directory.path().join("etc")).expect("mkdir");
            for (path, text) in files {
                fs::write(directory.path().join(path), text).expect("write");
            }
            Case { directory }
        }

        fn finish(&self, origin: Origin) -> Vec<String> {
            let tree = Tree::open(self.directory.path()).expect("open");
            finish(&tree, Path::new("/srv/t"), &MachineName::new("web").expect("valid"), origin)
        }

        fn read(&self, path: &str) -> String {
            fs::read_to_string(self.directory.path().join(path)).expect("read")
        }
    }

    const BUILDERS: [(&str, &str); 4] = [
        ("etc/hostname", "builder\n"),
        ("etc/hosts", "127.0.0.1 localhost\n127.0.1.1 builder\n"),
        ("etc/resolv.conf", "nameserver 192.0.2.53\n"),
        ("etc/machine-id", "0123456789abcdef0123456789abcdef\n"),
    ];

    #[test]
    fn nothing_of_its_builder_is_left_in_a_new_tree_and_each_change_is_told() {
        let case = Case::new(&BUILDERS);
        let notes = case.finish(Origin::New);
        assert_eq!(case.read("etc/hostname"), "web\n");
        assert!(case.read("etc/hosts").ends_with("127.0.1.1 builder\n127.0.1.1\tweb\n"));
        assert!(!case.read("etc/resolv.conf").contains("192.0.2.53"));
        assert_eq!(case.read("etc/machine-id"), "");
        assert_eq!(notes.len(), 3, "{notes:?}");
        assert!(case.finish(Origin::New).is_empty(), "a second time changes nothing");
    }

    #[test]
    fn a_tree_of_the_users_keeps_its_files_and_what_does_not_fit_is_told() {
        let case = Case::new(&BUILDERS);
        let notes = case.finish(Origin::Existing);
        for (path, text) in BUILDERS {
            assert_eq!(case.read(path), text, "{path}");
        }
        assert!(notes.iter().any(|note| note.contains("'builder' is kept")), "{notes:?}");
    }

    #[test]
    fn an_empty_etc_gets_names_and_a_missing_one_is_left_alone() {
        for origin in [Origin::New, Origin::Existing] {
            let case = Case::new(&[]);
            assert_eq!(case.finish(origin), Vec::<String>::new());
            assert_eq!(case.read("etc/hostname"), "web\n");
            assert!(case.read("etc/hosts").contains("127.0.1.1\tweb\n"));
            fs::remove_dir_all(case.directory.path().join("etc")).expect("rm");
            assert_eq!(case.finish(origin), Vec::<String>::new());
            assert!(!case.directory.path().join("etc").exists());
        }
    }

    #[test]
    fn a_link_leads_nowhere_outside_and_is_told() {
        let outside = Case::new(&[("etc/hostname", "host\n")]);
        let case = Case::new(&[]);
        fs::remove_dir(case.directory.path().join("etc")).expect("rmdir");
        symlink(outside.directory.path().join("etc"), case.directory.path().join("etc")).expect("symlink");
        assert_eq!(case.finish(Origin::New).len(), 1);
        assert_eq!(outside.read("etc/hostname"), "host\n");
        let case = Case::new(&[]);
        symlink(outside.directory.path().join("etc/hostname"), case.directory.path().join("etc/hostname"))
            .expect("symlink");
        case.finish(Origin::New);
        assert_eq!(
            (outside.read("etc/hostname").as_str(), case.read("etc/hostname").as_str()),
            ("host\n", "web\n")
        );
    }

    #[test]
    fn a_link_to_a_resolver_stays_where_the_tree_has_it() {
        for (has_resolved, expected) in [(true, true), (false, false)] {
            let case = Case::new(&[]);
            let at = case.directory.path().join("etc/resolv.conf");
            symlink("../run/systemd/resolve/stub-resolv.conf", &at).expect("symlink");
            if has_resolved {
                fs::create_dir_all(case.directory.path().join("usr/lib/systemd")).expect("mkdir");
                fs::write(case.directory.path().join("usr/lib/systemd/systemd-resolved"), "").expect("write");
            }
            case.finish(Origin::New);
            assert_eq!(at.symlink_metadata().expect("there").is_symlink(), expected);
        }
    }

    proptest! {
        #[test]
        fn every_hosts_file_names_both_afterwards_and_keeps_its_lines(hosts in "[ -~\n\t]{0,200}") {
            let name = MachineName::new("web").expect("valid");
            let text = with_names(&hosts, &name);
            prop_assert!(text.contains(&hosts));
            prop_assert_eq!(with_names(&text, &name), text);
        }
    }
}
