//! The parent's half of clone: starts the assembler, learns of the leader, and leads both to exec.
//!
//! [`Spawned`] → [`Spawned::placed`] → [`Spawned::enter`]: each consumes the one before, so that no step can be
//! left out. One that is dropped on the way ends both children.

use std::ffi::OsString;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::unistd::Pid;

use crate::child::assembler::{self, Assembler};
use crate::child::label::{self, Label};
use crate::child::leader::Leader;
use crate::child::message::{Order, Report, Step, order, receive};
use crate::error::{Context, Error, Result};
use crate::runtime::directory::Runtime;
use crate::runtime::namespaces::Namespace;
use crate::sandbox::lsm;
use crate::sandbox::mounts::open_sources;
use crate::sandbox::plan::Plan;
use crate::storage::host_path::HostPaths;
use crate::storage::tree::Tree;
use crate::supervisor::intercept::outside::Outside;
use crate::sys::exec::{StringList, c_string};
use crate::sys::idmap::{IdRange, write_maps};
use crate::sys::memory::Memory;
use crate::sys::seccomp::Filters;
use crate::sys::signal::pidfd_send_signal;
use crate::sys::{clone, pidfd, scm};

/// Inputs to [`spawn`].
pub struct SpawnContext<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// The root file system.
    pub tree: &'a Tree,
    /// Opens what the plan names of the host.
    pub paths: &'a HostPaths,
    /// The ids, where they are not the host's.
    pub ids: Option<IdRange>,
    /// The machine's run-time directory.
    pub runtime: &'a Runtime,
    /// System call filters.
    pub filters: &'a Filters,
    /// A network namespace that is there already, where the container joins one.
    pub network: Option<&'a OwnedFd>,
}

/// A leader that waits to be placed in a cgroup, while the assembler mounts.
pub struct Spawned<'a> {
    plan: &'a Plan,
    assembler: Child,
    leader: Child,
}

/// A child and our end of the socket to it.
struct Child {
    pid: Pid,
    pidfd: Option<OwnedFd>,
    socket: OwnedFd,
}

impl Drop for Child {
    /// A child whose pidfd was not taken over is one that must not live on.
    fn drop(&mut self) {
        if let Some(pidfd) = &self.pidfd {
            let _ = pidfd_send_signal(pidfd, libc::SIGKILL);
            let _ = clone::wait(pidfd);
        }
    }
}

/// A payload that was executed.
pub struct Running {
    /// The leader.
    pub leader: OwnedFd,
    /// The masters of its terminals.
    pub terminals: Terminals,
}

/// Masters of terminals.
pub struct Terminals {
    /// That of the console.
    pub console: OwnedFd,
    /// Masters of the other terminals, in the order of their numbers.
    pub ttys: Vec<OwnedFd>,
}

