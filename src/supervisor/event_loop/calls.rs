//! The calls that a program outside answers, among all else that is watched.

use std::os::fd::OwnedFd;
use std::time::Duration;

use nix::poll::PollFlags;

use super::sources::{Interest, Source, Sources};
use super::{EventLoop, monotonic};
use crate::supervisor::intercept::Taking;
use crate::supervisor::stored_fds;

impl EventLoop<'_> {
    /// Adds what they are told by.
    pub(super) fn add_calls<'a>(&'a self, sources: &mut Sources<'a>) {
        for (fd, wanted) in self.interceptor.iter().flat_map(|it| it.watched(self.taking())) {
            let interest = if wanted == PollFlags::POLLIN { Interest::Read } else { Interest::End };
            sources.add(Source::Calls, fd, interest);
        }
    }

    /// When one of them will have waited for too long.
    pub(super) fn call_limit(&self, now: Duration) -> Option<Duration> {
        self.interceptor.as_ref().and_then(|interceptor| interceptor.limit(now))
    }

    /// Takes calls and answers, and gives up waiting.
    pub(super) fn serve_calls(&mut self) {
        let (taking, now) = (self.taking(), monotonic());
        if let Some(interceptor) = &mut self.interceptor {
            interceptor.serve(taking, now).iter().for_each(|why| self.journal.warning(why));
        }
    }

    /// Answers on the listener of an attached process, too. One that is closed here makes its calls fail with ENOSYS.
    pub(super) fn listen(&mut self, listener: OwnedFd) {
        let Some(interceptor) = &mut self.interceptor else { return };
        if !interceptor.has_room() {
            let why = "too many attached processes have system calls that are answered outside";
            return self.journal.warning(why);
        }
        if let Err(error) = stored_fds::store_listener(&listener) {
            self.journal.warning(&format!("{error}, ignoring"));
        }
        interceptor.add(listener);
    }

    fn taking(&self) -> Taking {
        if self.makes_way() { Taking::No } else { Taking::Yes }
    }
}
