//! poll(2).

use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollTimeout};

/// Waits until something has happened at one of `fds`, and returns at how many; none if `limit` is over first. A signal
/// handler that runs meanwhile does not end the wait. The limit is rounded up to milliseconds, as a wait that ends too
/// early makes a busy loop.
pub fn poll(fds: &mut [PollFd], limit: Option<Duration>) -> Result<usize, Errno> {
    let end = limit.and_then(|limit| Instant::now().checked_add(limit));
    let left = || end.map(|end| end.saturating_duration_since(Instant::now()));
    loop {
        match nix::poll::poll(fds, timeout(left())) {
            Err(Errno::EINTR) => {}
            // The longest limit of the kernel may be shorter than ours.
            Ok(0) if left().is_none_or(|left| !left.is_zero()) => {}
            result => return result.map(|ready| usize::try_from(ready).unwrap_or_default()),
        }
    }
}

/// Whether poll(2) has reported anything for a descriptor.
pub fn happened(fd: &PollFd) -> bool {
    fd.any().unwrap_or(false)
}

fn timeout(left: Option<Duration>) -> PollTimeout {
    let millis = left.map(|left| left.as_nanos().div_ceil(1_000_000));
    millis.map_or(PollTimeout::NONE, |millis| PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX))
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use nix::poll::PollFlags;

    use super::*;

    #[test]
    fn a_part_of_a_millisecond_is_waited_for() {
        assert_eq!(timeout(Some(Duration::from_nanos(1))), PollTimeout::from(1_u8));
        assert_eq!(timeout(None), PollTimeout::NONE);
    }

    #[test]
    fn a_wait_ends_by_its_limit_and_not_before() {
        let (reader, writer) = rustix::pipe::pipe().expect("pipe");
        let mut fds = [PollFd::new(reader.as_fd(), PollFlags::POLLIN)];
        let began = Instant::now();
        assert_eq!(poll(&mut fds, Some(Duration::from_micros(1500))), Ok(0));
        assert!(began.elapsed() >= Duration::from_micros(1500) && !happened(&fds[0]));
        rustix::io::write(&writer, b"x").expect("written");
        assert_eq!(poll(&mut fds, None), Ok(1));
        assert!(happened(&fds[0]));
        assert_eq!(poll(&mut fds, Some(Duration::MAX)), Ok(1));
    }
}
