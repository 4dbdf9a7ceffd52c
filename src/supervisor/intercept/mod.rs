//! System calls that a program outside answers: the action `notify` of LXC's seccomp profiles.
//!
//! ```text
//! payload ──call──► kernel ──listener──► supervisor ──packet──► proxy   (SeccompNotifyProxy=)
//!            waits   ◄──────── answer ──┘            ◄──packet──┘
//! ```
//!
//! We are in the place of LXC's monitor, and speak its protocol ([`message`]), so that what answers LXC's containers
//! answers ours. Other than that monitor we never wait for the program: it may have several calls at a time, answers
//! them in any order, and each in [`PATIENCE`]. A call that it does not answer in time, or answers in a way that the
//! kernel does not take, one that it is not there for, and all that it had when it went, fail with ENOSYS. It is looked
//! for again with the next call.
//!
//! The listener is in the service manager's store, and calls wait in the kernel while we are gone. Those that had been
//! taken are written down beside it ([`Calls`]): a successor does not know what became of them, lets them fail, and
//! nothing is done twice. A supervisor that makes way for a new program does so between calls.
//!
//! Every process that is attached has a filter of its own, for the kernel shares none, and so a listener of its own; it
//! comes by the control socket, and leaves the store by itself when the last process behind it has ended.
//!
//! No process and no thread of its own: it would have to be watched, handed over and kept as we are, for the sake of a
//! few descriptors in a loop that is there.

/// Messages on the connection.
pub mod message;
/// The program at a start.
pub mod outside;
/// The connection.
pub mod proxy;

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags};
use rustix::fs::{Mode, OFlags};

use self::message::Asking;
use self::proxy::{Address, News, Proxy};
use crate::error::{Context, Result};
use crate::supervisor::console::rate::{RateLimit, Verdict};
use crate::sys::listener::{self, Call, Calls, SLOTS, Sizes};
use crate::sys::poll::poll;

/// Time limit for an answer of the program; LXC's monitor waits as long.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// The listeners of the payload and of so many attached processes; the calls of more fail with ENOSYS.
const LISTENERS: usize = 65;
/// Failures logged per minute: a process inside that makes calls can make them fail, too.
const COMPLAINTS: u32 = 10;

/// The descriptors that outlive a supervisor.
pub struct StoredCalls {
    /// The payload's listener and those of attached processes.
    pub listeners: Vec<OwnedFd>,
    /// The calls that were taken.
    pub calls: OwnedFd,
}

/// All that it takes to have calls answered.
pub struct Interceptor {
    asking: Asking,
    sizes: Sizes,
    proxy: Proxy,
    calls: Calls,
    listeners: Vec<Rc<OwnedFd>>,
    pending: Vec<Pending>,
    complaints: Vec<String>,
    rate: RateLimit,
}

/// A call that the program has.
struct Pending {
    listener: Rc<OwnedFd>,
    slot: usize,
    id: u64,
    until: Duration,
}

impl Interceptor {
    /// Takes up what was kept, for the payload of `leader`.
    pub fn new(stored: StoredCalls, address: Address, leader: i32) -> Result<Interceptor> {
        let failed = || "failed to take up the calls that are answered outside";
        let interceptor = Interceptor {
            asking: Asking { supervisor: std::process::id() as i32, leader },
            sizes: Sizes::of_the_kernel().context(failed)?,
            proxy: Proxy::new(address),
            calls: Calls::from_fd(stored.calls).context(failed)?,
            listeners: stored.listeners.into_iter().map(Rc::new).collect(),
            pending: Vec::new(),
            complaints: Vec::new(),
            rate: RateLimit::new(Duration::from_secs(60), COMPLAINTS),
        };
        interceptor.fail_left();
        Ok(interceptor)
    }

    /// Lets the calls fail that a predecessor had taken. Numbers are the listeners' own, and begin anywhere.
    fn fail_left(&self) {
        for slot in 0..SLOTS {
            if let Some(call) = self.calls.get(slot) {
                self.listeners.iter().for_each(|listener| _ = self.refuse(listener, call.id()));
                self.calls.clear(slot);
            }
        }
    }

