//! The program that enters a running container: `containerctl-enter`.
//!
//! ```text
//! caller ──exec──► entrant           read-only mounts, no environment, descriptors as in `entry`
//!                    │ joins the namespaces, gives up what the container may not do,
//!                    │ looks the user up, makes the terminal, becomes the user
//!                    └──clone──► command   is in the pid namespace: session, terminal, exec; nothing else
//! ```
//!
//! Only the command is in the container's pid namespace, so nobody inside sees the entrant. When the command is
//! cloned it has no rights that it will not keep, no descriptor but its streams and the socket, and nothing of the
//! host in its memory but this program. The entrant stays to hand the exit status on, and to pass the caller's death on
//! as SIGHUP.

mod account;
mod program;
mod terminal;

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags};
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::process::{DumpableBehavior, Gid, Uid};

use self::account::Login;
use self::program::Program;
pub(super) use self::terminal::let_go;
use crate::error::{Context, Error, Result};
use crate::runtime::rights::Rights;
use crate::sandbox::userns;
use crate::sys::capabilities::drop_capabilities;
use crate::sys::lsm::{self, Module};
use crate::sys::pidfd::{self, Exit};
use crate::sys::poll::{happened, poll};
use crate::sys::seccomp::Filter;
use crate::sys::{keyring, seccomp, signal};
use crate::worker::entry::{self, Entry, Received};

/// Exit status of an entrant that has said why it failed, or that nobody listens to.
const FAILED: u8 = 125;

/// Interval for asking the status of a command that has ended while a process inside traces it.
const TRACED: Duration = Duration::from_millis(20);

/// Enters, and runs what the caller on standard input asks for. The result is the exit status.
pub fn run() -> u8 {
    let Ok(socket) = hide().and_then(|()| rustix::io::fcntl_dupfd_cloexec(std::io::stdin(), 3)) else {
        return FAILED;
    };
    match enter(&socket) {
        Ok((command, _terminal)) => outlive(&socket, &command),
        Err(error) => {
            entry::report_failure(&socket, &error);
            FAILED
        }
    }
}

/// Nobody inside may look into us. The kernel forgets it when the user changes.
fn hide() -> Result<(), rustix::io::Errno> {
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
}

/// The steps, in the one order that works. The result is the pidfd of the command, and its terminal: held, so that the
/// master does not hang up while the command itself has closed it.
fn enter(socket: &OwnedFd) -> Result<(OwnedFd, Option<OwnedFd>)> {
    let Received { leader, streams, entry } = entry::receive(socket)?;
    join(&entry, &leader)?;
    drop(leader);
    let_go().context(|| "failed to let go of the host's streams")?;
    // From here on nothing is done that the container's own root could not do.
    if let Some(rights) = &entry.rights {
        give_up(rights, socket)?;
    }
    let login = Login::look_up(&entry.user)?;
    let terminal = match entry.terminal.contains(&true) {
        true => Some(terminal::make(&entry, &login)?),
        false => None,
    };
    terminal::give(&streams, &login);
    become_user(&login)?;
    go_to(&entry, &login)?;
    let program = Program::new(&entry, &login)?;
    let controlling = entry.terminal.iter().position(|terminal| *terminal);
    let peer = terminal::take_streams(&entry, streams, terminal, socket)?;
    signal::reset_all();
    hide().context(|| "failed to hide from debuggers")?;
    let command = program.run(controlling)?;
    let_go().context(|| "failed to let go of the streams")?;
    entry::pass(socket, b'P', &command).context(|| "failed to tell that the command runs")?;
    Ok((command, peer))
}

/// Joins the namespaces, as root of what was joined. The caller has cloned us into the container's cgroup.
fn join(entry: &Entry, leader: &OwnedFd) -> Result<()> {
    if let Some(rights) = &entry.rights {
        ask_for_labels(rights)?;
    }
    pidfd::setns(leader.as_fd(), entry.namespaces)
        .context(|| "failed to enter the container's namespaces")?;
    userns::become_root().context(|| "failed to become the container's root")?;
    keyring::join_new_session_keyring().context(|| "failed to join a session keyring")?;
    rustix::process::umask(Mode::from_raw_mode(0o022));
    rustix::process::chdir("/").context(|| "failed to change to the root directory")
}

