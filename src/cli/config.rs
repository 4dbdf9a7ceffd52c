//! `containerctl config`: the definition, key by key or in an editor.

use std::fs::{self, OpenOptions};
use std::io::{IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::output::{self, Format};
use super::{Target, require_root};
use crate::config::Assigned;
use crate::config::key::Effect;
use crate::error::{Context, Error, Kind, Result};
use crate::machine::change::configuration::{Change, Key, Outcome};
use crate::machine::{Host, Machine};
use crate::name::MachineName;

/// Look at a container's definition, or change it
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Print the values of a key, one per line
    Get {
        #[command(flatten)]
        machine: Target,
        /// Key of containerctl.conf(5), or SECTION.KEY
        #[arg(value_name = "KEY")]
        key: String,
    },
    /// Change keys atomically and report when the changes take effect
    Set {
        #[command(flatten)]
        machine: Target,
        /// Set the only value of a key, add one with +=, or reset the key with an empty value
        #[arg(value_name = "KEY=VALUE", required = true)]
        changes: Vec<String>,
    },
    /// Remove keys from the definition
    Unset {
        #[command(flatten)]
        machine: Target,
        /// Key of containerctl.conf(5), or SECTION.KEY
        #[arg(value_name = "KEY", required = true)]
        keys: Vec<String>,
    },
    /// Edit the definition in $VISUAL or $EDITOR; an invalid definition is not written
    Edit {
        #[command(flatten)]
        machine: Target,
    },
    /// Show all settings with file and line
    Show {
        #[command(flatten)]
        machine: Target,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

pub fn run(host: &Host, verb: &Verb) -> Result<()> {
    match verb {
        Verb::Get { machine, key } => {
            let values = machine.of(host)?.values(&Key::new(key)?)?;
            output::print(
                &values.iter().map(|value| format!("{}\n", output::escape(value))).collect::<String>(),
            )
        }
        Verb::Set { machine, changes } => {
            let changes = changes.iter().map(|text| Change::new(text)).collect::<Result<Vec<_>>>()?;
            change(host, machine, &changes)
        }
        Verb::Unset { machine, keys } => {
            let changes =
                keys.iter().map(|text| Key::new(text).map(Change::Unset)).collect::<Result<Vec<_>>>()?;
            change(host, machine, &changes)
        }
        Verb::Edit { machine } => edit(host, machine),
        Verb::Show { machine, json } => show(&machine.of(host)?.assignments()?, Format::new(*json)),
    }
}

fn show(assigned: &[Assigned], format: Format) -> Result<()> {
    let row = |one: &Assigned| {
        let place = format!("{}:{}", one.file.display(), one.line);
        [format!("[{}]", one.section), one.key.clone(), one.value.clone(), place]
    };
    match format {
        Format::Json => output::print_json(&assigned),
        Format::Table => {
            output::print(&output::table(["SECTION", "KEY", "VALUE", "FROM"], assigned.iter().map(row)))
        }
    }
}

fn change(host: &Host, target: &Target, changes: &[Change]) -> Result<()> {
    require_root("change a definition")?;
    let machine = target.of(host)?;
    print_effects(machine.name(), &machine.change(changes)?)
}

/// Prints when each change takes effect.
fn print_effects(name: &MachineName, outcome: &Outcome) -> Result<()> {
    output::warn(&outcome.warnings);
    let mut text = String::new();
    for one in &outcome.changed {
        let when = match (one.effect, outcome.runs) {
            (Effect::Live, _) => "is in effect".to_string(),
            (_, false) => format!("takes effect when '{name}' is started"),
            (Effect::Reload, true) => format!("takes effect by 'systemctl reload container@{name}'"),
            (Effect::Restart, true) => format!("takes effect when '{name}' is restarted"),
        };
        text.push_str(&format!("{}= {when}\n", one.key));
    }
    output::print(if text.is_empty() { "nothing changed\n" } else { &text })
}

/// A copy is edited, checked, and only then written; on a terminal as often as it takes.
fn edit(host: &Host, target: &Target) -> Result<()> {
    require_root("change a definition")?;
    let machine = target.of(host)?;
    let draft = machine.draft()?;
    let copy = Copy::new(&machine, host, &draft.text)?;
    loop {
        run_editor(&copy.0)?;
        let text = crate::config::read_text(&copy.0);
        match text.and_then(|text| draft.check(&machine, &text).map(|_| text)) {
            Ok(text) => return print_effects(machine.name(), &draft.replace(&machine, &text)?),
            Err(error) if again(&error)? => {}
            Err(error) => return Err(error.hint("nothing was changed")),
        }
    }
}

/// Whether the mistake is to be mended now.
fn again(error: &Error) -> Result<bool> {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Ok(false);
    }
    eprint!("containerctl: {}\nEdit it again? [Y/n] ", output::escape(&error.to_string()));
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer).context(|| "failed to read the answer")?;
    Ok(read > 0 && !answer.trim().to_lowercase().starts_with('n'))
}

/// The text as a file of ours, removed at the end.
struct Copy(PathBuf);

impl Copy {
    fn new(machine: &Machine, host: &Host, text: &str) -> Result<Copy> {
        let root = host.root();
        let path = root.runtime().join(format!(".edit-{}-{}.conf", std::process::id(), machine.name()));
        let failed = || format!("failed to write '{}'", path.display());
        fs::create_dir_all(root.runtime()).context(failed)?;
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).context(failed)?;
        // From here on it is removed.
        let copy = Copy(path.clone());
        (&file).write_all(text.as_bytes()).context(failed)?;
        Ok(copy)
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// The user's editor, by the shell, as it may have arguments; without one, what the host has.
fn run_editor(file: &Path) -> Result<()> {
    let set = ["VISUAL", "EDITOR"].into_iter().filter_map(std::env::var_os).find(|editor| !editor.is_empty());
    let set = set.map(|editor| vec![editor.to_string_lossy().into_owned()]);
    let candidates = set.unwrap_or_else(|| ["editor", "nano", "vi"].map(str::to_string).to_vec());
    for text in &candidates {
        let program = text.split_whitespace().next().unwrap_or_default();
        let command = format!("command -v {program} >/dev/null || exit 127; exec {text} \"$@\"");
        let run = Command::new("/bin/sh").arg("-c").arg(command).arg("editor").arg(file).status();
        match run.context(|| "failed to run '/bin/sh'")?.code() {
            Some(0) => return Ok(()),
            // The shell's word for a program that is not there.
            Some(127) => {}
            _ => {
                let failed = Error::failed(format!("the editor '{text}' failed"));
                return Err(failed.hint("nothing was changed"));
            }
        }
    }
    Err(Error::new(Kind::NotFound, format!("there is no editor '{}'", candidates.join("', '")))
        .hint("set EDITOR, or use 'containerctl config set'"))
}
