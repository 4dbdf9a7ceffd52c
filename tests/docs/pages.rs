//! The manual pages as the build script has rendered them.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::{read, repository, roff, skip};

const PAGES: [&str; 9] = [
    "containerctl-confinement.7",
    "containerctl-equivalents.7",
    "containerctl-names.8",
    "containerctl-network.7",
    "containerctl-supervisor.8",
    "containerctl.1",
    "containerctl.conf.5",
    "containerctld.8",
    "org.containerctl1.5",
];

/// The pages' sources.
pub fn sources() -> Vec<String> {
    PAGES.iter().map(|page| format!("contrib/man/{page}.md")).collect()
}

/// The directory that the build script wrote.
fn rendered() -> PathBuf {
    PathBuf::from(env!("OUT_DIR")).join("man")
}

#[test]
fn every_page_is_rendered() {
    let mut names: Vec<String> = fs::read_dir(rendered())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, PAGES);
    assert!(sources().iter().all(|source| repository(source).exists()));
}

#[test]
fn mandoc_has_no_warning_about_any_page() {
    let pages = PAGES.map(|page| rendered().join(page));
    let Ok(lint) = Command::new("mandoc").args(["-T", "lint", "-W", "warning"]).args(&pages).output() else {
        return skip("mandoc is missing");
    };
    assert!(lint.status.success(), "{}", String::from_utf8_lossy(&lint.stdout));
}

#[test]
fn groff_has_no_warning_about_any_page() {
    for page in PAGES {
        let arguments = ["--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z"];
        let man = Command::new("man").args(arguments).arg(rendered().join(page)).output();
        let Some(man) = man.ok().filter(|_| Command::new("groff").arg("--version").output().is_ok()) else {
            return skip("man or groff is missing");
        };
        let warnings = String::from_utf8_lossy(&man.stderr);
        assert!(man.status.success() && warnings.is_empty(), "{page}: {warnings}");
    }
}

#[test]
fn whatis_finds_every_page() {
    for page in PAGES {
        let (name, _) = page.rsplit_once('.').unwrap();
        let text = fs::read_to_string(rendered().join(page)).unwrap();
        let description = text.split_once("\n.SH NAME\n").unwrap().1.lines().next().unwrap();
        assert!(description.starts_with(&format!("{name} \\- ")), "{page}: {description}");
    }
}

/// Pages of others that ours refer to: systemd, Linux man-pages, and tools that a host has.
const OTHERS: [&str; 36] = [
    "busctl.1",
    "capabilities.7",
    "getent.1",
    "inittab.5",
    "ip-link.8",
    "journalctl.1",
    "machine-id.5",
    "machinectl.1",
    "namespaces.7",
    "nft.8",
    "nss-mymachines.8",
    "nsswitch.conf.5",
    "os-release.5",
    "polkit.8",
    "resolv.conf.5",
    "sd_notify.3",
    "seccomp.2",
    "seccomp_unotify.2",
    "setrlimit.2",
    "sleep.1",
    "subgid.5",
    "subuid.5",
    "systemctl.1",
    "systemd.1",
    "systemd-machined.service.8",
    "systemd-networkd.service.8",
    "systemd-nspawn.1",
    "systemd-run.1",
    "systemd.exec.5",
    "systemd.nspawn.5",
    "systemd.resource-control.5",
    "systemd.service.5",
    "systemd.syntax.7",
    "systemd.unit.5",
    "tmpfs.5",
    "unshare.1",
];

#[test]
fn every_page_that_is_referred_to_exists() {
    for source in sources() {
        let text = read(&source);
        assert!(text.contains("\n# SEE ALSO\n\n**"), "{source} has no SEE ALSO");
        for (page, section) in references(&text) {
            let page = format!("{page}.{section}");
            let is_ours = PAGES.contains(&page.as_str());
            assert!(is_ours || OTHERS.contains(&page.as_str()), "{source}: {page} is no page that is known");
        }
    }
}

/// `**page**(section)` as pairs.
fn references(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split("**(").zip(text.split("**(").skip(1)).filter_map(|(before, after)| {
        let page = before.rsplit_once("**")?.1;
        Some((page, after.split_once(')')?.0))
    })
}

/// A page without its header.
fn body(markdown: &str) -> String {
    let page = roff::page("x", "1", "2026-01-01", markdown);
    page.split_once("\n.ad l\n").unwrap().1.to_string()
}

#[test]
fn text_is_never_taken_for_a_macro() {
    let markdown = ".Foo\n'bar' a\\\\b\n\n```\n.baz\n```\n";
    assert_eq!(body(markdown), "\\&.Foo\n\\&'bar' a\\eb\n.PP\n.RS 4\n.nf\n\\&.baz\n.fi\n.RE\n");
}

#[test]
fn dashes_of_code_are_typed_as_they_are() {
    assert_eq!(body("`--a-b` c-d"), "\\fB\\-\\-a\\-b\\fR c-d\n");
}

#[test]
fn definitions_may_have_several_paragraphs() {
    assert_eq!(body("`a`\n: b\n\n  c\n\nd"), ".TP\n\\fBa\\fR\nb\n.IP\nc\n.PP\nd\n");
}

#[test]
fn a_date_is_that_of_the_calendar() {
    let day = 24 * 60 * 60;
    let dates = [
        (0, "1970-01-01"),
        (59 * day, "1970-03-01"),
        (11016 * day, "2000-02-29"),
        (47540 * day, "2100-02-28"),
    ];
    for (seconds, expected) in dates {
        assert_eq!(roff::date(seconds), expected);
    }
    assert_eq!(roff::date(47541 * day - 1), "2100-02-28");
    assert_eq!(roff::date(47541 * day), "2100-03-01");
}
