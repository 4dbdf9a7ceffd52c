//! What parent and children say to each other: one enum per direction, eight bytes a message.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;

use crate::sys::scm;
use crate::sys::to_errno;

/// What the supervisor tells a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The leader's id maps are written.
    Mapped,
    /// The leader sits in its cgroup.
    Placed,
    /// The mounts are complete; go on to exec.
    Enter,
}

/// What a child tells the supervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// The leader was cloned, with this pid; its pidfd comes along.
    Leader(i32),
    /// The master of the plan's next terminal comes along; the first is the console.
    Terminal,
    /// The leader entered its cgroup namespace.
    Entered,
    /// The listener of the leader's system call filter comes along.
    Listener,
    /// A step failed.
    Failed(Step, Errno),
}

/// A step of a child, for the error message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// An operation of the plan's outside list, by index.
    Outside(u16),
    /// An operation of the plan's inside list, by index.
    Inside(u16),
    /// Something else, by index into [`STEPS`].
    Named(u16),
}

/// The steps that are no operation of the plan.
pub const STEPS: [&str; 24] = [
    "enter the network namespace",
    "make the mounts private",
    "clone the leader",
    "enter the leader's namespaces",
    "open what covers masked files",
    "map the ids of a mount",
    "change the root",
    "become root of the user namespace",
    "join a session keyring",
    "set the host name",
    "bring up the loopback interface",
    "enter a cgroup namespace",
    "enter a mount namespace",
    "share the mounts",
    "open '/dev/console'",
    "drop capabilities",
    "set no_new_privs",
    "ask for the label of the security module",
    "load the system call filter",
    "hand over the listener of the system call filter",
    "change to the working directory",
    "close file descriptors",
    "execute the payload",
    "become the first process",
];

/// A step that failed, and why.
pub(super) type Failed = (Step, rustix::io::Errno);

/// Says at which step a call failed.
pub(super) fn at<T>(step: Step, result: Result<T, rustix::io::Errno>) -> Result<T, Failed> {
    result.map_err(|errno| (step, errno))
}

/// A result of nix as one of rustix.
pub(super) fn raw<T>(result: Result<T, Errno>) -> Result<T, rustix::io::Errno> {
    result.map_err(to_errno)
}

/// The named step of this text; the texts are only ever literals from [`STEPS`].
pub const fn named(text: &str) -> Step {
    let mut index = 0;
    while index < STEPS.len() {
        if same(STEPS[index], text) {
            return Step::Named(index as u16);
        }
        index += 1;
    }
    panic!("not a step")
}

const fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    let mut index = 0;
    while index < a.len() {
        if a[index] != b[index] {
            return false;
        }
        index += 1;
    }
    true
}

/// Sends an order to a child.
pub fn order(socket: impl AsFd, order: Order) -> Result<(), Errno> {
    scm::send(socket, &[order as u8], None)
}

/// Waits for one particular order; anything else means that the supervisor is gone.
pub fn await_order(socket: impl AsFd, expected: Order) -> Result<(), Errno> {
    let mut message = [0; 8];
    match scm::receive(socket, &mut message)? {
        (1, _) if message[0] == expected as u8 => Ok(()),
        _ => Err(Errno::EPIPE),
    }
}

/// Sends a report, with a descriptor where it carries one.
pub fn report(socket: impl AsFd, report: Report, fd: Option<BorrowedFd>) -> Result<(), Errno> {
    let (kind, index, value) = match report {
        Report::Leader(pid) => (0, 0, pid),
        Report::Terminal => (1, 0, 0),
        Report::Entered => (2, 0, 0),
        Report::Failed(Step::Outside(index), errno) => (3, index, errno as i32),
        Report::Failed(Step::Inside(index), errno) => (4, index, errno as i32),
        Report::Failed(Step::Named(index), errno) => (5, index, errno as i32),
        Report::Listener => (6, 0, 0),
    };
    let mut message = [0; 8];
    message[0] = kind;
    message[2..4].copy_from_slice(&index.to_ne_bytes());
    message[4..8].copy_from_slice(&value.to_ne_bytes());
    scm::send(socket, &message, fd.map(|fd| fd.as_raw_fd()))
}

/// Receives a report; `None` is the end: the child executed or is gone.
pub fn receive(socket: impl AsFd) -> Result<Option<(Report, Option<OwnedFd>)>, Errno> {
    let mut message = [0; 8];
    let (len, fd) = match scm::receive(&socket, &mut message) {
        // The child went without reading an order of ours. That is told first; what it said is still there.
        Err(Errno::ECONNRESET) => match scm::receive(&socket, &mut message)? {
            (0, _) => return Err(Errno::ECONNRESET),
            said => said,
        },
        other => other?,
    };
    if len == 0 {
        return Ok(None);
    }
    let index = u16::from_ne_bytes([message[2], message[3]]);
    let value = i32::from_ne_bytes([message[4], message[5], message[6], message[7]]);
    let failed = |step| Report::Failed(step, Errno::from_raw(value));
    let report = match message[0] {
        0 => Report::Leader(value),
        1 => Report::Terminal,
        2 => Report::Entered,
        3 => failed(Step::Outside(index)),
        4 => failed(Step::Inside(index)),
        5 => failed(Step::Named(index)),
        6 => Report::Listener,
        _ => return Err(Errno::EBADMSG),
    };
    Ok(Some((report, fd)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_left_unread_hides_no_report() {
        let sent = Report::Failed(Step::Outside(3), Errno::ENOENT);
        let (ours, theirs) = scm::pair().expect("pair");
        report(&theirs, sent, None).expect("send");
        order(&ours, Order::Placed).expect("order");
        drop(theirs);
        assert_eq!(receive(&ours).expect("receive").expect("message").0, sent);
        assert!(receive(&ours).expect("end").is_none());
        // Without a report it is not the end that an exec makes.
        let (ours, theirs) = scm::pair().expect("pair");
        order(&ours, Order::Enter).expect("order");
        drop(theirs);
        assert_eq!(receive(&ours).expect_err("reset"), Errno::ECONNRESET);
    }

    #[test]
    fn every_report_arrives_as_it_was_sent() {
        let (ours, theirs) = scm::pair().expect("pair");
        let reports = [
            Report::Leader(4711),
            Report::Terminal,
            Report::Entered,
            Report::Listener,
            Report::Failed(Step::Outside(3), Errno::EPERM),
            Report::Failed(Step::Inside(7), Errno::ENOSPC),
            Report::Failed(named("execute the payload"), Errno::ENOENT),
        ];
        for sent in reports {
            report(&theirs, sent, None).expect("send");
            assert_eq!(receive(&ours).expect("receive").expect("message").0, sent);
        }
        drop(theirs);
        assert!(receive(&ours).expect("end").is_none());
    }

    #[test]
    fn a_child_that_lost_its_supervisor_does_not_wait() {
        let (ours, theirs) = scm::pair().expect("pair");
        drop(ours);
        assert_eq!(await_order(&theirs, Order::Mapped), Err(Errno::EPIPE));
    }
}
