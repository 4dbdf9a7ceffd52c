//! The streams of an attached command, and the terminal behind them: one of the container's own devpts.

use std::os::fd::OwnedFd;

use rustix::fs::{FileType, Gid, Mode, OFlags, ResolveFlags, Uid};
use rustix::io::Errno;

use super::account::Login;
use crate::error::{Context, Error, Result};
use crate::sandbox::layout::TTY_GROUP;
use crate::sys::{mount, tty};
use crate::worker::entry::{self, Entry};

/// `DEVPTS_SUPER_MAGIC` (linux/magic.h).
const DEVPTS: u64 = 0x1cd1;

/// Both ends of a terminal.
pub struct Terminal {
    master: OwnedFd,
    peer: OwnedFd,
}

/// Makes a terminal for the user.
pub fn make(entry: &Entry, login: &Login) -> Result<Terminal> {
    let failed = || "failed to make a terminal in the container";
    let master = open_ptmx().map_err(|errno| match errno {
        Errno::NODEV | Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV => Error::failed(
            "failed to make a terminal: what the container has at '/dev/pts' is no devpts",
        )
        .hint("mount one there, or do without a terminal: 'containerctl attach … </dev/null 2>&1 | cat'"),
        other => Error::failed(format!("{}: {}", failed(), crate::error::Cause::cause(&other))),
    })?;
    tty::unlock(&master).context(failed)?;
    let peer = tty::peer(&master).context(failed)?;
    if let Some(size) = entry.window() {
        tty::set_window_size(&master, size).context(failed)?;
    }
    // Where the capability for it was dropped the terminal stays root's, and most programs do not care.
    let (owner, group) = (Uid::from_raw(login.account.uid), Gid::from_raw(TTY_GROUP));
    let _ = rustix::fs::fchown(&peer, Some(owner), Some(group));
    let _ = rustix::fs::fchmod(&peer, Mode::from_raw_mode(0o620));
    Ok(Terminal { master, peer })
}

/// Opens the multiplexer of the devpts at `/dev/pts`. That it is one is known before anything is asked of it: a file
/// system in its place could make us wait for ever.
fn open_ptmx() -> Result<OwnedFd, Errno> {
    let path = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open(c"/", path, Mode::empty())?;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    let pts = rustix::fs::openat2(&root, c"dev/pts", path, Mode::empty(), resolve)?;
    let magic = mount::magic(&pts).map_err(|errno| Errno::from_raw_os_error(errno as i32))?;
    if magic != DEVPTS {
        return Err(Errno::NODEV);
    }
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let master = rustix::fs::openat2(&pts, c"ptmx", flags, Mode::empty(), resolve | ResolveFlags::NO_XDEV)?;
    let stat = rustix::fs::fstat(&master)?;
    let device = (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev));
    match FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && device == (5, 2) {
        true => Ok(master),
        false => Err(Errno::NODEV),
    }
}

/// Gives the pipes among the streams to the user, who may open them again by `/dev/stdout` and its like; whoever may not
/// give anything away lets everybody open them that reaches them.
pub fn give(streams: &[Option<OwnedFd>; 3], login: &Login) {
    let (owner, group) = (Uid::from_raw(login.account.uid), Gid::from_raw(login.account.gid));
    let is_pipe = |stream: &&OwnedFd| {
        rustix::fs::fstat(stream).is_ok_and(|found| FileType::from_raw_mode(found.st_mode) == FileType::Fifo)
    };
    for pipe in streams.iter().flatten().filter(is_pipe) {
        if rustix::fs::fchown(pipe, Some(owner), Some(group)).is_err() {
            let _ = rustix::fs::fchmod(pipe, Mode::from_raw_mode(0o666));
        }
    }
}

/// Puts the streams in place. The master goes to the caller; the result is the terminal itself.
pub fn take_streams(
    entry: &Entry,
    streams: [Option<OwnedFd>; 3],
    terminal: Option<Terminal>,
    socket: &OwnedFd,
) -> Result<Option<OwnedFd>> {
    let failed = || "failed to put the streams in place";
    let peer = terminal.as_ref().map(|terminal| &terminal.peer);
    for (number, stream) in streams.iter().enumerate() {
        let source = if entry.terminal[number] { peer } else { stream.as_ref() };
        let source = source.ok_or(Errno::BADF).context(failed)?;
        match number {
            0 => rustix::stdio::dup2_stdin(source),
            1 => rustix::stdio::dup2_stdout(source),
            _ => rustix::stdio::dup2_stderr(source),
        }
        .context(failed)?;
    }
    let Some(Terminal { master, peer }) = terminal else { return Ok(None) };
    entry::pass(socket, b'T', &master).context(failed)?;
    Ok(Some(peer))
}

/// Lets go of the streams: as long as we held them, nobody would see their end.
pub fn let_go() -> Result<(), Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let nothing = rustix::fs::open(c"/", flags, Mode::empty())?;
    rustix::stdio::dup2_stdin(&nothing)?;
    rustix::stdio::dup2_stdout(&nothing)?;
    rustix::stdio::dup2_stderr(&nothing)
}
