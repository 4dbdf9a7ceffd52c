//! All terminals of a container. Where a terminal is named, none is the console.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

use crate::config::tty::Tty;
use crate::error::{Context, Result};
use crate::supervisor::console::terminal::Terminal;
use crate::sys::tty;
use crate::systemd::journal::Journal;

/// The console's terminal and the others.
pub struct Terminals {
    console: Terminal,
    ttys: BTreeMap<Tty, Terminal>,
}

impl Terminals {
    /// Takes both ends of the console's terminal, and the masters of the others, which the kernel numbers. A container is
    /// watched over without one that cannot be taken.
    pub fn new(console: OwnedFd, peer: OwnedFd, ttys: Vec<OwnedFd>, journal: &Journal) -> Result<Terminals> {
        let console = Terminal::new(console, peer).context(|| "failed to take the console")?;
        let taken = ttys.into_iter().map(by_number);
        let ttys = taken.filter_map(|taken| {
            taken.inspect_err(|error| journal.warning(&format!("{error}, ignoring"))).ok().flatten()
        });
        Ok(Terminals { console, ttys: ttys.collect() })
    }

    /// The highest number there is, which is how many there are beside the console; 0 is none.
    pub fn ttys(&self) -> u8 {
        self.ttys.last_key_value().map_or(0, |(tty, _)| tty.number())
    }

    /// Both ends of the console's terminal, and the masters of the others, for a successor.
    pub fn into_parts(self) -> (OwnedFd, OwnedFd, Vec<OwnedFd>) {
        let (console, peer) = self.console.into_parts();
        (console, peer, self.ttys.into_values().map(|terminal| terminal.into_parts().0).collect())
    }

    /// One of them, if there is that one.
    pub fn get_mut(&mut self, tty: Option<Tty>) -> Option<&mut Terminal> {
        match tty {
            None => Some(&mut self.console),
            Some(tty) => self.ttys.get_mut(&tty),
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (Option<Tty>, &Terminal)> {
        [(None, &self.console)]
            .into_iter()
            .chain(self.ttys.iter().map(|(tty, terminal)| (Some(*tty), terminal)))
    }
}

/// The terminal behind a master, by its number in the container's devpts; `None` where that is no terminal of ours.
fn by_number(master: OwnedFd) -> Result<Option<(Tty, Terminal)>> {
    let failed = || "failed to take a terminal";
    let number = tty::number(&master).context(failed)?;
    let Some(tty) = u8::try_from(number).ok().and_then(Tty::new) else { return Ok(None) };
    let peer = tty::peer(&master).context(failed)?;
    Ok(Some((tty, Terminal::new(master, peer).context(failed)?)))
}
