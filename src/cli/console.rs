//! `containerctl console`: a terminal on the container's console or another of its terminals, through its supervisor.
//!
//! Bytes pass as they are in both directions; Ctrl-a q detaches. A supervisor that is restarted meanwhile is
//! waited for, as the container goes on.

use std::io::{Write, stdin, stdout};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use super::Target;
use super::scrollback;
use super::terminal::RawTerminal;
use crate::config::tty::{self, Tty};
use crate::error::{Context, Result};
use crate::machine::enter::console::{CHUNK, Console, Output};
use crate::machine::inspect::scrollback::Scrollback;
use crate::machine::{Host, Machine};
use crate::name::MachineName;
use crate::sys::poll::{happened, poll};
use crate::sys::tty::{WindowSize, window_size};

/// Attach to the console; Ctrl-a q detaches
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    machine: Target,
    /// Print the scrollback and exit
    #[arg(long)]
    log: bool,
    /// Empty the scrollback and exit; with --log after printing it
    #[arg(long)]
    clear: bool,
    /// Attach to this additional terminal (Ttys= of the definition)
    #[arg(long, value_name = "N", conflicts_with_all = ["log", "clear"],
          value_parser = clap::value_parser!(u8).range(1..=i64::from(tty::MOST)))]
    tty: Option<u8>,
}

impl Args {
    fn scrollback(&self) -> Option<Scrollback> {
        match (self.log, self.clear) {
            (false, false) => None,
            (true, false) => Some(Scrollback::Show),
            (false, true) => Some(Scrollback::Clear),
            (true, true) => Some(Scrollback::Take),
        }
    }
}

/// Time for which a restarting supervisor is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// Silence after which input that has ended ends us too.
const SILENCE: Duration = Duration::from_millis(200);

pub fn run(host: &Host, args: &Args) -> Result<()> {
    super::require_root("attach to a console")?;
    let machine = args.machine.of(host)?;
    let tty = args.tty.and_then(Tty::new);
    if let Some(wanted) = args.scrollback() {
        return scrollback::print(&machine.scrollback(wanted)?);
    }
    let console = machine.console(tty)?;
    let mut raw = RawTerminal::enter()?;
    if raw.is_some() {
        eprint!("{}\r\n", welcome(machine.name(), tty));
    }
    let mut session = Session::new(&machine, tty, console)?;
    let end = session.run(raw.as_mut());
    if raw.take().is_some() {
        eprintln!();
    }
    match end? {
        End::Detached => Ok(()),
        End::Ended => {
            eprintln!("Container '{}' has ended.", machine.name());
            Ok(())
        }
    }
}

/// The first line. Output of a terminal beside the console is not recorded, so that its prompt is not shown again.
fn welcome(name: &MachineName, tty: Option<Tty>) -> String {
    match tty {
        None => format!("Connected to container '{name}'. Press Ctrl-a q to detach."),
        Some(tty) => {
            format!("Connected to {tty} of container '{name}'. Press Enter for a prompt, Ctrl-a q to detach.")
        }
    }
}

/// The end of a session.
enum End {
    /// The user detached.
    Detached,
    /// The container ended.
    Ended,
}

/// The meaning of typed bytes.
#[derive(Debug, PartialEq, Eq)]
enum Typed {
    /// Input of the container.
    Input(Vec<u8>),
    /// Input of the container, after which the user detaches.
    Detach(Vec<u8>),
}

/// Looks for Ctrl-a q; Ctrl-a twice is one Ctrl-a, before anything else both pass.
#[derive(Default)]
struct Keys {
    escaped: bool,
}

impl Keys {
    const ESCAPE: u8 = 1;

    fn take(&mut self, bytes: &[u8]) -> Typed {
        let mut input = Vec::with_capacity(bytes.len());
        for byte in bytes {
            match (std::mem::take(&mut self.escaped), *byte) {
                (true, b'q') => return Typed::Detach(input),
                (true, Self::ESCAPE) => input.push(Self::ESCAPE),
                (true, other) => input.extend([Self::ESCAPE, other]),
                (false, Self::ESCAPE) => self.escaped = true,
                (false, other) => input.push(other),
            }
        }
        Typed::Input(input)
    }
}

