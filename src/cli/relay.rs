//! Carries bytes between the caller's streams and those of an attached command, until the command ends.
//!
//! Nothing of the caller's is ever given to the command: each of its streams is one end of a pipe or of a terminal of
//! the container's, and the other ends are here. When the command has ended, what it has written is passed on and
//! that is all: whoever else still holds a stream is not waited for.

use std::io::IsTerminal;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use nix::poll::{PollFd, PollFlags};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};

use super::terminal::RawTerminal;
use crate::error::{Context, Result};
use crate::machine::enter::attach::{Attached, Stream, Streams};
use crate::sys::poll::{happened, poll};
use crate::sys::tty::{self, WindowSize};

/// Bytes that are carried at a time. A pipe that can be written at all takes so much without making us wait (pipe(7)).
const CHUNK: usize = 4096;
/// Bytes that are read after the command's end from a terminal that others still write to.
const LAST_WORDS: u64 = 256 * 1024;
/// Signals that the command gets in our place.
const PASSED_ON: [Signal; 3] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGQUIT];

/// The caller's standard input, output and error, and our ends of the command's.
pub struct Caller {
    /// Which of them are terminals.
    terminals: [bool; 3],
    /// Our ends of those that are not.
    pipes: [Option<OwnedFd>; 3],
}

impl Caller {
    /// Looks at our own streams, and makes the command's.
    pub fn new() -> Result<(Caller, Streams)> {
        let terminals = [
            std::io::stdin().is_terminal(),
            std::io::stdout().is_terminal(),
            std::io::stderr().is_terminal(),
        ];
        let mut pipes = [None, None, None];
        let mut stream = |number: usize| -> Result<Stream> {
            if terminals[number] {
                return Ok(Stream::Terminal);
            }
            let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).context(|| "failed to create a pipe")?;
            let (ours, theirs) = if number == 0 { (writer, reader) } else { (reader, writer) };
            pipes[number] = Some(ours);
            Ok(Stream::Pipe(theirs))
        };
        let (input, output, error) = (stream(0)?, stream(1)?, stream(2)?);
        let caller = Caller { terminals, pipes };
        let streams = Streams { input, output, error, size: caller.size() };
        Ok((caller, streams))
    }

    /// Whether one of them is a terminal.
    pub fn has_terminal(&self) -> bool {
        self.terminals.contains(&true)
    }

    /// The stream on which our terminal is written to: the one that is made for it, if it is one.
    fn screen(&self) -> Option<usize> {
        [1, 2, 0].into_iter().find(|number| self.terminals[*number])
    }

    fn size(&self) -> Option<WindowSize> {
        self.screen().and_then(|number| tty::window_size(callers(number)).ok())
    }
}

/// Carries bytes until the command ends; the result is its exit code.
pub fn relay(caller: Caller, mut attached: Attached) -> Result<u8> {
    let signals = take_signals()?;
    let raw = RawTerminal::enter()?;
    let master = attached.terminal.take().map(Rc::new);
    let mut relay = Relay { flows: flows(caller, master.clone())?, master, raw, ended: false };
    let left = relay.run(&attached, &signals)?;
    // The terminal is in order again before anything else is said on it.
    drop(relay);
    match left {
        Left::Ended => attached.finish(),
        Left::HungUp => Ok(128 + Signal::SIGHUP as u8),
    }
}

/// Why it was left.
#[derive(PartialEq, Eq)]
enum Left {
    /// The command has ended, and all that it wrote was passed on.
    Ended,
    /// Our terminal is gone.
    HungUp,
}

fn take_signals() -> Result<SignalFd> {
    let mut set = SigSet::empty();
    PASSED_ON.into_iter().chain([Signal::SIGWINCH, Signal::SIGHUP]).for_each(|signal| set.add(signal));
    let failed = || "failed to set up signals";
    set.thread_block().context(failed)?;
    SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK).context(failed)
}

/// The flows between the caller and the command. The first one is the input.
fn flows(caller: Caller, master: Option<Rc<OwnedFd>>) -> Result<Vec<Flow>> {
    let screen = caller.screen();
    let [input, output, error] = caller.pipes.map(|pipe| pipe.map(Rc::new));
    let mut flows = Vec::new();
    let input = if caller.terminals[0] { master.clone() } else { input };
    flows.extend(input.map(|to| Flow::new(End::Callers(0), End::Ours(to))));
    flows.extend(output.map(|from| Flow::new(End::Ours(from), End::Callers(1))));
    flows.extend(error.map(|from| Flow::new(End::Ours(from), End::Callers(2))));
    flows.extend(master.zip(screen).map(|(from, screen)| Flow::new(End::Ours(from), End::Callers(screen))));
    for flow in &flows {
        for end in [&flow.from, &flow.to].into_iter().flatten() {
            // Ours alone: the flags of the caller's own are shared with who knows whom.
            if let End::Ours(fd) = end {
                rustix::io::ioctl_fionbio(fd, true).context(|| "failed to set up the streams")?;
            }
        }
    }
    Ok(flows)
}

struct Relay {
    flows: Vec<Flow>,
    master: Option<Rc<OwnedFd>>,
    raw: Option<RawTerminal>,
    ended: bool,
}

impl Relay {
    fn run(&mut self, attached: &Attached, signals: &SignalFd) -> Result<Left> {
        loop {
            if self.ended && self.flows.iter().all(Flow::is_over) {
                return Ok(Left::Ended);
            }
            let ready = self.wait(attached, signals)?;
            if ready[0]
                && let Some(left) = self.take_signals(attached, signals)?
            {
                return Ok(left);
            }
            for (flow, _) in self.flows.iter_mut().zip(&ready[2..]).filter(|(_, ready)| **ready) {
                let shown = flow.step();
                if let (Some(raw), Some(bytes)) = (&mut self.raw, shown) {
                    raw.shows(&bytes);
                }
            }
            if ready[1] && !self.ended {
                self.end();
            }
        }
    }