fn ask_for_labels(rights: &Rights) -> Result<()> {
    let failed = || "failed to ask for the label of the security module";
    if let Some(profile) = &rights.apparmor {
        lsm::set_exec(Module::Apparmor, &format!("exec {profile}")).context(failed)?;
    }
    rights.selinux.as_deref().map_or(Ok(()), |label| lsm::set_exec(Module::Selinux, label)).context(failed)
}

fn give_up(rights: &Rights, socket: &OwnedFd) -> Result<()> {
    drop_capabilities(rights.capabilities, 0).context(|| "failed to drop capabilities")?;
    if rights.no_new_privileges {
        rustix::thread::set_no_new_privs(true).context(|| "failed to set no_new_privs")?;
    }
    rights.programs().iter().try_for_each(|filter| load(filter, socket))
}

/// A filter of our own, with a listener of its own where the payload's has one: the supervisor answers on both.
fn load(filter: &Filter, socket: &OwnedFd) -> Result<()> {
    let loaded = seccomp::load(&filter.program, filter.listening);
    let handed_over = |listener: OwnedFd| entry::pass(socket, b'N', &listener);
    match loaded.context(|| "failed to load the system call filter")? {
        Some(listener) => handed_over(listener).context(|| "failed to hand the filter's listener over"),
        None => Ok(()),
    }
}

fn become_user(login: &Login) -> Result<()> {
    let (uid, gid) = (Uid::from_raw(login.account.uid), Gid::from_raw(login.account.gid));
    let groups: Vec<Gid> = login.groups.iter().copied().map(Gid::from_raw).collect();
    let switched = rustix::thread::set_thread_groups(&groups)
        .and_then(|()| rustix::thread::set_thread_res_gid(gid, gid, gid))
        .and_then(|()| rustix::thread::set_thread_res_uid(uid, uid, uid));
    let shown = format!("{}:{}", login.account.uid, login.account.gid);
    match switched {
        Err(rustix::io::Errno::INVAL) => {
            Err(Error::config(format!("the container has no user or group of the number {shown}"))
                .hint("its ids are 0 to 65535, unless PrivateUsers= says otherwise"))
        }
        other => other.context(|| format!("failed to become user {shown}")),
    }
}

/// Changes to the working directory that was asked for, or to the user's home if that can be.
fn go_to(entry: &Entry, login: &Login) -> Result<()> {
    let Some(directory) = &entry.working_directory else {
        let _ = change_to(login.account.home.as_ref());
        return Ok(());
    };
    change_to(directory).context(|| format!("failed to change to '{}'", directory.display()))
}

/// By no magic link, which could lead to what somebody else has open; and where it ends must have a name.
fn change_to(directory: &std::ffi::OsStr) -> Result<(), rustix::io::Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open(c"/", flags, Mode::empty())?;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let found = rustix::fs::openat2(&root, directory, flags, Mode::empty(), resolve)?;
    rustix::process::fchdir(&found)?;
    match rustix::process::getcwd(Vec::new())?.to_bytes() {
        [b'/', ..] => Ok(()),
        _ => rustix::process::chdir("/").and(Err(rustix::io::Errno::NOENT)),
    }
}

/// Waits for the command's end, and tells it of the caller's. The result is the exit status.
fn outlive(socket: &OwnedFd, command: &OwnedFd) -> u8 {
    let mut ended = false;
    loop {
        let watched = if ended { PollFlags::empty() } else { PollFlags::POLLIN };
        let mut fds = [PollFd::new(socket.as_fd(), PollFlags::POLLIN), PollFd::new(command.as_fd(), watched)];
        if poll(&mut fds, ended.then_some(TRACED)).is_err() {
            return FAILED;
        }
        ended |= happened(&fds[1]);
        match pidfd::childs_status(command).filter(|_| ended) {
            Some(Exit::Code(code)) => return code as u8,
            Some(Exit::Signal(signal)) => return 128 + signal as u8,
            Some(Exit::Unknown) => return FAILED,
            None => {}
        }
        if happened(&fds[0]) {
            // It may have stopped itself, or have left its terminal; whoever ignores this is to go on.
            for signal in [libc::SIGHUP, libc::SIGCONT] {
                let _ = signal::pidfd_send_signal_to_group(command, signal);
            }
            return FAILED;
        }
    }
}
