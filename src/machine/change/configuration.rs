//! A container's definition, read and changed key by key.
//!
//! Changes are made to the administrator's file: `/etc/containerctl/NAME.conf`, or a drop-in where the main file is
//! somebody else's. A change is tried on the whole definition before it is written.

use std::fs::File;
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use serde::Serialize;

use crate::config::key::{self, Effect};
use crate::config::{self, Assigned, Definition, edit};
use crate::error::{Context, Error, Kind, Result};
use crate::image::defaults;
use crate::machine::Machine;
use crate::paths::Root;
use crate::replace::replace_definition;
use crate::sandbox::seccomp;

/// The administrator's drop-in, where the main file is somebody else's.
const DROP_IN: &str = "50-config.conf";

/// A key of a definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The section of the key.
    pub section: String,
    /// The name of the key.
    pub name: String,
}

impl Key {
    /// Reads `KEY` or `SECTION.KEY`.
    pub fn new(text: &str) -> Result<Key> {
        let unknown = || {
            Error::config(format!("there is no key '{}'", text.escape_debug()))
                .hint("containerctl.conf(5) lists them")
        };
        let key = |section: &str, name: &str| Key { section: section.to_string(), name: name.to_string() };
        if let Some((section, name)) = text.rsplit_once('.') {
            return key::trust(section, name).map(|_| key(section, name)).ok_or_else(unknown);
        }
        match key::sections_of(text)[..] {
            [] => Err(unknown()),
            [section] => Ok(key(section, text)),
            [section, ..] => Err(Error::config(format!("'{text}' stands in more than one section"))
                .hint(format!("say which, as in '{section}.{text}'"))),
        }
    }

    fn is(&self, one: &Assigned) -> bool {
        one.section == self.section && one.key == self.name
    }
}

/// A change of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// `KEY=VALUE`: this value alone; an empty one takes back the values of weaker files, too.
    Set(Key, String),
    /// `KEY+=VALUE`: one more.
    Add(Key, String),
    /// No longer assigned.
    Unset(Key),
}

impl Change {
    /// Reads `KEY=VALUE` and `KEY+=VALUE`, and checks the value.
    pub fn new(text: &str) -> Result<Change> {
        let Some((key, value)) = text.split_once('=') else {
            return Err(Error::config(format!("'{}' is not KEY=VALUE", text.escape_debug()))
                .hint("for example Hostname=web, or Bind+=/srv for one more"));
        };
        let value = value.trim();
        let (name, adds) = key.strip_suffix('+').map_or((key, false), |name| (name, true));
        let key = Key::new(name.trim())?;
        if let Err(wrong) = key::check(&key.section, &key.name, value) {
            return Err(Error::config(format!("{}=: {}", key.name, wrong.why))
                .hint("containerctl.conf(5) says what it takes"));
        }
        Ok(if adds { Change::Add(key, value.to_string()) } else { Change::Set(key, value.to_string()) })
    }

    fn key(&self) -> &Key {
        match self {
            Change::Set(key, _) | Change::Add(key, _) | Change::Unset(key) => key,
        }
    }

    fn apply(&self, text: &str) -> Result<String> {
        let Key { section, name } = self.key();
        match self {
            Change::Set(_, value) => edit::set(text, section, name, value),
            Change::Add(_, value) => edit::add(text, section, name, value),
            Change::Unset(_) => edit::unset(text, section, name),
        }
    }

    /// Fails if a stronger file overrides the change.
    fn refuse_overruled(&self, path: &Path, after: &Definition) -> Result<()> {
        let counts = || after.assigned().iter().filter(|one| self.key().is(one));
        let other = match self {
            Change::Set(_, value) if value.is_empty() => counts().next(),
            Change::Unset(_) => counts().next(),
            Change::Set(..) | Change::Add(..) if counts().any(|one| one.file == path) => None,
            Change::Set(..) | Change::Add(..) => counts().next(),
        };
        let Some(other) = other else { return Ok(()) };
        let (name, file) = (&self.key().name, other.file.display());
        Err(Error::new(Kind::Busy, format!("'{name}=' is set in '{file}', line {}", other.line)).hint(
            match self {
                Change::Unset(_) => format!("change it there, or take it back with 'config set … {name}='"),
                _ => "change it there, it wins".to_string(),
            },
        ))
    }
}

