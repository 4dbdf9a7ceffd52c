use std::os::fd::AsRawFd;
use std::sync::mpsc;
use std::thread::JoinHandle;

use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket};

use super::*;
use crate::sys::scm;
use crate::sys::seccomp::{Instruction, Listening, load};

const NOW: Duration = Duration::from_secs(1000);
/// linux/bpf_common.h: load a word; compare; return.
const LOAD: u16 = 0x20;
const EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;

/// A thread that asks about getpriority(2) and makes that call; its listener, and what the call will have given.
fn caller() -> (OwnedFd, JoinHandle<std::result::Result<i32, rustix::io::Errno>>) {
    let instruction = |code, jf, k| Instruction { code, jt: 0, jf, k };
    let program = vec![
        instruction(LOAD, 0, 0),
        instruction(EQUAL, 1, libc::SYS_getpriority as u32),
        instruction(RETURN, 0, libc::SECCOMP_RET_USER_NOTIF),
        instruction(RETURN, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let (tell, told) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        rustix::thread::set_no_new_privs(true).expect("set");
        let listener = load(&program, Listening::Yes).expect("loaded").expect("a listener");
        tell.send(listener).expect("told");
        rustix::process::getpriority_process(None)
    });
    (told.recv().expect("a listener"), thread)
}

/// A program that listens, and an interceptor that looks for it there.
struct Scene {
    listening: OwnedFd,
    interceptor: Interceptor,
    _directory: tempfile::TempDir,
}

impl Scene {
    fn new(listener: OwnedFd) -> Scene {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("proxy");
        let flags = SockFlag::SOCK_CLOEXEC;
        let listening = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None).expect("socket");
        bind(listening.as_raw_fd(), &UnixAddr::new(&path).expect("address")).expect("bound");
        listen(&listening, Backlog::new(1).expect("backlog")).expect("listening");
        let stored = StoredCalls { listeners: vec![listener], calls: Calls::new().expect("calls").into_fd() };
        let address = Address { socket: path.to_string_lossy().into_owned(), cookie: "c".to_string() };
        let interceptor = Interceptor::new(stored, address, 1).expect("taken up");
        Scene { listening, interceptor, _directory: directory }
    }

    /// Waits for something to happen, and takes it in.
    fn serve(&mut self, now: Duration) {
        let mut fds: Vec<_> =
            self.interceptor.watched(Taking::Yes).map(|(fd, wanted)| PollFd::new(fd, wanted)).collect();
        poll(&mut fds, Some(Duration::from_secs(10))).expect("polled");
        self.interceptor.serve(Taking::Yes, now);
    }

    /// The connection and the packet of a call that was passed on.
    fn asked(&mut self) -> (OwnedFd, Vec<u8>) {
        self.serve(NOW);
        let connection = scm::accept(&self.listening).expect("connected");
        let mut packet = vec![0; 512];
        let (length, fds) = scm::receive_fds(&connection, &mut packet).expect("asked");
        assert_eq!(fds.len(), 3);
        packet.truncate(length);
        (connection, packet)
    }

    /// Answers a packet without a cookie.
    fn answer(&mut self, value: i64, flags: u32) -> OwnedFd {
        let (connection, mut packet) = self.asked();
        packet.truncate(packet.len() - "c".len());
        let answer = packet.len() - usize::from(self.interceptor.sizes.answer);
        packet[answer + 8..answer + 16].copy_from_slice(&value.to_ne_bytes());
        packet[answer + 20..answer + 24].copy_from_slice(&flags.to_ne_bytes());
        scm::send(&connection, &packet, None).expect("answered");
        self.serve(NOW);
        connection
    }
}

fn result(thread: JoinHandle<std::result::Result<i32, rustix::io::Errno>>) -> Option<rustix::io::Errno> {
    thread.join().expect("ended").err()
}

#[test]
fn an_answer_reaches_who_made_the_call() {
    let (listener, thread) = caller();
    let mut scene = Scene::new(listener);
    // The kernel's value is 20 minus the priority (getpriority(2)).
    let _connection = scene.answer(13, 0);
    assert_eq!(thread.join().expect("ended"), Ok(7));
    assert!(scene.interceptor.is_idle());
    // Nobody is left who could call.
    scene.serve(NOW);
    assert!(scene.interceptor.listeners.is_empty());
}

#[test]
fn a_call_may_be_let_through_and_an_answer_that_is_none_is_absence() {
    let go_on = libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32;
    for (value, flags, expected) in [
        (0, go_on, None),
        (1, go_on, Some(rustix::io::Errno::NOSYS)),
        (0, 128, Some(rustix::io::Errno::NOSYS)),
    ] {
        let (listener, thread) = caller();
        let _connection = Scene::new(listener).answer(value, flags);
        assert_eq!(result(thread), expected, "{value} {flags}");
    }
}

#[test]
fn a_call_waits_so_long_and_no_longer() {
    let (listener, thread) = caller();
    let mut scene = Scene::new(listener);
    let (_connection, _) = scene.asked();
    assert_eq!(scene.interceptor.limit(NOW), Some(PATIENCE));
    scene.interceptor.serve(Taking::Yes, NOW + PATIENCE - Duration::from_nanos(1));
    assert!(!thread.is_finished() && !scene.interceptor.is_idle());
    let complaints = scene.interceptor.serve(Taking::Yes, NOW + PATIENCE);
    assert!(complaints.len() == 1 && complaints[0].contains("in time"), "{complaints:?}");
    assert_eq!(result(thread), Some(rustix::io::Errno::NOSYS));
}

#[test]
fn who_hangs_up_and_who_is_not_there_leaves_no_call_waiting() {
    let (listener, thread) = caller();
    let mut scene = Scene::new(listener);
    drop(scene.asked());
    scene.serve(NOW);
    assert_eq!(result(thread), Some(rustix::io::Errno::NOSYS));
    let (listener, thread) = caller();
    scene.interceptor.add(listener);
    scene.listening = tempfile::tempfile().expect("anything else").into();
    // The first is of who has ended.
    scene.serve(NOW);
    // The second calls when its thread comes to it.
    while !thread.is_finished() {
        scene.interceptor.serve(Taking::Yes, NOW);
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    assert_eq!(result(thread), Some(rustix::io::Errno::NOSYS));
}

#[test]
fn a_successor_lets_fail_what_was_taken_and_takes_what_was_not() {
    let ((first, failing), (second, waiting)) = (caller(), caller());
    let mut scene = Scene::new(first);
    let (_connection, _) = scene.asked();
    let Scene { listening, interceptor, _directory } = scene;
    // As one that is killed: nothing is answered.
    let mut stored = interceptor.into_stored();
    stored.listeners.push(second);
    let address = Address {
        socket: _directory.path().join("proxy").to_string_lossy().into_owned(),
        cookie: "c".to_string(),
    };
    let interceptor = Interceptor::new(stored, address, 1).expect("taken up");
    assert_eq!(result(failing), Some(rustix::io::Errno::NOSYS));
    assert!((0..SLOTS).all(|slot| interceptor.calls.get(slot).is_none()));
    let mut scene = Scene { listening, interceptor, _directory };
    let _connection = scene.answer(13, 0);
    assert_eq!(waiting.join().expect("ended"), Ok(7));
}

#[test]
fn calls_that_are_not_taken_wait() {
    let (listener, thread) = caller();
    let mut scene = Scene::new(listener);
    scene.interceptor.serve(Taking::No, NOW);
    assert!(scene.interceptor.is_idle() && !thread.is_finished());
    let _connection = scene.answer(13, 0);
    assert_eq!(thread.join().expect("ended"), Ok(7));
}