/// Clones the assembler, which clones the leader, and gives the leader its ids.
pub fn spawn<'a>(context: &SpawnContext<'a>) -> Result<Spawned<'a>> {
    let plan = context.plan;
    // Sources first: one that is missing is told while nothing has been made yet.
    let (outside, inside) = (
        open_sources(&plan.outside, context.tree, context.paths)?,
        open_sources(&plan.inside, context.tree, context.paths)?,
    );
    let pair = || scm::pair().context(|| "failed to create a socket pair");
    let ((ours, theirs), (ours_of_leader, theirs_of_leader)) = (pair()?, pair()?);
    let command = StringList::of(plan.command.iter().map(OsString::from))?;
    let environment = StringList::of(environment(plan))?;
    let directory = plan.working_directory.as_deref().unwrap_or("/".as_ref());
    let directory = c_string(directory.as_os_str().to_os_string())?;
    let labels = labels(plan);
    let private_network = plan.namespaces.contains(&Namespace::Net);
    let leader = Leader {
        supervisor: theirs_of_leader.as_fd(),
        inside: &plan.inside,
        sources: &inside,
        hostname: &plan.hostname,
        private_network,
        capabilities: plan.capability_mask,
        ambient: plan.ambient_mask,
        no_new_privileges: plan.no_new_privileges,
        labels: &labels,
        filters: context.filters,
        command: &command,
        environment: &environment,
        working_directory: &directory,
        own_init: plan.own_init.then(|| Memory::of(context.ids)),
        controlling_terminal: plan.init.is_none() && !plan.own_init,
    };
    let (staging, blank, blank_dir) =
        (context.runtime.path("root"), context.runtime.path("blank"), context.runtime.path("blank.d"));
    let assembler = Assembler {
        plan,
        outside: &outside,
        inside: &inside,
        supervisor: theirs.as_fd(),
        parents: [ours.as_raw_fd(), ours_of_leader.as_raw_fd()],
        staging: &staging,
        blank: (&blank, &blank_dir),
        owner: context.ids.map_or(0, |ids| ids.base),
        namespaces: plan.clone_flags(),
        network: context.network.map(AsFd::as_fd),
        leader: &leader,
    };
    let child = clone::spawn(libc::CLONE_NEWNS, || assembler::run(&assembler))?;
    drop((theirs, theirs_of_leader));
    meet(context, child, ours, ours_of_leader)
}

/// Waits for the leader, which is our child too, and writes its id maps.
fn meet<'a>(
    context: &SpawnContext<'a>,
    (pid, pidfd): (Pid, OwnedFd),
    socket: OwnedFd,
    leader_socket: OwnedFd,
) -> Result<Spawned<'a>> {
    let assembler = Child { pid, pidfd: Some(pidfd), socket };
    let failed = || "failed to start the container's first process";
    let leader = match receive(&assembler.socket).context(failed)? {
        Some((Report::Leader(pid), Some(pidfd))) => {
            Child { pid: Pid::from_raw(pid), pidfd: Some(pidfd), socket: leader_socket }
        }
        other => return Err(explain(context.plan, other.map(|(report, _)| report))),
    };
    if let Some(ids) = context.ids {
        write_maps(leader.pid, ids)?;
    }
    order(&leader.socket, Order::Mapped).context(failed)?;
    order(&assembler.socket, Order::Mapped).context(failed)?;
    Ok(Spawned { plan: context.plan, assembler, leader })
}

impl<'a> Spawned<'a> {
    /// The leader's number.
    pub fn leader(&self) -> Pid {
        self.leader.pid
    }

    /// The leader's network namespace; the leader waits in it.
    pub fn network(&self) -> Result<OwnedFd> {
        let failed = || "failed to open the container's network namespace";
        let pidfd = self.leader.pidfd.as_ref().ok_or(Errno::ESRCH).context(failed)?;
        match pidfd::network_namespace(pidfd) {
            // It has ended, and has said why.
            Err(Errno::ESRCH) => {
                let report = receive(&self.leader.socket).context(failed)?;
                Err(self.explain(report.map(|(report, _)| report)))
            }
            namespace => namespace.context(failed),
        }
    }

    /// The leader sits in its cgroup: lets it enter a cgroup namespace, and the assembler finish the mounts.
    pub fn placed(mut self) -> Result<Assembled<'a>> {
        let failed = || "failed to lead the container's first process on";
        // A child that has failed meanwhile does not listen, but has said why.
        let _ = order(&self.leader.socket, Order::Placed);
        match receive(&self.leader.socket).context(failed)? {
            Some((Report::Entered, _)) => {}
            other => return Err(self.explain(other.map(|(report, _)| report))),
        }
        let _ = order(&self.assembler.socket, Order::Placed);
        let mut masters = Vec::new();
        while let Some((report, fd)) = receive(&self.assembler.socket).context(failed)? {
            match (report, fd) {
                (Report::Terminal, Some(master)) => masters.push(master),
                (report, _) => return Err(self.explain(Some(report))),
            }
        }
        let mut ttys = masters.into_iter();
        match (self.assembler.pidfd.take().map(|pidfd| clone::wait(&pidfd)), ttys.next()) {
            (Some(Ok(Some(0))), Some(console)) => {
                let terminals = Terminals { console, ttys: ttys.collect() };
                Ok(Assembled { plan: self.plan, leader: self.leader, terminals })
            }
            _ => Err(self.explain(None)),
        }
    }

    fn explain(&self, report: Option<Report>) -> Error {
        explain(self.plan, report)
    }
}

