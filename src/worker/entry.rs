//! Messages between the process that has a container entered and the entrant, over a socket of sequenced packets that is
//! the entrant's standard input.
//!
//! | from | letter | with | meaning |
//! |---|---|---|---|
//! | caller | `L` | descriptor | the leader's pidfd |
//! | caller | `0`, `1`, `2` | descriptor | what becomes standard input, output, error |
//! | caller | `E` | descriptor | a memfd with the [`Entry`]; goes last |
//! | entrant | `N` | descriptor | the listener of its system call filter |
//! | entrant | `T` | descriptor | master of the terminal that was made |
//! | entrant | `P` | descriptor | the command runs; its pidfd |
//! | entrant | `F` | kind, text | it could not be run, and why |
//!
//! After `P` or `F` the entrant says nothing more, and its exit status is the command's. The caller's end of the
//! socket is a lifeline: when it closes, the command gets SIGHUP.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Seek};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::errno::Errno;
use rustix::fs::MemfdFlags;
use serde::{Deserialize, Serialize};

use crate::error::{Context, Error, Kind, Result};
use crate::runtime::rights::Rights;
use crate::sandbox::user::UserSpec;
use crate::sys::scm;
use crate::sys::tty::WindowSize;

/// The largest message: a letter, a kind, and a sentence.
const LONGEST: usize = 4096;

/// A command to run in a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// `CLONE_NEW*` of the namespaces to join.
    pub namespaces: i32,
    /// Rights; `None` keeps those of the caller in these namespaces.
    pub rights: Option<Rights>,
    /// User and group.
    pub user: UserSpec,
    /// Working directory; the user's home by default.
    pub working_directory: Option<OsString>,
    /// Variables beside those that follow from the user, which these override.
    pub environment: Vec<(OsString, OsString)>,
    /// Only those variables.
    pub bare_environment: bool,
    /// Program and arguments; none is the user's login shell.
    pub command: Vec<OsString>,
    /// Which of standard input, output and error are a new terminal of the container.
    pub terminal: [bool; 3],
    /// Rows and columns of that terminal.
    pub size: Option<(u16, u16)>,
}

impl Entry {
    /// The size of the terminal.
    pub fn window(&self) -> Option<WindowSize> {
        self.size.map(|(rows, columns)| WindowSize { rows, columns })
    }
}

/// Sends an entrant all that it needs.
pub fn send(socket: impl AsFd, entry: &Entry, fds: &[(u8, &OwnedFd)]) -> Result<()> {
    let failed = || "failed to tell the entering process what to do";
    let text = serde_json::to_vec(entry).map_err(std::io::Error::from).context(failed)?;
    let memfd = rustix::fs::memfd_create("entry", MemfdFlags::CLOEXEC).context(failed)?;
    let mut file = File::from(memfd);
    std::io::Write::write_all(&mut file, &text).and_then(|()| file.rewind()).context(failed)?;
    let memfd = OwnedFd::from(file);
    let last = [(b'E', &memfd)];
    fds.iter().chain(&last).try_for_each(|(letter, fd)| pass(&socket, *letter, fd)).context(failed)
}

/// The messages of a caller.
pub struct Received {
    /// The leader's pidfd.
    pub leader: OwnedFd,
    /// Streams that are not a terminal.
    pub streams: [Option<OwnedFd>; 3],
    /// The command.
    pub entry: Entry,
}

/// The entrant's side of [`send`].
pub fn receive(socket: impl AsFd) -> Result<Received> {
    let failed = || "failed to learn what to do";
    let (mut leader, mut streams) = (None, [None, None, None]);
    loop {
        let mut letter = [0];
        match (scm::receive(&socket, &mut letter).context(failed)?, letter[0]) {
            ((1, Some(fd)), b'L') => leader = Some(fd),
            ((1, Some(fd)), digit @ b'0'..=b'2') => streams[usize::from(digit - b'0')] = Some(fd),
            ((1, Some(fd)), b'E') => {
                let mut text = Vec::new();
                File::from(fd).read_to_end(&mut text).context(failed)?;
                let entry = serde_json::from_slice(&text).map_err(std::io::Error::from).context(failed)?;
                let missing = || Error::failed("not all that is needed to enter was passed");
                return Ok(Received { leader: leader.ok_or_else(missing)?, streams, entry });
            }
            _ => return Err(Error::failed("failed to learn what to do: nobody is there")),
        }
    }
}

