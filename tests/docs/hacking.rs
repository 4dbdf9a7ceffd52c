//! contrib/HACKING.md and the source tree.

use super::read;

#[test]
fn hacking_has_every_module_of_the_crate() {
    let hacking = read("contrib/HACKING.md");
    for line in read("src/lib.rs").lines().filter(|line| line.ends_with(';')) {
        let Some((_, module)) = line.trim_end_matches(';').split_once("mod ") else { continue };
        let (room, file) = (format!("[src/{module}]"), format!("[src/{module}.rs]"));
        assert!(
            hacking.contains(&room) || hacking.contains(&file),
            "contrib/HACKING.md has no 'src/{module}'"
        );
    }
}
