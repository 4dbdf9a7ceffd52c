//! README.md, and links and verbs in everything that is written.

use std::collections::BTreeSet;
use std::path::Path;

use super::{pages, read, repository, verbs};

#[test]
fn the_readme_stays_short() {
    let lines = read("README.md").lines().count();
    assert!(lines <= 200, "{lines} lines");
}

/// Markdown outside the manual, whose pages have no links.
const DOCUMENTS: [&str; 3] = ["README.md", "contrib/HACKING.md", "contrib/bench/README.md"];

#[test]
fn every_link_leads_to_a_file() {
    for document in DOCUMENTS {
        let text = read(document);
        let targets: BTreeSet<&str> =
            text.split("](").skip(1).filter_map(|rest| rest.split(')').next()).collect();
        assert!(!targets.is_empty(), "{document}");
        for target in targets.iter().filter(|target| !target.contains("://") && !target.starts_with('#')) {
            let path = Path::new(document).with_file_name(target.split('#').next().unwrap());
            assert!(
                repository(path.to_str().unwrap()).exists(),
                "{document}: '{target}' is linked and not there"
            );
        }
    }
}

#[test]
fn the_documents_name_only_verbs_that_there_are() {
    let verbs = verbs::all();
    let is_verb = |verb: &str| verbs.iter().any(|known| known.split(' ').next() == Some(verb));
    let mut all: Vec<(String, String)> = DOCUMENTS.map(|file| (file.to_string(), read(file))).into();
    all.extend(pages::sources().into_iter().map(|page| (page.clone(), read(&page))));
    let mut named = 0;
    for (file, text) in &all {
        let commands = text.split("`containerctl ").skip(1);
        let words = commands.filter_map(|rest| rest.split(|c: char| !c.is_ascii_lowercase()).next());
        for verb in words.filter(|verb| !verb.is_empty()) {
            assert!(is_verb(verb), "{file}: 'containerctl {verb}' is no verb");
            named += 1;
        }
    }
    assert!(named > 50, "{named}");
}