/// A report of the entrant.
pub enum Report {
    /// The listener of a system call filter, for the supervisor, which must have it before the entrant goes on.
    Listener(OwnedFd),
    /// The master of a terminal.
    Terminal(OwnedFd),
    /// The command runs; its pidfd.
    Runs(OwnedFd),
    /// It could not be run.
    Failed(Error),
    /// The entrant ended without a report.
    Nothing,
}

/// Passes a descriptor under a letter.
pub fn pass(socket: impl AsFd, letter: u8, fd: &OwnedFd) -> Result<(), Errno> {
    scm::send(socket, &[letter], Some(fd.as_raw_fd()))
}

/// Reports why the command could not be run. The caller may be gone.
pub fn report_failure(socket: impl AsFd, error: &Error) {
    let _ = scm::send(socket, &failure(error.kind(), &error.to_string()), None);
}

/// The message that it could not be run.
pub fn failure(kind: Kind, text: &str) -> Vec<u8> {
    let mut message = vec![b'F', kind.exit_code()];
    message.extend(text.bytes().take(LONGEST - message.len()));
    message
}

/// The caller's side: receives the next report.
pub fn receive_report(socket: impl AsFd) -> Result<Report> {
    let mut message = [0; LONGEST];
    let (len, fd) = match scm::receive(socket, &mut message) {
        Err(Errno::ECONNRESET) => (0, None),
        received => received.context(|| "failed to receive from the entering process")?,
    };
    Ok(match (&message[..len], fd) {
        ([b'N'], Some(fd)) => Report::Listener(fd),
        ([b'T'], Some(fd)) => Report::Terminal(fd),
        ([b'P'], Some(fd)) => Report::Runs(fd),
        ([b'F', kind, text @ ..], _) => {
            let kind = Kind::of_exit_code(u64::from(*kind));
            Report::Failed(Error::new(kind, String::from_utf8_lossy(text).into_owned()))
        }
        _ => Report::Nothing,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStringExt;

    #[test]
    fn an_entry_arrives_as_it_was_sent() {
        let entry = Entry {
            namespaces: libc::CLONE_NEWNS,
            rights: None,
            user: UserSpec::root(),
            working_directory: Some(OsString::from_vec(vec![b'/', 0xff])),
            environment: vec![("A".into(), "b=c".into())],
            bare_environment: false,
            command: vec!["sh".into(), OsString::from_vec(vec![0xfe])],
            terminal: [true, false, true],
            size: Some((24, 80)),
        };
        let (ours, theirs) = scm::pair().expect("pair");
        let fd = || OwnedFd::from(tempfile::tempfile().expect("file"));
        let (leader, output) = (fd(), fd());
        send(&ours, &entry, &[(b'L', &leader), (b'1', &output)]).expect("send");
        let received = receive(&theirs).expect("receive");
        assert_eq!(received.entry, entry);
        assert!(matches!(received.streams, [None, Some(_), None]));
        send(&ours, &entry, &[(b'1', &output)]).expect("send");
        assert!(receive(&theirs).is_err(), "no leader");
        send(&ours, &entry, &[(b'L', &leader), (b'C', &output)]).expect("send");
        assert!(receive(&theirs).is_err(), "an earlier version's caller, which has not placed us");
    }

    #[test]
    fn a_failure_keeps_its_kind_and_its_words() {
        let (ours, theirs) = scm::pair().expect("pair");
        report_failure(&theirs, &Error::new(Kind::NotFound, "no 'x'").hint("make one"));
        drop(theirs);
        let Report::Failed(error) = receive_report(&ours).expect("a report") else { panic!("no failure") };
        assert_eq!((error.kind(), error.to_string().as_str()), (Kind::NotFound, "no 'x'; make one"));
        assert!(matches!(receive_report(&ours).expect("end"), Report::Nothing));
    }
}
