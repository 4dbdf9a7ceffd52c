//! `containerctl top`.

use std::io::{IsTerminal, stdin, stdout};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use nix::poll::{PollFd, PollFlags};

use super::output::{self, Format, Reader};
use super::terminal::RawTerminal;
use crate::cancellation::Cancellation;
use crate::error::{Context, Result};
use crate::machine::Host;
use crate::machine::inspect::activity::{Activity, Order, activities};
use crate::machine::inspect::registry::Filter;
use crate::machine::pattern::Pattern;
use crate::sys::poll::poll;

/// Show the load of running containers, updated continuously
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only containers whose name matches, such as 'web-*'
    #[arg(value_name = "PATTERN")]
    patterns: Vec<String>,
    /// Order; on a terminal also set by the keys c, m, i, t, n
    #[arg(long, short, value_enum, default_value_t = Sort::Cpu)]
    sort: Sort,
    /// Seconds between updates
    #[arg(long, short, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=3600))]
    delay: u32,
    /// Print one table after another, for a file or a pipe
    #[arg(long, short)]
    batch: bool,
    /// Print one table and exit
    #[arg(long)]
    once: bool,
    /// Print one line of JSON per update
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Sort {
    Cpu,
    Memory,
    Io,
    Tasks,
    Name,
}

impl From<Sort> for Order {
    fn from(sort: Sort) -> Order {
        match sort {
            Sort::Cpu => Order::Cpu,
            Sort::Memory => Order::Memory,
            Sort::Io => Order::Io,
            Sort::Tasks => Order::Tasks,
            Sort::Name => Order::Name,
        }
    }
}

/// Switches to the alternate screen, moves to its top and clears it.
const CLEAR: &str = "\x1b[?1049h\x1b[?25l\x1b[H\x1b[2J";
const KEYS: &str = "c cpu  m memory  i io  t tasks  n name  q quit";

pub fn run(host: &Host, args: &Args) -> Result<()> {
    let patterns = args.patterns.iter().map(|text| Pattern::new(text)).collect::<Result<_>>()?;
    let filter = Filter { patterns, ..Filter::default() };
    let cancellation = host.cancellation();
    cancellation.check()?;
    let scripted = args.batch || args.once || args.json || !stdout().is_terminal();
    let mut terminal = if scripted { None } else { RawTerminal::enter()? };
    if let Some(terminal) = &mut terminal {
        terminal.shows(CLEAR.as_bytes());
    }
    let mut order = Order::from(args.sort);
    let (mut before, mut looked) = (host.list(&filter)?, Instant::now());
    loop {
        let wait = Duration::from_secs(args.delay.into());
        match key_within(wait, terminal.is_some(), cancellation)? {
            Key::Quit => return Ok(()),
            Key::Sort(by) => order = by,
            Key::None => {}
        }
        let (after, now) = (host.list(&filter)?, Instant::now());
        let rows = activities(&before, &after, now - looked, order);
        let text = match Format::new(args.json) {
            Format::Json => output::json_line(&rows)?,
            Format::Table if terminal.is_some() => {
                format!("{CLEAR}{}\n{KEYS}\n", table(&rows)).replace('\n', "\r\n")
            }
            Format::Table => table(&rows) + if args.once { "" } else { "\n" },
        };
        if output::offer(&text)? == Reader::Gone || args.once {
            return Ok(());
        }
        // A key is answered at once, with the rates since the last whole interval.
        if now - looked >= wait {
            (before, looked) = (after, now);
        }
    }
}

/// The meaning of a key.
enum Key {
    None,
    Sort(Order),
    Quit,
}

/// Waits for a key or for the time to run out.
fn key_within(wait: Duration, keys: bool, cancellation: &Cancellation) -> Result<Key> {
    let stdin = stdin();
    let mut fds: Vec<PollFd> =
        cancellation.fd()?.into_iter().map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
    if keys {
        fds.push(PollFd::new(stdin.as_fd(), PollFlags::POLLIN));
    }
    if poll(&mut fds, Some(wait)).context(|| "failed to wait for a key")? == 0 {
        return Ok(Key::None);
    }
    if cancellation.check().is_err() {
        return Ok(Key::Quit);
    }
    let mut byte = [0; 1];
    let read = rustix::io::read(&stdin, &mut byte).context(|| "failed to read a key")?;
    Ok(match (read, byte[0]) {
        (0, _) | (_, b'q' | 0x03) => Key::Quit,
        (_, b'c') => Key::Sort(Order::Cpu),
        (_, b'm') => Key::Sort(Order::Memory),
        (_, b'i') => Key::Sort(Order::Io),
        (_, b't') => Key::Sort(Order::Tasks),
        (_, b'n') => Key::Sort(Order::Name),
        _ => Key::None,
    })
}

fn table(rows: &[Activity]) -> String {
    let row = |load: &Activity| {
        [
            load.name.clone(),
            output::or_dash(load.cpu_percent.map(|percent| format!("{percent:.1}"))),
            output::bytes(load.memory_bytes),
            output::or_dash(load.tasks),
            output::bytes(load.io_bytes_per_second),
        ]
    };
    output::table(["NAME", "CPU%", "MEMORY", "TASKS", "IO/S"], rows.iter().map(row))
}
