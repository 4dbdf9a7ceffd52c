//! Messages between LXC's monitor, whose place we take, and a program that answers system calls: one packet for a
//! call, with three descriptors, and one for its answer.
//!
//! | bytes | a call | its answer |
//! |---|---|---|
//! | 8 | zero | zero |
//! | 4 | pid of the supervisor | ignored |
//! | 4 | pid of the container's first process | ignored |
//! | 3 × 2, 2 | sizes of the kernel's structures, and nothing | ignored |
//! | 8 | length of the cookie | ignored |
//! | `sizes.call` | `struct seccomp_notif` | the same |
//! | `sizes.answer` | `struct seccomp_notif_resp` with the call's number and else zero | filled in |
//! | the rest | the cookie | must not be there |
//!
//! Numbers are in the machine's byte order. Descriptors: `/proc/PID` of who makes the call, its `mem`, open for reading
//! and writing, and the listener.

use crate::sys::listener::{self, Sizes};

/// Bytes before the kernel's structures.
const HEADER: usize = 32;

/// The process that makes the call.
#[derive(Clone, Copy, Debug)]
pub struct Asking {
    /// The supervisor.
    pub supervisor: i32,
    /// The container's first process.
    pub leader: i32,
}

/// An answer as the program gave it.
#[derive(Debug, PartialEq, Eq)]
pub struct Reply<'a> {
    /// Number of the call that it was sent, and sends back.
    pub asked: u64,
    /// The answer as the kernel takes it: with `SECCOMP_USER_NOTIF_FLAG_CONTINUE` the call is allowed.
    pub answer: &'a [u8],
}

impl Reply<'_> {
    /// Number of the call that is answered.
    pub fn answered(&self) -> u64 {
        listener::id(self.answer)
    }
}

/// The packet for a call.
pub fn encode(asking: Asking, sizes: Sizes, call: &[u8], cookie: &[u8]) -> Vec<u8> {
    let mut message = vec![0; 8];
    message.extend(asking.supervisor.to_ne_bytes());
    message.extend(asking.leader.to_ne_bytes());
    for size in [sizes.call, sizes.answer, sizes.data, 0] {
        message.extend(size.to_ne_bytes());
    }
    message.extend((cookie.len() as u64).to_ne_bytes());
    message.extend(call);
    let mut answer = listener::id(call).to_ne_bytes().to_vec();
    answer.resize(usize::from(sizes.answer), 0);
    message.extend(answer);
    message.extend(cookie);
    message
}

/// The answer in a packet; `None` if it is none.
pub fn decode(message: &[u8], sizes: Sizes) -> Option<Reply<'_>> {
    let (header, rest) = message.split_at_checked(HEADER)?;
    let (call, answer) = rest.split_at_checked(usize::from(sizes.call))?;
    let zero = header.starts_with(&[0; 8]);
    let whole = answer.len() == usize::from(sizes.answer);
    (zero && whole).then(|| Reply { asked: listener::id(call), answer })
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::errno::Errno;
    use proptest::prelude::*;

    const SIZES: Sizes = Sizes { call: 80, answer: 24, data: 64 };
    const ASKING: Asking = Asking { supervisor: 7, leader: 8 };

    fn call() -> Vec<u8> {
        let mut call = vec![9; 80];
        call[..8].copy_from_slice(&1234u64.to_ne_bytes());
        call
    }

    #[test]
    fn a_call_has_everything_where_proxies_look_for_it() {
        let message = encode(ASKING, SIZES, &call(), b"cookie");
        assert_eq!(message.len(), 32 + 80 + 24 + 6);
        let number = |at: usize| u64::from_ne_bytes(message[at..at + 8].try_into().expect("eight"));
        assert_eq!((number(0), number(24), number(32), number(112)), (0, 6, 1234, 1234));
        assert_eq!(message[8..12], 7i32.to_ne_bytes());
        assert_eq!(message[12..16], 8i32.to_ne_bytes());
        assert_eq!(message[16..24], [80u16, 24, 64, 0].map(u16::to_ne_bytes).concat());
        assert_eq!(message[32..112], call());
        assert!(message[120..136].iter().all(|byte| *byte == 0));
        assert_eq!(message[136..], *b"cookie");
    }

    #[test]
    fn an_answer_comes_back_without_the_cookie() {
        let mut message = encode(ASKING, SIZES, &call(), b"");
        message.truncate(112);
        message.extend(listener::failure(1234, Errno::EPERM, SIZES));
        let reply = decode(&message, SIZES).expect("an answer");
        assert_eq!((reply.asked, reply.answered()), (1234, 1234));
        assert_eq!(reply.answer[16..20], (-libc::EPERM).to_ne_bytes());
        // Whoever sends the cookie back speaks something else, and so does whoever fills in what is reserved.
        assert!(decode(&[&message[..], b"cookie"].concat(), SIZES).is_none());
        assert!(decode(&message[..135], SIZES).is_none());
        message[0] = 1;
        assert!(decode(&message, SIZES).is_none());
    }

    proptest! {
        #[test]
        fn what_is_taken_for_an_answer_has_its_length(message in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Some(reply) = decode(&message, SIZES) {
                prop_assert_eq!((message.len(), reply.answer.len()), (136, 24));
            }
        }
    }
}
