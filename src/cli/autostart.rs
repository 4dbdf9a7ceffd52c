//! `containerctl autostart`.

use std::time::Duration;

use super::output::{self, Format};
use crate::error::Result;
use crate::machine::Host;
use crate::machine::lifecycle::autostart::Entry;

/// Containers that start at boot
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// List the containers that start at boot in their order
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

pub fn run(host: &Host, verb: &Verb) -> Result<()> {
    let Verb::List { json } = verb;
    let entries = host.autostart()?;
    match Format::new(*json) {
        Format::Json => output::print_json(&entries),
        Format::Table => {
            let head = ["NAME", "PRIORITY", "DELAY", "GROUPS"];
            output::print(&output::table(head, entries.into_iter().map(row)))
        }
    }
}

fn row(entry: Entry) -> [String; 4] {
    let delay = Duration::from_micros(entry.delay_usec);
    let delay = (!delay.is_zero()).then(|| format!("{}s", delay.as_secs_f64()));
    [entry.name, entry.priority.to_string(), output::or_dash(delay), output::list(&entry.groups)]
}
