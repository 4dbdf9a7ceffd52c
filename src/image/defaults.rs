//! Defaults of an image: a definition inside its tree that supplies harmless settings.
//!
//! It was written by whoever made the image, and may have been rewritten by the container since. So it is read as any
//! file of a container is, only harmless keys are taken from it, the host's definition wins, and nothing in it is an
//! error: what is wrong or not allowed there is a warning.

use std::path::Path;

use rustix::io::Errno;

use crate::config::{self, Definition, Diagnostic};
use crate::error::{Cause, Error, Result};
use crate::name::MachineName;
use crate::paths::Root;
use crate::storage;
use crate::storage::host_path::HostPaths;
use crate::storage::tree::Tree;

/// The path in an image.
pub const PLACE: &str = "/usr/lib/containerctl/image.conf";

/// The definition of `name` with its image's advice.
pub fn load(root: &Root, name: &MachineName) -> Result<Definition> {
    let mut definition = config::load(root, name)?;
    let rootfs = storage::locate(root, name, &definition.settings);
    // A root that cannot be opened is told by whoever needs it.
    if let Ok(tree) = HostPaths::new(root).tree(&rootfs) {
        advise(&mut definition, &tree, &rootfs);
    }
    Ok(definition)
}

/// Adds the advice of `tree`, which messages call `shown`.
pub fn advise(definition: &mut Definition, tree: &Tree, shown: &Path) {
    let path = shown.join(PLACE.trim_start_matches('/'));
    match tree.read_whole(PLACE) {
        Ok(text) => definition.advise(&path, &text),
        // The second: a file stands where a directory would.
        Err(Errno::NOENT | Errno::NOTDIR) => {}
        Err(errno) => definition.warnings.push(Diagnostic::passed_over(&Error::failed(format!(
            "failed to read '{}': {}",
            path.display(),
            cause(errno)
        )))),
    }
}

/// In words of what can be wrong with a file that is short text, where it is.
fn cause(errno: Errno) -> String {
    match errno {
        Errno::INVAL | Errno::ISDIR => "not a regular file".to_string(),
        Errno::FBIG => "longer than 64 KiB".to_string(),
        Errno::ILSEQ => "not UTF-8".to_string(),
        errno => errno.cause(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    /// The warnings of an image whose advice is made by `make`, and the host name that it sets.
    fn image(make: impl FnOnce(&Path)) -> (Option<String>, Vec<String>) {
        let dir = tempfile::tempdir().expect("directory");
        let file = dir.path().join(PLACE.trim_start_matches('/'));
        fs::create_dir_all(file.parent().expect("parent")).expect("mkdir");
        fs::write(dir.path().join("advice"), "[Exec]\nHostname=its\n").expect("write");
        make(&file);
        let mut definition = config::parse(Path::new("/p1.conf"), "").expect("parsed");
        advise(&mut definition, &Tree::open(dir.path()).expect("open"), Path::new("/srv/p1"));
        (definition.settings.exec.hostname, definition.warnings.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn what_is_no_short_text_is_a_warning_and_nothing_waits() {
        let wrong = |make: &dyn Fn(&Path), why: &str| {
            let expected = format!("failed to read '/srv/p1{PLACE}': {why}, ignored");
            assert_eq!(image(make), (None, vec![expected]));
        };
        wrong(
            &|at| nix::unistd::mkfifo(at, nix::sys::stat::Mode::S_IRWXU).expect("mkfifo"),
            "not a regular file",
        );
        wrong(&|at| fs::create_dir(at).expect("mkdir"), "not a regular file");
        wrong(&|at| fs::write(at, " ".repeat(65536)).expect("write"), "longer than 64 KiB");
        wrong(&|at| fs::write(at, b"[Exec]\n\xff").expect("write"), "not UTF-8");
        wrong(&|at| symlink("image.conf", at).expect("symlink"), Errno::LOOP.cause().as_str());
    }

    #[test]
    fn links_lead_to_the_images_own_files() {
        let linked = |target: &'static str| image(move |at| symlink(target, at).expect("symlink"));
        assert_eq!(linked("/advice"), (Some("its".to_string()), Vec::new()));
        assert_eq!(linked("../../../../../../advice"), (Some("its".to_string()), Vec::new()));
        assert_eq!(image(|_| ()), (None, Vec::new()));
    }
}