impl Machine {
    /// Every assignment that counts, with its place; those of the image as well.
    pub fn assignments(&self) -> Result<Vec<Assigned>> {
        Ok(defaults::load(self.root(), &self.name)?.assigned().to_vec())
    }

    /// The values of a key; a list has many. Fails with kind `NotFound` where it is not set.
    pub fn values(&self, key: &Key) -> Result<Vec<String>> {
        let values = self.assignments()?.into_iter().filter(|one| key.is(one)).map(|one| one.value);
        match values.collect::<Vec<_>>() {
            values if values.is_empty() => {
                Err(Error::new(Kind::NotFound, format!("'{}=' is not set for '{}'", key.name, self.name))
                    .hint("containerctl.conf(5) says what holds then"))
            }
            values => Ok(values),
        }
    }

    /// Makes all changes of the definition, or none.
    pub fn change(&self, changes: &[Change]) -> Result<Outcome> {
        let _lock = lock(self.root())?;
        let draft = self.draft()?;
        let text = changes.iter().try_fold(draft.text.clone(), |text, change| change.apply(&text))?;
        let after = draft.check(self, &text)?;
        changes.iter().try_for_each(|change| change.refuse_overruled(&draft.path, &after))?;
        draft.write(self, &text, &after)
    }

    /// Reads the administrator's file of the definition.
    pub fn draft(&self) -> Result<Draft> {
        let main = self.require()?;
        let own = self.root().definition(&self.name);
        let path = if main == own { own } else { own.with_extension("conf.d").join(DROP_IN) };
        let text = match config::read_text(&path) {
            Err(error) if error.kind() == Kind::NotFound => String::new(),
            text => text?,
        };
        Ok(Draft { path, text })
    }
}

/// The administrator's file, to be changed as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// The file; it need not be there yet.
    pub path: PathBuf,
    /// The content of the file.
    pub text: String,
}

impl Draft {
    /// The definition as it would be with `text` in the file's place. Errors are `Config`, with file, line and column.
    pub fn check(&self, machine: &Machine, text: &str) -> Result<Definition> {
        let after = config::load_with(machine.root(), &machine.name, &self.path, text)?;
        for one in after.assigned() {
            if let Err(wrong) = key::check(&one.section, &one.key, &one.value) {
                let (file, line) = (one.file.display(), one.line);
                return Err(Error::config(format!("{file}:{line}: {}=: {}", one.key, wrong.why)));
            }
        }
        seccomp::check_rules(&after)?;
        Ok(after)
    }

    /// Writes `text`, which was checked, unless the file was changed meanwhile.
    pub fn replace(self, machine: &Machine, text: &str) -> Result<Outcome> {
        let _lock = lock(machine.root())?;
        let after = self.check(machine, text)?;
        if machine.draft()? != self {
            return Err(Error::new(Kind::Busy, format!("'{}' was changed meanwhile", self.path.display()))
                .hint("nothing was written, begin again"));
        }
        self.write(machine, text, &after)
    }

    fn write(self, machine: &Machine, text: &str, after: &Definition) -> Result<Outcome> {
        // Read under the lock: the machine's own may be older.
        let before = config::load(machine.root(), &machine.name);
        let before = before.map(|definition| definition.assigned().to_vec()).unwrap_or_default();
        let changed = changed(&before, after.assigned());
        let mut warnings: Vec<String> = after.warnings.iter().map(ToString::to_string).collect();
        warnings.extend(changed.iter().filter_map(|change| overruled(machine, change)));
        if text != self.text {
            replace_definition(&self.path, text)?;
            let limited = changed.iter().any(|change| change.section == "Resources");
            let reloaded = if limited { machine.reload_limits() } else { machine.host().reload() };
            warnings.extend(reloaded.err().map(|error| error.to_string()));
        }
        let runs = !machine.state()?.is_down();
        Ok(Outcome { file: self.path, changed, runs, warnings })
    }
}