/// A leader whose root is in place.
pub struct Assembled<'a> {
    plan: &'a Plan,
    leader: Child,
    terminals: Terminals,
}

impl Assembled<'_> {
    /// Lets the leader execute the payload; `outside` has its calls answered, from the moment on when its filter asks.
    pub fn enter(mut self, outside: &mut Option<Outside>) -> Result<Running> {
        let failed = || "failed to lead the container's first process on";
        order(&self.leader.socket, Order::Enter).context(failed)?;
        loop {
            if let Some(outside) = outside {
                outside.serve_until_readable(&self.leader.socket)?;
            }
            // exec closes the other end; anything said before that is a failure, or the listener.
            match (receive(&self.leader.socket).context(failed)?, &mut *outside) {
                (None, _) => break,
                (Some((Report::Listener, Some(listener))), Some(outside)) => outside.add(listener),
                (Some((report, _)), _) => return Err(explain(self.plan, Some(report))),
            }
        }
        // Not waited for, so the number is still the leader's. Dropping it on an error ends it.
        lsm::verify(self.leader.pid.as_raw(), &self.plan.labels)?;
        match self.leader.pidfd.take() {
            Some(pidfd) => Ok(Running { leader: pidfd, terminals: self.terminals }),
            None => Err(explain(self.plan, None)),
        }
    }
}

/// The sentence for a step that failed.
fn explain(plan: &Plan, report: Option<Report>) -> Error {
    let Some(Report::Failed(step, errno)) = report else {
        return Error::failed("the container's first process ended before it was complete");
    };
    let what = match step {
        Step::Outside(index) => plan.outside.get(usize::from(index)).map(ToString::to_string),
        Step::Inside(index) => plan.inside.get(usize::from(index)).map(ToString::to_string),
        step => Some(with_object(step, plan)),
    };
    let what = what.unwrap_or_else(|| format!("do {step:?}"));
    let error = Error::failed(format!("failed to {what}: {}", errno.desc()));
    match (step, errno) {
        (Step::Outside(0), Errno::EINVAL) => {
            error.hint("its file system may not support idmapped mounts; move it, or set PrivateUsers=no")
        }
        (Step::LoadFilter, Errno::EBUSY) => {
            error.hint("this host is in a container whose own filter has a listener, and there cannot be two")
        }
        _ => error,
    }
}

/// A step's text with the path that it was tried on, where that is the user's to mend.
fn with_object(step: Step, plan: &Plan) -> String {
    let text = step.text();
    match (step, plan.command.first(), &plan.working_directory) {
        (Step::Execute, Some(program), _) => format!("execute '{program}' in the container"),
        (Step::WorkingDirectory, _, Some(path)) => format!("{text} '{}'", path.display()),
        _ => text.to_string(),
    }
}

/// Labels that the leader asks for. Our own init executes nothing.
fn labels(plan: &Plan) -> Vec<Label> {
    let from = if plan.own_init { label::Moment::Now } else { label::Moment::Exec };
    let apparmor = plan.labels.apparmor.as_deref().map(|profile| Label::apparmor(profile, from));
    apparmor.into_iter().chain(plan.labels.selinux.as_deref().map(|it| Label::selinux(it, from))).collect()
}

fn environment(plan: &Plan) -> impl Iterator<Item = OsString> {
    plan.environment.iter().map(|(key, value)| format!("{key}={value}").into())
}
