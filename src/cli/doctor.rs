//! `containerctl doctor`.

use std::process::ExitCode;

use serde::Serialize;

use super::output::{self, Format};
use crate::error::Result;
use crate::machine::Host;
use crate::machine::host::settings::{self, Setting, Wanted};
use crate::name::MachineName;

/// Show settings of this host that cause problems and how to change them; exits with 1 if there are any
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Also show settings that cause no problem
    #[arg(long)]
    all: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(host: &Host, args: &Args) -> Result<ExitCode> {
    let settings = host.settings();
    let hurts = settings.iter().any(|one| one.hurts);
    let shown: Vec<&Setting> = settings.iter().filter(|one| one.hurts || args.all).collect();
    let privileged = host.privileged();
    match Format::new(args.json) {
        Format::Json => output::print_json(&entries(&shown, &privileged))?,
        Format::Table if shown.is_empty() && privileged.is_empty() => output::print("nothing hurts\n")?,
        Format::Table => {
            let head = ["SETTING", "VALUE", "WANTED", "WHY"];
            let rows = shown.iter().map(|one| row(one)).chain(privileged.iter().map(privileged_row));
            output::print(&format!("{}{}", output::table(head, rows), advice(&settings)))?;
        }
    }
    Ok(if hurts { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// A line of the JSON.
#[derive(Serialize)]
#[serde(untagged)]
enum Entry<'a> {
    /// A setting of the host.
    Setting(&'a Setting),
    /// A container that can become root of the host.
    Container { container: String, why: &'static str, hurts: bool },
}

/// A container's line changes no exit code: its definition asks for it twice.
const PRIVILEGED: &str = "its root can become root of the host";

fn entries<'a>(settings: &[&'a Setting], privileged: &[MachineName]) -> Vec<Entry<'a>> {
    let containers = privileged.iter().map(|name| Entry::Container {
        container: name.to_string(),
        why: PRIVILEGED,
        hurts: false,
    });
    settings.iter().map(|setting| Entry::Setting(setting)).chain(containers).collect()
}

fn privileged_row(name: &MachineName) -> [String; 4] {
    [format!("PrivateUsers= of {name}"), "no".to_string(), "pick".to_string(), PRIVILEGED.to_string()]
}

fn row(setting: &Setting) -> [String; 4] {
    let wanted = match setting.wanted {
        Wanted::AtLeast(least) => format!("{least} or more"),
        Wanted::Exactly(one) => one.to_string(),
    };
    let mark = if setting.hurts { "" } else { "ok: " };
    [setting.name.to_string(), output::or_dash(setting.value), wanted, format!("{mark}{}", setting.why)]
}

/// Lines to write and the files to write them to; nothing is changed by us.
fn advice(settings: &[Setting]) -> String {
    let mut text = String::new();
    for (file, head, then) in [
        (settings::SYSCTL_FILE, "", "sysctl --system"),
        (settings::MANAGER_FILE, "[Manager]\n", "systemctl daemon-reexec"),
    ] {
        let lines = settings.iter().filter(|one| one.hurts && one.file == file);
        let lines: String = lines.map(|one| format!("{}\n", one.line)).collect();
        if !lines.is_empty() {
            text.push_str(&format!("\nWrite to {file}, and run '{then}':\n\n{head}{lines}"));
        }
    }
    text
}