/// The result of a change.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// The file that was written.
    pub file: PathBuf,
    /// The keys with other values than before.
    pub changed: Vec<Changed>,
    /// Whether the container runs, so that a change may take effect later.
    pub runs: bool,
    /// Warnings.
    pub warnings: Vec<String>,
}

/// A key with another value than before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Changed {
    /// The section of the key.
    pub section: String,
    /// The name of the key.
    pub key: String,
    /// The time at which that takes effect.
    pub effect: Effect,
}

fn changed(before: &[Assigned], after: &[Assigned]) -> Vec<Changed> {
    let mut changed = Vec::new();
    for one in before.iter().chain(after) {
        let values = |all: &[Assigned]| -> Vec<String> {
            let same = all.iter().filter(|other| other.section == one.section && other.key == one.key);
            same.map(|other| other.value.clone()).collect()
        };
        let effect = key::effect(&one.section, &one.key).unwrap_or(Effect::Restart);
        let change = Changed { section: one.section.clone(), key: one.key.clone(), effect };
        if values(before) != values(after) && !changed.contains(&change) {
            changed.push(change);
        }
    }
    changed
}

/// The warning that a limit was set, for which the definition does not count.
fn overruled(machine: &Machine, change: &Changed) -> Option<String> {
    let set = change.section == "Resources" && machine.has_set_limit(&change.key);
    set.then(|| {
        let (key, name) = (&change.key, &machine.name);
        format!("'{key}=' was set by 'containerctl limit' or systemctl, which wins; 'containerctl limit {name} {key}=' takes that back")
    })
}

