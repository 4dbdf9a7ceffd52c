//! Our records in the journal: what we say of ourselves, and the lines of a container's console.
//!
//! A journal that is absent or does not read must not hold up a container: the socket never blocks, and what it
//! does not take is the caller's to count.

use std::cell::{Cell, RefCell};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use log::{Level, Record};
use systemd_journal_logger::JournalLog;

use crate::name::MachineName;
use crate::sys::fds::never_block;

/// The socket of journald (systemd-journald.service(8)).
const SOCKET: &str = "/run/systemd/journal/socket";

/// The journal, or standard error where there is none.
pub struct Journal {
    name: MachineName,
    log: RefCell<Option<JournalLog>>,
    tried: Cell<Instant>,
}

/// Time between attempts to reach a journal that was absent.
const PATIENCE: Duration = Duration::from_secs(1);

impl Journal {
    /// Opens the journal; every record names the machine in `CONTAINER_NAME=`.
    pub fn open(name: &MachineName) -> Journal {
        Journal { name: name.clone(), log: RefCell::new(connect(name)), tried: Cell::new(Instant::now()) }
    }

    /// Looks for a journal that was not there before.
    fn retry(&self) {
        if self.log.borrow().is_none() && self.tried.get().elapsed() >= PATIENCE {
            self.tried.set(Instant::now());
            self.log.replace(connect(&self.name));
        }
    }

    /// One line of a console. False where the journal did not take it.
    pub fn console(&self, line: &str) -> bool {
        // The journal's "info" is the crate's Debug; its Info is "notice".
        self.send(Level::Debug, "console", line)
    }

    /// Something to know.
    pub fn info(&self, text: &str) {
        self.say(Level::Debug, text);
    }

    /// Something that went wrong and was got over.
    pub fn warning(&self, text: &str) {
        self.say(Level::Warn, text);
    }

    /// Something that ended us.
    pub fn error(&self, text: &str) {
        self.say(Level::Error, text);
    }

    fn say(&self, level: Level, text: &str) {
        if !self.send(level, "supervisor", text) {
            eprintln!("{text}");
        }
    }

    fn send(&self, level: Level, origin: &str, text: &str) -> bool {
        self.retry();
        let log = self.log.borrow();
        let Some(log) = &*log else { return false };
        let fields = [("CONTAINER_ORIGIN", origin)];
        let mut record = Record::builder();
        let record = record.level(level).target(origin).key_values(&fields);
        log.journal_send(&record.args(format_args!("{text}")).build()).is_ok()
    }
}

/// The logger, on a socket that never blocks.
fn connect(name: &MachineName) -> Option<JournalLog> {
    // The logger says hello, and would wait for a journal that does not listen.
    let probe = UnixDatagram::unbound().ok()?;
    probe.set_nonblocking(true).ok()?;
    probe.send_to(&[], SOCKET).ok()?;
    drop(probe);
    // It offers no way to make its socket non-blocking, either; that will be the lowest free descriptor.
    let socket = next_fd()?;
    let log = JournalLog::empty().ok()?;
    never_block(socket).ok()?;
    Some(log.with_syslog_identifier(name.to_string()).with_extra_fields([("CONTAINER_NAME", name.as_str())]))
}

/// The number that the next descriptor to be opened gets (open(2): the lowest that is free).
fn next_fd() -> Option<RawFd> {
    rustix::io::fcntl_dupfd_cloexec(std::io::stderr(), 0).ok().map(|fd| fd.as_raw_fd())
}
