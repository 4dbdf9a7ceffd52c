//! The descriptors without which a running container cannot be watched, kept in the service manager's store under
//! these names, and passed from one supervisor to the next.

use std::convert::Infallible;
use std::ffi::OsString;
use std::os::fd::OwnedFd;

use crate::error::{Context, Error, Result};
use crate::supervisor::intercept;
use crate::sys::exec::{StringList, execve};
use crate::sys::fds;
use crate::systemd::notify;

/// Everything that outlives a supervisor.
pub struct StoredFds {
    /// The leader's pidfd.
    pub leader: OwnedFd,
    /// Master of the console's terminal.
    pub console: OwnedFd,
    /// The other end of it; held so that the master does not hang up.
    pub peer: OwnedFd,
    /// Masters of the terminals beside the console, in any order: the kernel knows their numbers, and opens their other
    /// ends again.
    pub ttys: Vec<OwnedFd>,
    /// The scrollback.
    pub ring: OwnedFd,
    /// The notification socket of the payload's PID 1.
    pub notifications: OwnedFd,
    /// The control socket.
    pub control: OwnedFd,
    /// The state memfd.
    pub state: OwnedFd,
    /// The calls that a program outside answers, where there is one.
    pub interception: Option<intercept::StoredCalls>,
}

/// Names in the store of what every container has, in the order of the fields.
const NAMES: [&str; 7] = ["leader", "console", "console-peer", "ring", "notify", "control", STATE];
/// Name of the state, which is kept before the others.
const STATE: &str = "state";
/// Name of the terminals beside the console.
const TTY: &str = "tty";
/// Name of the listeners of system call filters, of which there may be many.
const LISTENER: &str = "listener";
/// Name of the calls that were taken from them.
const CALLS: &str = "calls";

impl StoredFds {
    fn entries(&self) -> Vec<(&'static str, &OwnedFd)> {
        let StoredFds { leader, console, peer, ttys, ring, notifications, control, state, interception } =
            self;
        let fds = [leader, console, peer, ring, notifications, control, state];
        let ttys = ttys.iter().map(|tty| (TTY, tty));
        let calls = interception.iter().map(|stored| (CALLS, &stored.calls));
        let listeners = interception.iter().flat_map(|stored| &stored.listeners).map(|fd| (LISTENER, fd));
        NAMES.into_iter().zip(fds).chain(ttys).chain(calls).chain(listeners).collect()
    }

    /// Takes the descriptors that the service manager or a predecessor passed on, and the names of those that another
    /// version has kept and this one does not know.
    pub fn take() -> (Passed, Unknown) {
        let (mut single, mut ttys, mut listeners, mut calls) =
            (NAMES.map(|_| None), Vec::new(), Vec::new(), None);
        let mut unknown = Vec::new();
        for (name, fd) in fds::passed() {
            match name.as_str() {
                TTY => ttys.push(fd),
                LISTENER => listeners.push(fd),
                CALLS => calls = Some(fd),
                name => match NAMES.iter().position(|known| *known == name) {
                    Some(index) => single[index] = Some(fd),
                    None => unknown.push(name.to_string()),
                },
            }
        }
        let interception = calls.map(|calls| intercept::StoredCalls { listeners, calls });
        let passed = match single {
            [
                Some(leader),
                Some(console),
                Some(peer),
                Some(ring),
                Some(notifications),
                Some(control),
                Some(state),
            ] => Passed::All(StoredFds {
                leader,
                console,
                peer,
                ttys,
                ring,
                notifications,
                control,
                state,
                interception,
            }),
            [.., Some(state)] => Passed::Some(state),
            _ => Passed::Nothing,
        };
        (passed, Unknown(unknown))
    }

    /// Puts the state into the store before there is anything else: whoever comes after a start that was cut short
    /// finds the payload by it.
    pub fn store_state(state: &OwnedFd) -> Result<()> {
        store(STATE, state)
    }

    /// Puts the others into the store.
    pub fn store(&self) -> Result<()> {
        let mut others = self.entries().into_iter().filter(|(name, _)| *name != STATE);
        others.try_for_each(|(name, fd)| store(name, fd))
    }

    /// Takes all of them out of the store, at the end of a container.
    pub fn unstore() {
        NAMES.into_iter().chain([TTY, LISTENER, CALLS]).for_each(notify::unstore);
    }

    /// Executes our own program, as it is on disk now, in our place, with all of them passed as the service manager
    /// would (sd_listen_fds(3)): the same process, still the payload's parent, and none of the memory that a start
    /// takes. Signals stay blocked, so that one that comes meanwhile waits.
    pub fn hand_over(self) -> Result<Infallible> {
        let (names, fds): (Vec<_>, Vec<_>) = self.entries().into_iter().unzip();
        let passed = [
            ("LISTEN_PID", std::process::id().to_string()),
            ("LISTEN_FDS", fds.len().to_string()),
            ("LISTEN_FDNAMES", names.join(":")),
        ];
        let known = |key: &OsString| passed.iter().any(|(name, _)| key == name);
        let inherited = std::env::vars_os().filter(|(key, _)| !known(key));
        let own = passed.iter().map(|(key, value)| (OsString::from(key), OsString::from(value)));
        let environment = inherited.chain(own).map(|(key, value)| [key, value].join("=".as_ref()));
        let (environment, arguments) = (StringList::of(environment)?, StringList::of(std::env::args_os())?);
        fds::pass_on(&fds).context(|| "failed to pass descriptors on")?;
        let errno = execve(&arguments, &environment);
        Err(Error::failed(format!("failed to execute the supervisor again: {}", errno.desc())))
    }
}

/// Descriptors that a previous supervisor stored.
pub enum Passed {
    /// Everything.
    All(StoredFds),
    /// The state, and not everything else: it did not come to the end of a start.
    Some(OwnedFd),
    /// There was none.
    Nothing,
}

/// Names of descriptors that another version has kept. They stay in the store until it is clear that this version can
/// take its container over.
#[must_use]
pub struct Unknown(Vec<String>);

impl Unknown {
    /// Takes them out of the store, in which they would stay for ever.
    pub fn unstore(self) {
        self.0.iter().for_each(|name| notify::unstore(name));
    }
}

/// Keeps one more listener, as long as there is somebody behind it.
pub fn store_listener(listener: &OwnedFd) -> Result<()> {
    store(LISTENER, listener)
}

fn store(name: &str, fd: &OwnedFd) -> Result<()> {
    let stored =
        if name == LISTENER { notify::store_until_hang_up(name, fd) } else { notify::store(name, fd) };
    stored.context(|| format!("failed to keep '{name}' in the service manager's store"))
}