/// One user on one terminal.
struct Session<'a> {
    machine: &'a Machine,
    tty: Option<Tty>,
    console: Console,
    resized: SignalFd,
    keys: Keys,
    input_open: bool,
}

impl<'a> Session<'a> {
    fn new(machine: &'a Machine, tty: Option<Tty>, console: Console) -> Result<Session<'a>> {
        let mut set = SigSet::empty();
        set.add(Signal::SIGWINCH);
        let failed = || "failed to set up signals";
        set.thread_block().context(failed)?;
        let resized =
            SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK).context(failed)?;
        let session = Session { machine, tty, console, resized, keys: Keys::default(), input_open: true };
        session.attach()?;
        Ok(session)
    }

    fn attach(&self) -> Result<()> {
        let size = window_size(stdout()).unwrap_or(WindowSize { rows: 0, columns: 0 });
        self.console.attach(size)
    }

    fn run(&mut self, mut raw: Option<&mut RawTerminal>) -> Result<End> {
        loop {
            let (typed, printed, resized, timed_out) = self.poll()?;
            if timed_out {
                return Ok(End::Detached);
            }
            if resized {
                while self.resized.read_signal().is_ok_and(|signal| signal.is_some()) {}
                if let Ok(size) = window_size(stdout()) {
                    self.console.resize(size)?;
                }
            }
            if printed && let Some(end) = self.print(raw.as_deref_mut())? {
                return Ok(end);
            }
            if typed && let Some(end) = self.type_in()? {
                return Ok(end);
            }
        }
    }

    /// Waits: something was typed, printed, resized; or there was silence after the end of input.
    fn poll(&self) -> Result<(bool, bool, bool, bool)> {
        let input = stdin();
        let read = PollFlags::POLLIN;
        let mut fds = vec![PollFd::new(self.console.as_fd(), read), PollFd::new(self.resized.as_fd(), read)];
        if self.input_open {
            fds.push(PollFd::new(input.as_fd(), read));
        }
        let limit = (!self.input_open).then_some(SILENCE);
        if poll(&mut fds, limit).context(|| "failed to wait for events")? == 0 {
            return Ok((false, false, false, true));
        }
        let happened = |index: usize| fds.get(index).is_some_and(happened);
        Ok((happened(2), happened(0), happened(1), false))
    }

    fn print(&mut self, raw: Option<&mut RawTerminal>) -> Result<Option<End>> {
        match self.console.receive()? {
            Output::Bytes(bytes) => {
                if let Some(raw) = raw {
                    raw.shows(&bytes);
                }
                let written = stdout().write_all(&bytes).and_then(|()| stdout().flush());
                written.context(|| "failed to write to the terminal").map(|()| None)
            }
            Output::Ended => Ok(Some(End::Ended)),
            // The end of what this session never asks for.
            Output::Done => Ok(None),
            Output::Lost => self.reconnect(),
        }
    }

    /// The supervisor is gone, and the container may not be.
    fn reconnect(&mut self) -> Result<Option<End>> {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(50));
            if let Ok(console) = self.machine.console(self.tty) {
                self.console = console;
                eprint!("\r\n[the supervisor was restarted]\r\n");
                return self.attach().map(|()| None);
            }
        }
        Ok(Some(End::Ended))
    }

    fn type_in(&mut self) -> Result<Option<End>> {
        let mut buffer = [0; CHUNK / 2];
        let count = rustix::io::read(stdin(), &mut buffer).context(|| "failed to read from the terminal")?;
        if count == 0 {
            self.input_open = false;
            return Ok(None);
        }
        let (input, end) = match self.keys.take(&buffer[..count]) {
            Typed::Input(input) => (input, None),
            Typed::Detach(input) => (input, Some(End::Detached)),
        };
        if !input.is_empty() {
            self.console.input(input)?;
        }
        Ok(end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ctrl_a_q_detaches_even_in_two_reads() {
        let mut keys = Keys::default();
        assert_eq!(keys.take(b"ls\x01"), Typed::Input(b"ls".to_vec()));
        assert_eq!(keys.take(b"qrest"), Typed::Detach(Vec::new()));
    }

    #[test]
    fn ctrl_a_twice_is_one_and_before_others_passes() {
        assert_eq!(Keys::default().take(b"\x01\x01a\x01b"), Typed::Input(b"\x01a\x01b".to_vec()));
    }
}