/// Taken for every change of a definition.
fn lock(root: &Root) -> Result<Flock<File>> {
    let directory = root.path("/etc/containerctl");
    let failed = || format!("failed to lock '{}'", directory.display());
    std::fs::create_dir_all(&directory).context(failed)?;
    let file = File::open(&directory).context(failed)?;
    Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| errno).context(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Host;
    use crate::name::MachineName;
    use std::fs;

    /// A host with one machine, whose files these are.
    fn host(files: &[(&str, &str)]) -> (tempfile::TempDir, Root, MachineName) {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let root = Root::at(dir.path());
        (dir, root, MachineName::new("p1").unwrap())
    }

    fn set(root: &Root, name: &MachineName, changes: &[&str]) -> Result<Outcome> {
        let changes = changes.iter().map(|text| Change::new(text)).collect::<Result<Vec<_>>>()?;
        change(root, name, &changes)
    }

    fn change(root: &Root, name: &MachineName, changes: &[Change]) -> Result<Outcome> {
        Host::new(root.clone()).machine(name)?.change(changes)
    }

    fn get(root: &Root, name: &MachineName, key: &Key) -> Result<Vec<String>> {
        Host::new(root.clone()).machine(name)?.values(key)
    }

    #[test]
    fn a_change_keeps_the_rest_and_says_when_it_takes_effect() {
        let text = "# mine\n[Exec]\n# why\nHostname=a\n";
        let (_dir, root, name) = host(&[("etc/containerctl/p1.conf", text)]);
        let outcome = set(&root, &name, &["Hostname=b", "MemoryMax=1G", "BufferSize=8K"]).unwrap();
        let effects: Vec<_> = outcome.changed.iter().map(|one| (&one.key[..], one.effect)).collect();
        assert_eq!(
            effects,
            [("Hostname", Effect::Restart), ("MemoryMax", Effect::Live), ("BufferSize", Effect::Reload)]
        );
        let text = fs::read_to_string(root.definition(&name)).unwrap();
        assert!(text.starts_with("# mine\n[Exec]\n# why\nHostname=b\n"), "{text}");
        assert_eq!(get(&root, &name, &Key::new("Exec.Hostname").unwrap()).unwrap(), ["b"]);
        assert!(set(&root, &name, &["Hostname=b"]).unwrap().changed.is_empty());
    }

    #[test]
    fn lists_are_replaced_grown_and_taken_back() {
        let (_dir, root, name) = host(&[("etc/containerctl/p1.conf", "[Files]\nBind=/a\nBind=/b\n")]);
        let bind = Key::new("Bind").unwrap();
        set(&root, &name, &["Bind+=/c"]).unwrap();
        assert_eq!(get(&root, &name, &bind).unwrap(), ["/a", "/b", "/c"]);
        set(&root, &name, &["Bind=/d", "Bind+=/e"]).unwrap();
        assert_eq!(get(&root, &name, &bind).unwrap(), ["/d", "/e"]);
        change(&root, &name, &[Change::Unset(bind.clone())]).unwrap();
        assert_eq!(get(&root, &name, &bind).unwrap_err().kind(), Kind::NotFound);
    }

    #[test]
    fn what_is_wrong_changes_nothing() {
        let text = "[Exec]\nHostname=a\n";
        let (_dir, root, name) = host(&[("etc/containerctl/p1.conf", text)]);
        for (wrong, words) in [
            ("Boot=perhaps", "Boot=: 'perhaps' is neither"),
            ("Nonsense=1", "there is no key 'Nonsense'"),
            ("Files.Boot=no", "there is no key 'Files.Boot'"),
            ("Hostname", "is not KEY=VALUE"),
            ("MemoryMax=lots", "MemoryMax=: 'lots' is not a size"),
            ("SystemCallFilter=nonsense", "nonsense"),
            ("Parameters=a\nBoot=no", "is not a value"),
        ] {
            let error = set(&root, &name, &["NotifyReady=yes", wrong]).unwrap_err();
            assert_eq!(error.kind(), Kind::Config, "{error}");
            assert!(error.to_string().contains(words), "{error}");
        }
        assert_eq!(fs::read_to_string(root.definition(&name)).unwrap(), text);
    }

    #[test]
    fn somebody_elses_files_are_left_alone() {
        let (_dir, root, name) = host(&[
            ("usr/lib/containerctl/p1.conf", "[Exec]\nHostname=a\nMachineID=\n"),
            ("run/containerctl/p1.conf.d/90.conf", "[Exec]\nBoot=no\n"),
        ]);
        set(&root, &name, &["Hostname=b"]).unwrap();
        let drop_in = root.path("/etc/containerctl/p1.conf.d/50-config.conf");
        assert_eq!(fs::read_to_string(&drop_in).unwrap(), "[Exec]\nHostname=b\n");
        let error = set(&root, &name, &["Boot=yes"]).unwrap_err();
        assert!(error.to_string().contains("90.conf', line 2; change it there"), "{error}");
        let unset = |key: &str| change(&root, &name, &[Change::Unset(Key::new(key).unwrap())]);
        assert!(unset("Hostname").unwrap_err().to_string().contains("p1.conf', line 2"));
        set(&root, &name, &["Hostname="]).unwrap();
        let error = get(&root, &name, &Key::new("Hostname").unwrap()).unwrap_err();
        assert_eq!(error.kind(), Kind::NotFound);
        assert!(unset("MachineID").unwrap().changed.is_empty());
    }

    #[test]
    fn a_draft_is_not_written_over_what_another_wrote() {
        let (_dir, root, name) = host(&[("etc/containerctl/p1.conf", "[Exec]\n")]);
        let machine = Host::new(root.clone()).machine(&name).unwrap();
        let draft = machine.draft().unwrap();
        set(&root, &name, &["Hostname=b"]).unwrap();
        let error = draft.clone().replace(&machine, "[Exec]\nBoot=no\n").unwrap_err();
        assert_eq!(error.kind(), Kind::Busy);
        let error = draft.check(&machine, "[Exec]\nBoot=perhaps\n").unwrap_err();
        assert!(error.message().contains("p1.conf:2:6: Boot=: 'perhaps'"), "{error}");
    }

    #[test]
    fn many_changes_at_once_are_all_made() {
        let (_dir, root, name) = host(&[("etc/containerctl/p1.conf", "")]);
        std::thread::scope(|scope| {
            for i in 0..20 {
                let (root, name) = (&root, &name);
                scope.spawn(move || set(root, name, &[&format!("Environment+=V{i}=1")]).unwrap());
            }
        });
        assert_eq!(get(&root, &name, &Key::new("Environment").unwrap()).unwrap().len(), 20);
    }
}