    /// Whether one more listener can be answered on.
    pub fn has_room(&self) -> bool {
        self.listeners.len() < LISTENERS
    }

    /// One more listener: the payload's, or that of a process that was attached.
    pub fn add(&mut self, listener: OwnedFd) {
        self.listeners.push(Rc::new(listener));
    }

    /// The descriptors to poll: every listener, and the program. New calls wait in the kernel while `calls` are not wanted,
    /// or no more can be taken.
    pub fn watched(&self, calls: Taking) -> impl Iterator<Item = (BorrowedFd<'_>, PollFlags)> {
        let take = calls == Taking::Yes && self.pending.len() < SLOTS;
        let wanted = if take { PollFlags::POLLIN } else { PollFlags::empty() };
        let listeners = self.listeners.iter().map(move |listener| (listener.as_fd(), wanted));
        listeners.chain(self.proxy.connection().map(|fd| (fd, PollFlags::POLLIN)))
    }

    /// When to look again though nothing has happened.
    pub fn limit(&self, now: Duration) -> Option<Duration> {
        self.pending.iter().map(|call| call.until.saturating_sub(now)).min()
    }

    /// Whether the program has no call now.
    pub fn is_idle(&self) -> bool {
        self.pending.is_empty()
    }

    /// Takes in what has happened. The result is what there is to complain of, if not too often.
    pub fn serve(&mut self, calls: Taking, now: Duration) -> Vec<String> {
        let events = self.events(calls);
        let (of_listeners, of_proxy) = events.split_at(self.listeners.len());
        if of_proxy.iter().any(|flags| !flags.is_empty()) {
            self.hear();
        }
        self.give_up_late(now);
        let listeners: Vec<_> = self.listeners.iter().cloned().zip(of_listeners.iter().copied()).collect();
        for (listener, flags) in listeners {
            if flags.contains(PollFlags::POLLIN) {
                self.take(&listener, now);
            }
            // Nobody is left who could make a call.
            if flags.intersects(PollFlags::POLLHUP | PollFlags::POLLERR | PollFlags::POLLNVAL) {
                self.forget(&listener);
            }
        }
        let mut complaints = std::mem::take(&mut self.complaints);
        complaints.retain(|_| matches!(self.rate.judge(now), Verdict::Pass { .. }));
        complaints
    }

    /// Events in the order of [`Interceptor::watched`].
    fn events(&self, calls: Taking) -> Vec<PollFlags> {
        let mut fds: Vec<_> = self.watched(calls).map(|(fd, wanted)| PollFd::new(fd, wanted)).collect();
        let _ = poll(&mut fds, Some(Duration::ZERO));
        fds.iter().map(|fd| fd.revents().unwrap_or(PollFlags::empty())).collect()
    }

    /// The descriptors to store for the next supervisor.
    pub fn into_stored(self) -> StoredCalls {
        drop(self.pending);
        let listeners = self.listeners.into_iter().filter_map(Rc::into_inner).collect();
        StoredCalls { listeners, calls: self.calls.into_fd() }
    }

    /// Takes a call, and passes it on.
    fn take(&mut self, listener: &Rc<OwnedFd>, now: Duration) {
        let free = |slot: &usize| self.pending.iter().all(|call| call.slot != *slot);
        let Some(slot) = (0..SLOTS).find(free) else { return };
        // Whoever made it may have been interrupted meanwhile.
        let Ok(call) = self.calls.take(listener, slot) else { return };
        let pending = Pending { listener: listener.clone(), slot, id: call.id(), until: now + PATIENCE };
        match self.ask(listener, &call) {
            Ok(()) => self.pending.push(pending),
            Err(why) => self.fail(&pending, &why),
        }
    }

