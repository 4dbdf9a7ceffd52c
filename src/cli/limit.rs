//! `containerctl limit`.

use super::Target;
use super::output::{self, Format};
use crate::error::{Error, Result};
use crate::machine::Host;
use crate::machine::change::limits::{self, Lasting, Limit, Origin};
use crate::machine::operation::LIMIT;

#[derive(Debug, clap::Args)]
#[command(about = LIMIT.summary)]
pub struct Args {
    #[command(flatten)]
    machine: Target,
    #[arg(value_name = "KEY=[VALUE]", help = LIMIT.help("changes"))]
    changes: Vec<String>,
    #[arg(long, help = LIMIT.help("runtime"))]
    runtime: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(host: &Host, args: &Args) -> Result<()> {
    let name = args.machine.name()?;
    if args.changes.is_empty() {
        if args.runtime {
            return Err(Error::config("'--runtime' needs a limit to set").hint("for example MemoryMax=1G"));
        }
        return show(&host.machine(&name)?.limits()?, Format::new(args.json));
    }
    let changes = args.changes.iter().map(|text| limits::change(text)).collect::<Result<Vec<_>>>()?;
    let lasting = if args.runtime { Lasting::Runtime } else { Lasting::Persistent };
    host.machine(&name)?.set_limits(&changes, lasting)
}

fn show(limits: &[Limit], format: Format) -> Result<()> {
    let row =
        |limit: &Limit| [limit.key.clone(), limit.value.clone(), used(limit), from(limit.from).to_string()];
    match format {
        Format::Json => output::print_json(&limits),
        Format::Table => {
            output::print(&output::table(["LIMIT", "VALUE", "USED", "FROM"], limits.iter().map(row)))
        }
    }
}

fn used(limit: &Limit) -> String {
    match limit.key.as_str() {
        "CPUQuota" => output::or_dash(limit.used.map(output::cpu_time)),
        "TasksMax" => output::or_dash(limit.used),
        _ => output::bytes(limit.used),
    }
}

fn from(origin: Origin) -> &'static str {
    match origin {
        Origin::Default => "-",
        Origin::Definition => "definition",
        Origin::Set => "set",
        Origin::SetUntilBoot => "set until boot",
    }
}
