//! `containerctl info`.

use super::Target;
use super::output::{self, Format};
use crate::config::tty;
use crate::error::Result;
use crate::machine::Host;
use crate::machine::change::limits::Limit;
use crate::machine::inspect::info::{Info, Users};

/// Show the properties of a container
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    machine: Target,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(host: &Host, args: &Args) -> Result<()> {
    let info = args.machine.of(host)?.info()?;
    match Format::new(args.json) {
        Format::Json => output::print_json(&info),
        Format::Table => output::print(&text(info)),
    }
}

fn text(info: Info) -> String {
    let some = |value: Option<String>| value.unwrap_or_default();
    let used = |count: Option<u64>| some(count.map(|count| output::bytes(Some(count))));
    let lines = |lines: Vec<String>| lines.join(", ");
    output::fields(&[
        ("Name", info.name),
        ("State", info.state.to_string()),
        ("Problem", some(info.problem)),
        ("Status", some(info.status)),
        ("Autostart", output::yes_no(info.autostart)),
        ("Leader", some(info.leader.map(|pid| pid.to_string()))),
        ("Uptime", some(info.uptime_seconds.map(output::duration))),
        ("Terminals", some(info.ttys.filter(|count| *count > 0).map(tty::names))),
        ("Addresses", lines(info.addresses.iter().map(ToString::to_string).collect())),
        ("Memory", used(info.usage.memory_bytes)),
        ("Swap", used(info.usage.swap_bytes)),
        ("CPU", some(info.usage.cpu_usec.map(output::cpu_time))),
        ("Tasks", some(info.usage.tasks.map(|count| count.to_string()))),
        ("Read", used(info.usage.io_read_bytes)),
        ("Written", used(info.usage.io_written_bytes)),
        ("Limits", lines(info.limits.iter().filter(|limit| limit.value != "infinity").map(limit).collect())),
        ("Root", some(info.root.map(|path| path.display().to_string()))),
        ("Users", users(info.private_users, info.uids)),
        ("Label", lines(info.labels.iter().map(|own| format!("{} {}", own.module, own.label)).collect())),
        ("Definition", info.definition.display().to_string()),
        ("Unit", info.unit),
        ("Slice", info.slice),
        ("Scope", info.scope),
    ])
}

fn limit(limit: &Limit) -> String {
    format!("{}={}", limit.key, limit.value)
}

/// The user namespace and its range, or that ids are the host's.
fn users(users: Option<Users>, range: Option<(u32, u32)>) -> String {
    match (users, range) {
        (Some(Users::Host), _) => "PrivateUsers=no: root inside is root on the host".to_string(),
        (Some(Users::Identity), _) => {
            "PrivateUsers=identity: a namespace with the host's own ids".to_string()
        }
        (_, Some((base, size))) => format!("{base} and {} more", size - 1),
        (_, None) => String::new(),
    }
}