    /// Sends a call to the program, to a new one where the one that had our calls is gone.
    fn ask(&mut self, listener: &OwnedFd, call: &Call) -> std::result::Result<(), String> {
        let failed = |errno: rustix::io::Errno| format!("who makes a call cannot be looked at: {errno}");
        let (process, memory) = look_at(call.pid()).map_err(failed)?;
        // The number was still the caller's when its files were opened.
        if !listener::is_waiting(listener, call.id()) {
            return Err("who makes a call is gone".to_string());
        }
        let message = message::encode(self.asking, self.sizes, call.bytes(self.sizes), self.proxy.cookie());
        let fds = [process.as_raw_fd(), memory.as_raw_fd(), listener.as_raw_fd()];
        let connected = self.proxy.connection().is_some();
        let mut sent = self.proxy.send(&message, &fds);
        if sent.is_err() && connected {
            self.lose("the program is gone");
            sent = self.proxy.send(&message, &fds);
        }
        sent.map_err(|errno| format!("nobody listens at '{}': {}", self.proxy.socket(), errno.desc()))
    }

    /// Takes the program's answers.
    fn hear(&mut self) {
        loop {
            match self.proxy.receive() {
                News::Nothing => return,
                News::Gone => return self.lose("the program is gone"),
                News::Packet(packet) => match message::decode(&packet, self.sizes) {
                    Some(reply) => self.pass_on(&reply),
                    None => return self.lose("the program does not speak LXC's protocol"),
                },
            }
        }
    }

    /// Gives the kernel an answer. One to no call of ours came too late, and is nothing.
    fn pass_on(&mut self, reply: &message::Reply) {
        let place = |id| self.pending.iter().position(|call| call.id == id);
        let (call, taken) = match (place(reply.answered()), place(reply.asked)) {
            (Some(index), _) => {
                let call = self.pending.swap_remove(index);
                let taken = listener::answer(&call.listener, reply.answer);
                (call, taken)
            }
            (None, Some(index)) => (self.pending.swap_remove(index), Err(Errno::EBADMSG)),
            (None, None) => return,
        };
        match taken {
            // It was interrupted, or the program has answered by itself: it has the listener.
            Ok(()) | Err(Errno::ENOENT | Errno::EINPROGRESS) => self.calls.clear(call.slot),
            Err(errno) => self.fail(&call, &format!("its answer is of no use: {}", errno.desc())),
        }
    }

    /// Lets all fail that the program has, and hangs up.
    fn lose(&mut self, why: &str) {
        self.proxy.hang_up();
        std::mem::take(&mut self.pending).iter().for_each(|call| self.fail(call, why));
    }

    /// Lets those fail whose time is over; and where there is no room left, forgets those that nobody waits for.
    fn give_up_late(&mut self, now: Duration) {
        let full = self.pending.len() == SLOTS;
        let gone = |call: &Pending| full && !listener::is_waiting(&call.listener, call.id);
        for call in self.pending.extract_if(.., |call| now >= call.until || gone(call)).collect::<Vec<_>>() {
            self.fail(&call, "it was not answered in time");
        }
    }

    fn forget(&mut self, gone: &Rc<OwnedFd>) {
        self.listeners.retain(|listener| !Rc::ptr_eq(listener, gone));
        let over = self.pending.extract_if(.., |call| Rc::ptr_eq(&call.listener, gone));
        over.for_each(|call| self.calls.clear(call.slot));
    }

    /// Lets a call fail, if anybody still waits for it.
    fn fail(&mut self, call: &Pending, why: &str) {
        if self.refuse(&call.listener, call.id) {
            self.complaints.push(format!("a system call that is answered outside fails with ENOSYS: {why}"));
        }
        self.calls.clear(call.slot);
    }

    /// False if nobody waits for it any more.
    fn refuse(&self, listener: &OwnedFd, id: u64) -> bool {
        listener::answer(listener, &listener::failure(id, Errno::ENOSYS, self.sizes)).is_ok()
    }
}

/// Whether new calls are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taking {
    /// They are.
    Yes,
    /// They wait: we are about to make way for another program.
    No,
}

/// `/proc/PID` and its `mem`, of one and the same process.
fn look_at(pid: i32) -> std::result::Result<(OwnedFd, OwnedFd), rustix::io::Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let process = rustix::fs::open(format!("/proc/{pid}"), flags, Mode::empty())?;
    let memory = rustix::fs::openat(&process, "mem", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    Ok((process, memory))
}

#[cfg(test)]
mod tests;
