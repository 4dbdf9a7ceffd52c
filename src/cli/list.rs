//! `containerctl list`.

use clap::ValueEnum;

use super::output::{self, Format};
use crate::error::Result;
use crate::machine::inspect::registry::{Entry, Filter};
use crate::machine::pattern::Pattern;
use crate::machine::{Host, RunState};

/// List containers
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only containers whose name matches, such as 'web-*'
    #[arg(value_name = "PATTERN")]
    patterns: Vec<String>,
    /// Only containers in one of these states
    #[arg(long, value_name = "STATE", value_delimiter = ',')]
    state: Vec<RunState>,
    /// Only members of this group; can be repeated
    #[arg(long, value_name = "GROUP")]
    group: Vec<String>,
    /// Columns to print, separated by commas
    #[arg(long, short = 'F', value_name = "COLUMN", value_delimiter = ',', default_values_t = DEFAULT,
        hide_possible_values = true)]
    columns: Vec<Column>,
    /// Print JSON with all columns
    #[arg(long)]
    json: bool,
}

/// The columns of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Column {
    Name,
    State,
    Leader,
    Addresses,
    Users,
    Memory,
    Swap,
    Cpu,
    Tasks,
    Io,
    Autostart,
    Uptime,
    Unit,
    Root,
    /// Every one of them.
    All,
}

/// The columns of a screen.
const DEFAULT: [Column; 8] = [
    Column::Name,
    Column::State,
    Column::Addresses,
    Column::Memory,
    Column::Cpu,
    Column::Tasks,
    Column::Autostart,
    Column::Uptime,
];

impl std::fmt::Display for Column {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.to_possible_value().as_ref().map_or("", |value| value.get_name()))
    }
}

pub fn run(host: &Host, args: &Args) -> Result<()> {
    let patterns = args.patterns.iter().map(|text| Pattern::new(text)).collect::<Result<_>>()?;
    let filter = Filter { patterns, states: args.state.clone(), groups: args.group.clone() };
    let entries = host.list(&filter)?;
    match Format::new(args.json) {
        Format::Json => output::print_json(&entries),
        Format::Table => {
            output::print(&table(&chosen(&args.columns), &entries))?;
            output::warn(&entries.into_iter().filter_map(|entry| entry.problem).collect::<Vec<_>>());
            Ok(())
        }
    }
}

fn chosen(columns: &[Column]) -> Vec<Column> {
    let all = || Column::value_variants().iter().copied().filter(|column| *column != Column::All);
    columns
        .iter()
        .flat_map(|column| match column {
            Column::All => all().collect(),
            one => vec![*one],
        })
        .collect()
}

fn table(columns: &[Column], entries: &[Entry]) -> String {
    let heads: Vec<String> = columns.iter().map(|column| column.to_string().to_uppercase()).collect();
    let heads: Vec<&str> = heads.iter().map(String::as_str).collect();
    let row = |entry: &Entry| columns.iter().map(|column| cell(*column, entry)).collect();
    output::columns(&heads, entries.iter().map(row))
}

fn cell(column: Column, entry: &Entry) -> String {
    let usage = &entry.usage;
    let io = || Some(usage.io_read_bytes?.saturating_add(usage.io_written_bytes?));
    match column {
        Column::Name | Column::All => entry.name.clone(),
        Column::State => entry.state.to_string(),
        Column::Leader => output::or_dash(entry.leader),
        Column::Addresses => output::list(&entry.addresses),
        Column::Users => output::or_dash(entry.uid_base),
        Column::Memory => output::bytes(usage.memory_bytes),
        Column::Swap => output::bytes(usage.swap_bytes),
        Column::Cpu => output::or_dash(usage.cpu_usec.map(output::cpu_time)),
        Column::Tasks => output::or_dash(usage.tasks),
        Column::Io => output::bytes(io()),
        Column::Autostart => output::yes_no(entry.autostart),
        Column::Uptime => output::or_dash(entry.uptime_seconds.map(output::duration)),
        Column::Unit => entry.unit.clone(),
        Column::Root => output::or_dash(entry.root.as_ref().map(|path| path.display().to_string())),
    }
}
