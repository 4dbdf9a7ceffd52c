//! A whole definition: its files read and applied to settings one after the other.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::fragment::{self, Assignment, Fragment};
use super::key::{self, Keeps, Trust};
use super::lines::Place;
use super::merge::Sources;
use super::settings::Settings;
use crate::error::{Error, Result};
use crate::name::MachineName;
use crate::paths::Root;

/// A definition without mistakes.
#[derive(Debug)]
pub struct Definition {
    /// The merged settings.
    pub settings: Settings,
    /// Every file read, the main one first.
    pub files: Vec<PathBuf>,
    /// Unknown keys and other problems that do not stop a start.
    pub warnings: Vec<Diagnostic>,
    assigned: Vec<Assigned>,
    /// Section and key of every assignment, resets included.
    mentioned: BTreeSet<(String, String)>,
}

/// An assignment that counts: none later takes it back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Assigned {
    /// The section of the key.
    pub section: String,
    /// Left of `=`.
    pub key: String,
    /// Right of `=`.
    pub value: String,
    /// The file that it stands in.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: usize,
}

/// Something that a definition's author should know: `FILE:LINE: what`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic(String);

impl Diagnostic {
    /// A warning for an error that does not stop the reader.
    pub fn passed_over(error: &Error) -> Diagnostic {
        Diagnostic(format!("{}, ignored", error.message()))
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Reads the definition of `name`. Kinds of errors: `NotFound`, `Denied`, and `Config` with `FILE:LINE:COLUMN`.
pub fn load(root: &Root, name: &MachineName) -> Result<Definition> {
    let sources = Sources::find(root, name)?;
    let mut definition = Definition::empty();
    for path in sources.files() {
        definition.apply(&Fragment::read(path)?)?;
    }
    Ok(definition)
}

/// As [`load`], as if the file `path` of the definition held `text`; it need not be there yet.
pub fn load_with(root: &Root, name: &MachineName, path: &Path, text: &str) -> Result<Definition> {
    let sources = Sources::find(root, name)?.with(path);
    let mut definition = Definition::empty();
    for file in sources.files() {
        let fragment = if file == path { Fragment::parse(path, text) } else { Fragment::read(file) };
        definition.apply(&fragment?)?;
    }
    Ok(definition)
}

/// A definition that is this one text; `path` is for messages. Errors are `Config`.
pub fn parse(path: &Path, text: &str) -> Result<Definition> {
    let mut definition = Definition::empty();
    definition.apply(&Fragment::parse(path, text)?)?;
    Ok(definition)
}

impl Definition {
    fn empty() -> Definition {
        Definition {
            settings: Settings::default(),
            files: Vec::new(),
            warnings: Vec::new(),
            assigned: Vec::new(),
            mentioned: BTreeSet::new(),
        }
    }

    /// Adds what an image says of itself in `text`, which is advice: keys that the definition does not mention, and
    /// only those that are harmless. All else is named in a warning, and none of it is an error. `path` is for
    /// messages.
    pub fn advise(&mut self, path: &Path, text: &str) {
        match Fragment::parse(path, text) {
            Ok(fragment) => self.take_advice(&fragment),
            Err(error) => self.warnings.push(Diagnostic::passed_over(&error)),
        }
    }

    fn take_advice(&mut self, fragment: &Fragment) {
        let own = std::mem::take(&mut self.mentioned);
        for assignment in &fragment.assignments {
            let Assignment { section, key, place, .. } = assignment;
            let named = (section.clone(), key.clone());
            match key::trust(section, key) {
                _ if own.contains(&named) || is_extension(section) || is_extension(key) => {}
                Some(Trust::Image) => {
                    if let Err(error) = self.assign(&fragment.path, assignment) {
                        self.warnings.push(Diagnostic::passed_over(&error));
                    }
                }
                Some(Trust::Host) => {
                    let why = format!("'{key}=' is not an image's to set, ignored");
                    self.warn(&fragment.path, place.line, why);
                }
                None => {
                    let why = format!("unknown key '{key}=' in '[{section}]', ignored");
                    self.warn(&fragment.path, place.line, why);
                }
            }
        }
        self.mentioned = own;
    }

    /// `FILE:LINE` of the last assignment of a key, for what turns out to be wrong only later. `None`: the key is
    /// not set, or was reset.
    pub fn place(&self, section: &str, key: &str) -> Option<String> {
        let last = self.assigned.iter().rfind(|one| one.section == section && one.key == key)?;
        Some(format!("{}:{}", last.file.display(), last.line))
    }

    /// Every assignment that counts, in the order in which they were read.
    pub fn assigned(&self) -> &[Assigned] {
        &self.assigned
    }

    /// `FILE:LINE: KEY=`, or `KEY=` alone where it is not set: the beginning of a sentence about it.
    pub fn named(&self, section: &str, key: &str) -> String {
        self.place(section, key).map_or_else(|| format!("{key}="), |place| format!("{place}: {key}="))
    }

    fn apply(&mut self, fragment: &Fragment) -> Result<()> {
        for (section, place) in &fragment.sections {
            if !key::is_section(section) && !is_extension(section) {
                self.warn(&fragment.path, place.line, format!("unknown section '[{section}]', ignored"));
            }
            key::begin(&mut self.settings, section).map_err(|wrong| {
                let place = Place { column: place.column + wrong.offset, ..*place };
                fragment::error(&fragment.path, place, &wrong.why)
            })?;
        }
        for assignment in fragment.assignments.iter().filter(|a| key::is_section(&a.section)) {
            self.assign(&fragment.path, assignment)?;
        }
        self.files.push(fragment.path.clone());
        Ok(())
    }

    fn assign(&mut self, path: &Path, assignment: &Assignment) -> Result<()> {
        let Assignment { section, key, text, place, .. } = assignment;
        match key::apply(&mut self.settings, section, key, text) {
            Ok(true) => self.remember(path, assignment),
            Ok(false) if is_extension(key) => {}
            Ok(false) => {
                self.warn(path, place.line, format!("unknown key '{key}=' in '[{section}]', ignored"))
            }
            Err(wrong) => {
                let why = format!("{key}=: {}", wrong.why);
                return Err(fragment::error(path, assignment.value_place(wrong.offset), &why));
            }
        }
        Ok(())
    }

    fn remember(&mut self, path: &Path, assignment: &Assignment) {
        let Assignment { section, key, text, place, .. } = assignment;
        self.mentioned.insert((section.clone(), key.clone()));
        if text.is_empty() || key::keeps(section, key) == Keeps::Last {
            self.assigned.retain(|one| one.section != *section || one.key != *key);
        }
        if !text.is_empty() {
            self.assigned.push(Assigned {
                section: section.clone(),
                key: key.clone(),
                value: text.clone(),
                file: path.to_path_buf(),
                line: place.line,
            });
        }
    }

    fn warn(&mut self, path: &Path, line: usize, message: String) {
        self.warnings.push(Diagnostic(format!("{}:{line}: {message}", path.display())));
    }
}

/// Names that others may use for their own ends, as in unit files.
fn is_extension(name: &str) -> bool {
    name.starts_with("X-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    fn load_text(files: &[(&str, &str)]) -> (tempfile::TempDir, Result<Definition>) {
        let dir = tempfile::tempdir().expect("directory");
        for (path, text) in files {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().expect("parent")).expect("directory");
            std::fs::write(path, text).expect("written");
        }
        let loaded = load(&Root::at(dir.path()), &MachineName::new("p1").expect("valid"));
        (dir, loaded)
    }

    #[test]
    fn drop_ins_change_what_the_main_file_says() {
        let (_dir, loaded) = load_text(&[
            ("etc/containerctl/p1.conf", "[Exec]\nHostname=a\nParameters=x\n"),
            ("run/containerctl/p1.conf.d/10.conf", "[Exec]\nParameters=\nParameters=y\n"),
        ]);
        let definition = loaded.expect("loaded");
        assert_eq!(definition.settings.exec.hostname.as_deref(), Some("a"));
        assert_eq!(definition.settings.exec.parameters, ["y"]);
        assert_eq!(definition.files.len(), 2);
    }

    #[test]
    fn an_empty_definition_is_all_defaults() {
        let (_dir, loaded) = load_text(&[("etc/containerctl/p1.conf", "")]);
        assert_eq!(loaded.expect("loaded").settings, Settings::default());
    }

    #[test]
    fn unknown_names_warn_with_file_and_line() {
        let text = "[Exec]\nBoott=yes\nX-Mine=1\n[Foo]\nbar=1\n[X-Foo]\nbar=1\n[Unit]\nAllowIsolate=yes\n";
        let (dir, loaded) = load_text(&[("etc/containerctl/p1.conf", text)]);
        let prefix = format!("{}/etc/containerctl/p1.conf:", dir.path().display());
        let warnings: Vec<_> =
            loaded.expect("loaded").warnings.iter().map(|w| w.to_string().replace(&prefix, "")).collect();
        assert_eq!(
            warnings,
            [
                "4: unknown section '[Foo]', ignored",
                "2: unknown key 'Boott=' in '[Exec]', ignored",
                "9: unknown key 'AllowIsolate=' in '[Unit]', ignored",
            ]
        );
    }

    #[test]
    fn a_key_is_found_where_it_was_set_last() {
        let (dir, loaded) = load_text(&[
            ("etc/containerctl/p1.conf", "[Exec]\nHostname=a\nBoot=no\nParameters=x\n"),
            ("run/containerctl/p1.conf.d/10.conf", "[Exec]\n\nHostname=b\nBoot=\n"),
        ]);
        let definition = loaded.expect("loaded");
        let place = |key| definition.place("Exec", key);
        let path = dir.path().display();
        assert_eq!(place("Hostname"), Some(format!("{path}/run/containerctl/p1.conf.d/10.conf:3")));
        assert_eq!(place("Parameters"), Some(format!("{path}/etc/containerctl/p1.conf:4")));
        assert_eq!((place("Boot"), place("MachineID")), (None, None));
        assert_eq!(definition.named("Exec", "Boot"), "Boot=");
    }

    fn advised(own: &str, image: &str) -> (Settings, Vec<String>) {
        let mut definition = parse(Path::new("/p1.conf"), own).expect("parsed");
        definition.advise(Path::new("/image.conf"), image);
        (definition.settings, definition.warnings.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn an_image_sets_what_is_harmless_and_not_said_already() {
        let own = "[Exec]\nHostname=mine\nParameters=\n";
        let image = "[Exec]\nHostname=its\nParameters=x\nEnvironment=A=b\nEnvironment=C=d\n[X-A]\nB=c\n";
        let (settings, warnings) = advised(own, image);
        assert_eq!(settings.exec.hostname.as_deref(), Some("mine"));
        assert!(settings.exec.parameters.is_empty(), "a reset is said, too");
        assert_eq!(settings.exec.environment.len(), 2);
        assert_eq!(warnings, [""; 0]);
    }

    /// SEC-23. Each key of the table, so that a new one cannot be forgotten.
    #[test]
    fn an_image_that_asks_for_more_is_told_by_key_and_line() {
        for row in super::super::directives::TABLE.iter().filter(|row| row.trust == Trust::Host) {
            for value in ["yes", "/", "1", "all", "CAP_SYS_ADMIN", ""] {
                let (settings, warnings) =
                    advised("", &format!("[{}]\n\n{}={value}\n", row.section, row.key));
                assert_eq!(settings, Settings::default(), "{}", row.key);
                assert_eq!(
                    warnings,
                    [format!("/image.conf:3: '{}=' is not an image's to set, ignored", row.key)]
                );
            }
        }
        let (settings, warnings) =
            advised("", "[Unit]\nAfter=x.service\n[Resources]\nMemoryMax=1\n[Exec]\nFoo=1\n");
        assert_eq!((settings, warnings.len()), (Settings::default(), 3));
    }

    #[test]
    fn what_an_image_writes_wrong_is_no_error() {
        let (settings, warnings) = advised("", "[Exec]\nBoot=perhaps\nHostname=a\n");
        assert_eq!(settings.exec.hostname.as_deref(), Some("a"));
        assert!(warnings[0].starts_with("/image.conf:2:6: Boot=: ") && warnings[0].ends_with(", ignored"));
        let (settings, warnings) = advised("", "[Exec]\nHostname=a\nnonsense\n");
        assert_eq!(settings, Settings::default());
        assert!(warnings[0].starts_with("/image.conf:3:1: 'nonsense'"), "{warnings:?}");
    }

    #[test]
    fn what_counts_is_the_last_of_one_and_all_of_many() {
        let main = "[Exec]\nHostname=a\nParameters=x\n[Files]\nBind=/a\nBind=/b\n[Resources]\nMemoryMax=1G\n";
        let (_dir, loaded) = load_text(&[
            ("etc/containerctl/p1.conf", main),
            (
                "etc/containerctl/p1.conf.d/10.conf",
                "[Exec]\nHostname=b\nParameters=\n[Resources]\nMemoryMax=2G\n",
            ),
        ]);
        let definition = loaded.expect("loaded");
        let counts: Vec<_> = definition.assigned().iter().map(|one| (&one.key[..], &one.value[..])).collect();
        assert_eq!(counts, [("Bind", "/a"), ("Bind", "/b"), ("Hostname", "b"), ("MemoryMax", "2G")]);
    }

    #[test]
    fn a_change_is_tried_before_it_is_written() {
        let (dir, loaded) = load_text(&[
            ("etc/containerctl/p1.conf", "[Exec]\nHostname=a\n"),
            ("run/containerctl/p1.conf.d/50.conf", "[Exec]\nHostname=c\n"),
        ]);
        loaded.expect("loaded");
        let (root, name) = (Root::at(dir.path()), MachineName::new("p1").expect("valid"));
        let hostname = |path: &str, text: &str| {
            let path = dir.path().join(path);
            load_with(&root, &name, &path, text).map(|definition| definition.settings.exec.hostname)
        };
        let drop_in = |name: &str| format!("etc/containerctl/p1.conf.d/{name}.conf");
        let text = "[Exec]\nHostname=b\n";
        assert_eq!(hostname("etc/containerctl/p1.conf", text).expect("loaded").as_deref(), Some("c"));
        assert_eq!(hostname(&drop_in("10"), text).expect("loaded").as_deref(), Some("c"));
        assert_eq!(hostname(&drop_in("50"), text).expect("loaded").as_deref(), Some("b"));
        assert_eq!(hostname(&drop_in("60"), text).expect("loaded").as_deref(), Some("b"));
        assert!(hostname(&drop_in("60"), "[Exec]\nBoot=perhaps\n").is_err());
    }

    #[test]
    fn a_wrong_value_is_an_error_where_it_stands() {
        let text = "[Exec]\nEnvironment=A=b \\\n  C D=e\n";
        let (_dir, loaded) = load_text(&[("etc/containerctl/p1.conf", text)]);
        let error = loaded.expect_err("refused");
        assert_eq!(error.kind(), Kind::Config);
        let expected = "/etc/containerctl/p1.conf:3:3: Environment=: 'C' is not NAME=VALUE";
        assert!(error.message().ends_with(expected), "{error}");
    }
}
