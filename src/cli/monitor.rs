//! `containerctl monitor`.

use std::io::{ErrorKind, Write, stdout};

use crate::error::{Context, Result};
use crate::machine::Host;
use crate::machine::inspect::events::Event;
use crate::machine::pattern::Pattern;
use crate::name::MachineName;

/// Print a line whenever the state of a container changes, until interrupted
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only containers whose name matches, such as 'web-*'
    #[arg(value_name = "PATTERN")]
    patterns: Vec<String>,
    /// Print a JSON object per line
    #[arg(long)]
    json: bool,
}

pub fn run(host: &Host, args: &Args) -> Result<()> {
    let patterns: Vec<Pattern> =
        args.patterns.iter().map(|text| Pattern::new(text)).collect::<Result<_>>()?;
    let wants = move |name: &MachineName| patterns.is_empty() || patterns.iter().any(|one| one.matches(name));
    host.monitor(wants, |event| print(event, args.json))
}

/// False once nobody reads any more.
fn print(event: &Event, json: bool) -> Result<bool> {
    let failed = || "failed to write to standard output";
    let line = match json {
        true => serde_json::to_string(event).map_err(std::io::Error::from).context(failed)?,
        false => format!("{} {} -> {}", event.name, event.previous, event.state),
    };
    match writeln!(stdout(), "{line}").and_then(|()| stdout().flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        result => result.context(failed).map(|()| true),
    }
}
