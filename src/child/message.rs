//! Messages between the supervisor and its children: one enum per direction, eight bytes a message.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;

use crate::sys::scm;
use crate::sys::to_errno;

/// A message of the supervisor to a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The leader's id maps are written.
    Mapped,
    /// The leader sits in its cgroup.
    Placed,
    /// The mounts are complete; go on to exec.
    Enter,
}

/// A message of a child to the supervisor.
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
    /// Enter the network namespace.
    JoinNetwork,
    /// Make the mounts private.
    MakePrivate,
    /// Clone the leader.
    CloneLeader,
    /// Enter the leader's namespaces.
    JoinLeader,
    /// Open what covers masked files.
    OpenCovers,
    /// Map the ids of a mount.
    MapIds,
    /// Hand over the message queues.
    OwnQueues,
    /// Change the root.
    PivotRoot,
    /// Become root of the user namespace.
    BecomeRoot,
    /// Join a session keyring.
    JoinKeyring,
    /// Set the host name.
    SetHostname,
    /// Bring up the loopback interface.
    Loopback,
    /// Enter a cgroup namespace.
    UnshareCgroup,
    /// Enter a mount namespace.
    UnshareMounts,
    /// Share the mounts.
    MakeShared,
    /// Open '/dev/console'.
    OpenConsole,
    /// Drop capabilities.
    DropCapabilities,
    /// Set no_new_privs.
    NoNewPrivileges,
    /// Ask for the label of the security module.
    SetLabel,
    /// Load the system call filter.
    LoadFilter,
    /// Hand over the listener of the system call filter.
    SendListener,
    /// Change to the working directory.
    WorkingDirectory,
    /// Close file descriptors.
    CloseDescriptors,
    /// Execute the payload.
    Execute,
    /// Become the first process.
    BecomeInit,
}

/// The steps that are no operation of the plan; a message has their index.
const STEPS: [Step; 25] = [
    Step::JoinNetwork,
    Step::MakePrivate,
    Step::CloneLeader,
    Step::JoinLeader,
    Step::OpenCovers,
    Step::MapIds,
    Step::OwnQueues,
    Step::PivotRoot,
    Step::BecomeRoot,
    Step::JoinKeyring,
    Step::SetHostname,
    Step::Loopback,
    Step::UnshareCgroup,
    Step::UnshareMounts,
    Step::MakeShared,
    Step::OpenConsole,
    Step::DropCapabilities,
    Step::NoNewPrivileges,
    Step::SetLabel,
    Step::LoadFilter,
    Step::SendListener,
    Step::WorkingDirectory,
    Step::CloseDescriptors,
    Step::Execute,
    Step::BecomeInit,
];

impl Step {
    /// The words after "failed to"; none for an operation of the plan, which has words of its own.
    pub fn text(self) -> &'static str {
        match self {
            Step::Outside(_) | Step::Inside(_) => "",
            Step::JoinNetwork => "enter the network namespace",
            Step::MakePrivate => "make the mounts private",
            Step::CloneLeader => "clone the leader",
            Step::JoinLeader => "enter the leader's namespaces",
            Step::OpenCovers => "open what covers masked files",
            Step::MapIds => "map the ids of a mount",
            Step::OwnQueues => "hand over the message queues",
            Step::PivotRoot => "change the root",
            Step::BecomeRoot => "become root of the user namespace",
            Step::JoinKeyring => "join a session keyring",
            Step::SetHostname => "set the host name",
            Step::Loopback => "bring up the loopback interface",
            Step::UnshareCgroup => "enter a cgroup namespace",
            Step::UnshareMounts => "enter a mount namespace",
            Step::MakeShared => "share the mounts",
            Step::OpenConsole => "open '/dev/console'",
            Step::DropCapabilities => "drop capabilities",
            Step::NoNewPrivileges => "set no_new_privs",
            Step::SetLabel => "ask for the label of the security module",
            Step::LoadFilter => "load the system call filter",
            Step::SendListener => "hand over the listener of the system call filter",
            Step::WorkingDirectory => "change to the working directory",
            Step::CloseDescriptors => "close file descriptors",
            Step::Execute => "execute the payload",
            Step::BecomeInit => "become the first process",
        }
    }

    /// Kind and index in a message.
    fn encode(self) -> (u8, u16) {
        match self {
            Step::Outside(index) => (3, index),
            Step::Inside(index) => (4, index),
            step => (5, STEPS.iter().position(|known| *known == step).unwrap_or_default() as u16),
        }
    }

    fn decode(kind: u8, index: u16) -> Option<Step> {
        match kind {
            3 => Some(Step::Outside(index)),
            4 => Some(Step::Inside(index)),
            5 => STEPS.get(usize::from(index)).copied(),
            _ => None,
        }
    }
}

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
    let ((kind, index), value) = match report {
        Report::Leader(pid) => ((0, 0), pid),
        Report::Terminal => ((1, 0), 0),
        Report::Entered => ((2, 0), 0),
        Report::Failed(step, errno) => (step.encode(), errno as i32),
        Report::Listener => ((6, 0), 0),
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
        // The child ended without reading an order. The kernel reports that first; the child's reports are still there.
        Err(Errno::ECONNRESET) => match scm::receive(&socket, &mut message)? {
            (0, _) => return Err(Errno::ECONNRESET),
            received => received,
        },
        other => other?,
    };
    if len == 0 {
        return Ok(None);
    }
    let index = u16::from_ne_bytes([message[2], message[3]]);
    let value = i32::from_ne_bytes([message[4], message[5], message[6], message[7]]);
    let report = match message[0] {
        0 => Report::Leader(value),
        1 => Report::Terminal,
        2 => Report::Entered,
        6 => Report::Listener,
        kind => Report::Failed(Step::decode(kind, index).ok_or(Errno::EBADMSG)?, Errno::from_raw(value)),
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
            Report::Failed(Step::Execute, Errno::ENOENT),
        ];
        let steps = STEPS.map(|step| Report::Failed(step, Errno::EIO));
        for sent in reports.into_iter().chain(steps) {
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
