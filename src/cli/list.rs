//! `containerctl list`.

use super::output::{self, Format};
use crate::error::Result;
use crate::machine::registry::{self, Entry};
use crate::paths::Root;

/// List all containers
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(root: &Root, args: &Args) -> Result<()> {
    let entries = registry::list(root)?;
    let problems: Vec<String> = entries.iter().filter_map(|entry| entry.problem.clone()).collect();
    match Format::new(args.json) {
        Format::Json => output::print_json(&entries),
        Format::Table => {
            let head = ["NAME", "STATE", "LEADER", "UIDS", "MEMORY", "ROOT"];
            output::print(&output::table(head, entries.into_iter().map(row)))?;
            output::warn(&problems);
            Ok(())
        }
    }
}

fn row(entry: Entry) -> [String; 6] {
    [
        entry.name,
        entry.state,
        output::or_dash(entry.leader),
        output::or_dash(entry.uid_base),
        output::bytes(entry.memory_bytes),
        output::or_dash(entry.root.map(|path| path.display().to_string())),
    ]
}
