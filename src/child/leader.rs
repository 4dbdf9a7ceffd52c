//! The container's PID 1 until it executes the payload.
//!
//! Every step reads only what was computed before the clone. The rights go last: whatever needs them is done by
//! then, and nothing of the payload has run.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno as NixErrno;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::MountPropagationFlags;
use rustix::thread::UnshareFlags;

use crate::child::init;
use crate::child::label::{self, Label};
use crate::child::message::{Failed, Order, Report, Step, at, await_order, raw, report};
use crate::sandbox::mounts::{Assembly, Sources};
use crate::sandbox::operation::Operation;
use crate::sandbox::userns;
use crate::storage::tree::Tree;
use crate::sys::capabilities::Mask;
use crate::sys::capabilities::drop_capabilities;
use crate::sys::clone::exit_now;
use crate::sys::exec::{StringList, close_on_exec_from, execve};
use crate::sys::memory::Memory;
use crate::sys::seccomp::{Filter, Filters};
use crate::sys::to_errno;
use crate::sys::{keyring, seccomp, signal, tty};

/// Everything the leader needs, ready before the clone.
pub struct Leader<'a> {
    /// Our end of the socket to the supervisor; closed by exec.
    pub supervisor: BorrowedFd<'a>,
    /// Mounts that the leader makes itself, with their sources.
    pub inside: &'a [Operation],
    /// Sources of those.
    pub sources: &'a Sources,
    /// The kernel's host name.
    pub hostname: &'a str,
    /// The network namespace is new, so its loopback interface is down.
    pub private_network: bool,
    /// Capabilities that are kept.
    pub capabilities: Mask,
    /// Of these, the ones that programs inherit which are not root's.
    pub ambient: Mask,
    /// Set no_new_privs.
    pub no_new_privileges: bool,
    /// Labels to have from exec on, or from now on as the container's own init.
    pub labels: &'a [Label],
    /// System call filters.
    pub filters: &'a Filters,
    /// Program and arguments.
    pub command: &'a StringList,
    /// The environment.
    pub environment: &'a StringList,
    /// The working directory.
    pub working_directory: &'a CStr,
    /// Stay as the container's init instead of executing one.
    pub own_init: Option<Memory>,
    /// Take the console as controlling terminal, as a command that is no init expects.
    pub controlling_terminal: bool,
}

/// Runs the leader until it executes the payload; never returns.
pub fn run(leader: &Leader) -> ! {
    let Err((step, errno)) = enter(leader);
    let errno = NixErrno::from_raw(errno.raw_os_error());
    let _ = report(leader.supervisor, Report::Failed(step, errno), None);
    exit_now(1)
}

/// The steps, in the one order that works.
fn enter(this: &Leader) -> Result<std::convert::Infallible, Failed> {
    at(Step::BecomeRoot, become_root(this))?;
    at(Step::JoinKeyring, raw(keyring::join_new_session_keyring()))?;
    at(Step::SetHostname, rustix::system::sethostname(this.hostname.as_bytes()))?;
    if this.private_network {
        at(Step::Loopback, loopback_up())?;
    }
    // Only now that the cgroup is ours can it become the root of our view.
    let cgroup = Step::UnshareCgroup;
    at(cgroup, raw(await_order(this.supervisor, Order::Placed)))?;
    at(cgroup, unshare(UnshareFlags::NEWCGROUP))?;
    at(cgroup, raw(report(this.supervisor, Report::Entered, None)))?;
    // The assembler has changed our root; copying its mounts from a lesser user namespace locks them.
    at(Step::UnshareMounts, raw(await_order(this.supervisor, Order::Enter)))?;
    at(Step::UnshareMounts, unshare(UnshareFlags::NEWNS))?;
    at(Step::UnshareMounts, rustix::process::chdir("/"))?;
    mount_inside(this)?;
    let shared = MountPropagationFlags::SHARED | MountPropagationFlags::REC;
    at(Step::MakeShared, rustix::mount::mount_change("/", shared))?;
    at(Step::OpenConsole, take_console(this))?;
    rustix::process::umask(Mode::from_raw_mode(0o022));
    at(Step::DropCapabilities, drop_capabilities(this.capabilities, this.ambient))?;
    if this.no_new_privileges {
        at(Step::NoNewPrivileges, rustix::thread::set_no_new_privs(true))?;
    }
    at(Step::WorkingDirectory, rustix::process::chdir(this.working_directory))?;
    signal::reset_all();
    at(Step::CloseDescriptors, close_on_exec())?;
    for wanted in this.labels {
        at(Step::SetLabel, label::ask_for(wanted))?;
    }
    for filter in this.filters {
        load(this, filter)?;
    }
    match this.own_init {
        Some(memory) => init::run(memory),
        None => execute(this),
    }
}

fn become_root(this: &Leader) -> Result<(), Errno> {
    // No debugger in the namespaces may look into us before exec.
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
    raw(await_order(this.supervisor, Order::Mapped))?;
    userns::become_root()
}

/// Sets `lo` up (netdevice(7)); every distribution expects to find it so or does it again.
fn loopback_up() -> Result<(), Errno> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
    let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    raw(crate::sys::net::set_up(&socket, c"lo"))
}

fn mount_inside(this: &Leader) -> Result<(), Failed> {
    let root = Step::Inside(0);
    let open = || rustix::fs::open("/", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    let (tree, file, dir) = (at(root, open())?, at(root, open())?, at(root, open())?);
    let assembly = Assembly { tree: Tree::from_fd(tree), owner: 0, blank: (file, dir) };
    for (index, (operation, source)) in this.inside.iter().zip(this.sources).enumerate() {
        at(Step::Inside(index as u16), assembly.apply(operation, source.as_ref()))?;
    }
    Ok(())
}

/// Makes the console our standard input, output and error.
fn take_console(this: &Leader) -> Result<(), Errno> {
    rustix::process::setsid()?;
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let console = rustix::fs::open("/dev/console", flags, Mode::empty())?;
    if this.controlling_terminal {
        raw(tty::set_controlling(&console))?;
    }
    rustix::stdio::dup2_stdin(&console)?;
    rustix::stdio::dup2_stdout(&console)?;
    rustix::stdio::dup2_stderr(&console)
}

/// From the moment on that a filter listens, any call may wait for the supervisor's answer; but not the one by which
/// the listener is handed over.
fn load(this: &Leader, filter: &Filter) -> Result<(), Failed> {
    let loaded = seccomp::load(&filter.program, filter.listening);
    match at(Step::LoadFilter, raw(loaded))? {
        Some(listener) => {
            let sent = report(this.supervisor, Report::Listener, Some(listener.as_fd()));
            at(Step::SendListener, raw(sent))
        }
        None => Ok(()),
    }
}

fn close_on_exec() -> Result<(), Errno> {
    raw(close_on_exec_from(3))
}

fn execute(this: &Leader) -> Result<std::convert::Infallible, Failed> {
    let errno = execve(this.command, this.environment);
    Err((Step::Execute, to_errno(errno)))
}

fn unshare(flags: UnshareFlags) -> Result<(), Errno> {
    // SAFETY: one thread, and neither flag that is used here shares or parts file descriptors.
    unsafe { rustix::thread::unshare_unsafe(flags) }
}
