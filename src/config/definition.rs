//! A whole definition: its files read and applied to settings one after the other.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use super::fragment::{self, Assignment, Fragment};
use super::key;
use super::merge::Sources;
use super::settings::Settings;
use crate::error::Result;
use crate::name::MachineName;
use crate::paths::Root;

/// A definition without mistakes.
#[derive(Debug)]
pub struct Definition {
    /// What it says.
    pub settings: Settings,
    /// Every file read, the main one first.
    pub files: Vec<PathBuf>,
    /// What was passed over.
    pub warnings: Vec<Diagnostic>,
    places: BTreeMap<(String, String), String>,
}

/// Something that a definition's author should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The file.
    pub path: PathBuf,
    /// The line, from 1.
    pub line: usize,
    /// What is to be known.
    pub message: String,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path.display(), self.line, self.message)
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
            places: BTreeMap::new(),
        }
    }

    /// `FILE:LINE` of the last assignment of a key, for what turns out to be wrong only later. `None`: the key is
    /// not set, or was reset.
    pub fn place(&self, section: &str, key: &str) -> Option<String> {
        self.places.get(&(section.to_string(), key.to_string())).cloned()
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
        let key = (assignment.section.clone(), assignment.key.clone());
        match assignment.text.as_str() {
            "" => self.places.remove(&key),
            _ => self.places.insert(key, format!("{}:{}", path.display(), assignment.place.line)),
        };
    }

    fn warn(&mut self, path: &Path, line: usize, message: String) {
        self.warnings.push(Diagnostic { path: path.to_path_buf(), line, message });
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