    /// Waits for an event. The result has a flag for signals, for the command, and for each flow.
    fn wait(&self, attached: &Attached, signals: &SignalFd) -> Result<Vec<bool>> {
        let ended = if self.ended { PollFlags::empty() } else { PollFlags::POLLIN };
        let mut fds =
            vec![PollFd::new(signals.as_fd(), PollFlags::POLLIN), PollFd::new(attached.ended(), ended)];
        let waiting: Vec<_> = self.flows.iter().map(Flow::waits_for).collect();
        fds.extend(waiting.iter().flatten().map(|(fd, flags)| PollFd::new(*fd, *flags)));
        poll(&mut fds, None).context(|| "failed to wait for events")?;
        let mut happened = fds.iter().map(happened);
        let mut ready = vec![happened.next().unwrap_or(false), happened.next().unwrap_or(false)];
        ready.extend(waiting.iter().map(|waits| waits.is_some() && happened.next().unwrap_or(false)));
        Ok(ready)
    }

    fn take_signals(&self, attached: &Attached, signals: &SignalFd) -> Result<Option<Left>> {
        while let Ok(Some(info)) = signals.read_signal() {
            match Signal::try_from(info.ssi_signo as i32) {
                Ok(Signal::SIGWINCH) => self.resize(),
                Ok(Signal::SIGHUP) => return Ok(Some(Left::HungUp)),
                // Who is impatient with what it wrote need not read it.
                Ok(_) if self.ended => return Ok(Some(Left::Ended)),
                Ok(signal) => attached.signal(signal as i32)?,
                Err(_) => {}
            }
        }
        Ok(None)
    }

    fn resize(&self) {
        let sizes = [1, 2, 0].into_iter().filter_map(|number| tty::window_size(callers(number)).ok());
        if let (Some(master), Some(size)) = (&self.master, sizes.into_iter().next()) {
            let _ = tty::set_window_size(master, size);
        }
    }

    /// From here on only what is there already is passed on.
    fn end(&mut self) {
        self.ended = true;
        self.flows.retain(|flow| !matches!(flow.from, Some(End::Callers(_))));
        self.flows.iter_mut().for_each(Flow::last_words);
    }
}

/// One end of a flow.
enum End {
    /// The caller's standard input, output or error.
    Callers(usize),
    /// Our end of the command's.
    Ours(Rc<OwnedFd>),
}

impl AsFd for End {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            End::Callers(number) => callers(*number),
            End::Ours(fd) => fd.as_fd(),
        }
    }
}

fn callers(number: usize) -> BorrowedFd<'static> {
    match number {
        0 => rustix::stdio::stdin(),
        1 => rustix::stdio::stdout(),
        _ => rustix::stdio::stderr(),
    }
}

/// Bytes from one end to the other, a chunk at a time. An end is let go of when it has closed.
struct Flow {
    from: Option<End>,
    to: Option<End>,
    /// Read, and not yet written.
    pending: Vec<u8>,
    /// Bytes that will still be read; unknown while the command runs.
    left: Option<u64>,
}

impl Flow {
    fn new(from: End, to: End) -> Flow {
        Flow { from: Some(from), to: Some(to), pending: Vec::new(), left: None }
    }

    fn is_over(&self) -> bool {
        self.from.is_none() && self.pending.is_empty()
    }

    /// Reads when nothing is left to write.
    fn waits_for(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        match (self.pending.is_empty(), &self.from, &self.to) {
            (true, Some(from), _) => Some((from.as_fd(), PollFlags::POLLIN)),
            (false, _, Some(to)) => Some((to.as_fd(), PollFlags::POLLOUT)),
            _ => None,
        }
    }

    /// Reads or writes once; the bytes that were written.
    fn step(&mut self) -> Option<Vec<u8>> {
        if self.pending.is_empty() {
            self.read();
            return None;
        }
        let written = rustix::io::write(self.to.as_ref()?, &self.pending);
        match written {
            Ok(count) => {
                let written = self.pending.drain(..count).collect();
                if self.left.is_some() && self.pending.is_empty() {
                    self.read();
                }
                self.close_if_over();
                Some(written)
            }
            Err(Errno::AGAIN | Errno::INTR) => None,
            // Nobody reads any more: the command is to hear of it.
            Err(_) => {
                *self = Flow { from: None, to: None, pending: Vec::new(), left: self.left };
                None
            }
        }
    }

    fn read(&mut self) {
        let Some(from) = &self.from else { return };
        let most = self.left.map_or(CHUNK, |left| CHUNK.min(usize::try_from(left).unwrap_or(CHUNK)));
        let mut buffer = [0; CHUNK];
        match rustix::io::read(from, &mut buffer[..most]) {
            Ok(count) if count > 0 => {
                self.pending.extend_from_slice(&buffer[..count]);
                self.left = self.left.map(|left| left - count as u64);
                if self.left == Some(0) {
                    self.from = None;
                }
            }
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) if self.left.is_none() => {}
            // The end; of a terminal it is told by EIO.
            _ => self.from = None,
        }
        self.close_if_over();
    }

    /// Passes the end on, once everything before it was.
    fn close_if_over(&mut self) {
        if self.is_over() {
            self.to = None;
        }
    }

    /// The command has ended: what it wrote is there, and more is not waited for.
    fn last_words(&mut self) {
        let Some(from) = &self.from else { return };
        self.left = Some(match tty::number(from) {
            Ok(_) => LAST_WORDS,
            Err(_) => rustix::io::ioctl_fionread(from).unwrap_or(0),
        });
        if self.pending.is_empty() {
            self.read();
        }
    }
}
