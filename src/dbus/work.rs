//! The process of one call: started by the service with a socket as its standard input, it takes the call from there,
//! makes it, answers, and ends.

use std::io::Result as IoResult;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Stdio};

use super::fault::Fault;
use super::interface::{FollowUp, Run};
use super::node::Node;
use crate::cancellation::Cancellation;
use crate::dbus::packet::{self, Request, Response, Values, inner};
use crate::error::{Cause, Context, Error, Result};
use crate::machine::Host;
use crate::paths::Root;
use crate::sys::interrupt;
use crate::worker::helper::Helper;

/// A process that has answered, and may have more to do.
pub struct Worker(Child);

impl Worker {
    /// Waits for its end.
    pub fn wait(mut self) {
        let _ = self.0.wait();
    }
}

/// A call that was judged.
pub struct Job {
    /// The object's path.
    pub path: String,
    /// The interface.
    pub interface: &'static str,
    /// The method.
    pub method: &'static str,
    /// The containers that it is about.
    pub names: Vec<String>,
    /// The arguments.
    pub values: Values,
}

/// Has a process make the call, and waits for its answer.
pub fn delegate(job: Job) -> std::result::Result<(Values, Worker), Fault> {
    let Job { path, interface, method, names, values } = job;
    let lost = |error: std::io::Error| {
        Error::failed(format!("failed to have '{method}' done: {}", error.cause()))
            .hint("see 'journalctl -u containerctl'")
    };
    let (ours, theirs) = UnixStream::pair().map_err(lost)?;
    let worker = Worker(start(theirs).map_err(lost)?);
    let request: Request = (path, interface.into(), method.into(), names, values.bytes().to_vec());
    let answer =
        packet::send(&ours, &request, Some(&values)).and_then(|()| packet::receive::<Response>(&ours));
    match answer {
        Ok(((name, _, bytes), packet)) if name.is_empty() => {
            Ok((inner(bytes, &packet).map_err(lost)?, worker))
        }
        Ok(((name, text, _), _)) => {
            worker.wait();
            Err(Fault { name, text })
        }
        Err(error) => {
            worker.wait();
            Err(lost(error).into())
        }
    }
}

fn start(socket: UnixStream) -> IoResult<Child> {
    Helper::Call.command(&Root::system()).stdin(Stdio::from(OwnedFd::from(socket))).spawn()
}

/// The helper: makes the call that comes from standard input.
pub fn work() -> Result<()> {
    let failed = || "failed to talk to the bus service";
    let socket = rustix::io::fcntl_dupfd_cloexec(std::io::stdin(), 3).context(failed)?;
    // The method must find an ordinary standard input instead of the socket.
    let null = std::fs::File::open("/dev/null").context(failed)?;
    rustix::stdio::dup2_stdin(&null).context(failed)?;
    let follow_up = answer(&UnixStream::from(socket)).context(failed)?;
    // By now the descriptors of the answer are the caller's alone.
    if let Some(follow_up) = follow_up {
        follow_up();
    }
    Ok(())
}

/// Makes the call that comes from the socket, and answers.
fn answer(socket: &UnixStream) -> IoResult<Option<FollowUp>> {
    let ((path, interface, method, names, arguments), packet) = packet::receive::<Request>(socket)?;
    let arguments = inner(arguments, &packet)?;
    drop(packet);
    let (response, values, follow_up) = match make(&path, &interface, &method, &names, &arguments) {
        Ok((values, follow_up)) => (packet::success(&values), Some(values), follow_up),
        Err(fault) => (packet::failure(fault), None, None),
    };
    packet::send(socket, &response, values.as_ref()).map(|()| follow_up)
}

fn make(
    path: &str,
    interface: &str,
    method: &str,
    names: &[String],
    values: &Values,
) -> std::result::Result<(Values, Option<FollowUp>), Fault> {
    let interfaces = Node::of(path).map(|node| node.interfaces()).unwrap_or_default();
    let table = interfaces.iter().find(|table| table.name == interface);
    match table.and_then(|table| table.methods.iter().find(|row| row.name == method)).map(|row| &row.run) {
        Some(Run::Process(run)) => {
            let host = Host::new(Root::system()).cancelled_by(Cancellation::by(interrupt::catch));
            run(&host, names, values)
        }
        _ => Err(Fault::standard("UnknownMethod", format!("unknown method '{method}'"))),
    }
}
