//! `containerctl info`.

use super::Machine;
use super::output::{self, Format};
use crate::error::Result;
use crate::machine::info::{self, Info};
use crate::paths::Root;

/// Show all that is known of a container
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    machine: Machine,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(root: &Root, args: &Args) -> Result<()> {
    let info = info::info(root, &args.machine.name()?)?;
    match Format::new(args.json) {
        Format::Json => output::print_json(&info),
        Format::Table => output::print(&text(info)),
    }
}

fn text(info: Info) -> String {
    let some = |value: Option<String>| value.unwrap_or_default();
    output::fields(&[
        ("Name", info.name),
        ("State", info.state),
        ("Problem", some(info.problem)),
        ("Status", some(info.status)),
        ("Autostart", some(info.autostart)),
        ("Leader", some(info.leader.map(|pid| pid.to_string()))),
        ("Uptime", some(info.uptime_seconds.map(duration))),
        ("Memory", some(info.memory_bytes.map(|count| output::bytes(Some(count))))),
        ("Tasks", some(info.tasks.map(|count| count.to_string()))),
        ("Root", some(info.root.map(|path| path.display().to_string()))),
        ("Users", some(info.uids.map(|(base, size)| format!("{base} and {} more", size - 1)))),
        ("Definition", info.definition.display().to_string()),
        ("Unit", info.unit),
        ("Slice", info.slice),
        ("Scope", info.scope),
    ])
}

/// The two largest units.
fn duration(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}min {}s", seconds % 60),
        (0, ..) => format!("{hours}h {minutes}min"),
        _ => format!("{days}d {hours}h"),
    }
}
