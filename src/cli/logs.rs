//! `containerctl logs`.

use std::os::unix::process::CommandExt;
use std::process::Command;

use super::Target;
use crate::error::{Cause, Error, Kind, Result};
use crate::machine::Host;
use crate::machine::inspect::logs::{Since, Source};

/// Show the log of a container by journalctl(1)
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    machine: Target,
    /// Continue with new entries
    #[arg(short, long)]
    follow: bool,
    /// Show only the last LINES
    #[arg(short = 'n', long, value_name = "LINES")]
    lines: Option<u32>,
    /// Show only entries since the last start
    #[arg(short, long)]
    boot: bool,
    /// Show only the console
    #[arg(long, conflicts_with = "guest")]
    console: bool,
    /// Show the journal kept inside the container
    #[arg(long)]
    guest: bool,
    /// Additional options of journalctl
    #[arg(last = true, value_name = "OPTION")]
    options: Vec<String>,
}

pub fn run(host: &Host, args: &Args) -> Result<()> {
    let source = match (args.console, args.guest) {
        (true, _) => Source::Console,
        (_, true) => Source::Guest,
        _ => Source::All,
    };
    let since = if args.boot { Since::Start } else { Since::Ever };
    let mut arguments = args.machine.of(host)?.journal_arguments(source, since)?;
    arguments.extend(args.follow.then(|| "--follow".to_string()));
    arguments.extend(args.lines.map(|lines| format!("--lines={lines}")));
    arguments.extend_from_slice(&args.options);
    // From here on it is journalctl: its pager, its escapes, its exit status.
    let error = Command::new("journalctl").args(&arguments).exec();
    Err(Error::new(Kind::Unsupported, format!("failed to run 'journalctl': {}", error.cause())))
}
