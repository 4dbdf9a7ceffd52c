//! Asking an init of System V's kind for another run level, by the FIFO that it reads: what telinit(8) does inside.

use std::os::fd::AsFd;

use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::storage::tree::Tree;
use crate::sys::signal;
use crate::sys::to_errno;

const PLACE: &str = "/run/initctl";

/// A request as the FIFO takes it (sysvinit's initreq.h): four numbers, and room for what other commands carry.
const LENGTH: usize = 384;
const MAGIC: i32 = 0x0309_1969;
const CHANGE_RUN_LEVEL: i32 = 1;

/// Asks the init that is the leader, `pid`, to power off. `ENOENT` or `ENXIO` where it is none that reads there.
pub fn power_off(leader: impl AsFd, pid: i32) -> Result<(), Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open(format!("/proc/{pid}/root"), flags, Mode::empty())?;
    // Still there, so the number was its own when it was used.
    signal::pidfd_send_signal(leader, 0).map_err(to_errno)?;
    // What lies there is the container's: no link is followed, nothing but a FIFO taken, and nothing waited for.
    let fifo = Tree::from_fd(root).open_strict(PLACE, OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY)?;
    if FileType::from_raw_mode(rustix::fs::fstat(&fifo)?.st_mode) != FileType::Fifo {
        return Err(Errno::NOENT);
    }
    rustix::io::write(&fifo, &request(b'0')).map(drop)
}

fn request(run_level: u8) -> [u8; LENGTH] {
    let mut request = [0; LENGTH];
    let numbers = [MAGIC, CHANGE_RUN_LEVEL, i32::from(run_level)];
    for (field, number) in request.chunks_exact_mut(4).zip(numbers) {
        field.copy_from_slice(&number.to_ne_bytes());
    }
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_as_init_reads_it() {
        let request = request(b'0');
        assert_eq!(request[..4], 0x0309_1969i32.to_ne_bytes());
        assert_eq!(
            (request[4..8].to_vec(), request[8..12].to_vec()),
            (1i32.to_ne_bytes().to_vec(), 48i32.to_ne_bytes().to_vec())
        );
        assert!(request[12..].iter().all(|byte| *byte == 0));
    }
}
