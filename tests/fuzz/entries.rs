//! What is fed with bytes of somebody else: each function takes any, and panics where a promise is broken.

use std::path::Path;

use containerctl::config;
use containerctl::error::Kind;
use containerctl::runtime::control::{decode_request, encode_request};
use containerctl::runtime::state::State;
use containerctl::sandbox::seccomp::lxc;
use containerctl::storage::ids;
use containerctl::supervisor::intercept::message::{self, Asking};
use containerctl::supervisor::notification::Notification;
use containerctl::sys::listener::Sizes;

/// An entry point.
pub type Entry = fn(&[u8]);

/// All of them, each with inputs to start from.
pub const ENTRIES: [(&str, Entry, &[&[u8]]); 9] = [
    (
        "definition",
        definition,
        &[
            b"[Exec]\nBoot=no\nParameters=a 'b c' \\\n  \"d\\x20e\"\nEnvironment=A=b\nLimitNOFILE=1K:infinity\n",
            b"[Files]\nBind=-/a\\:b:/c:idmap,norbind\nTemporaryFileSystem=/x:size=10%,mode=0755\nDeviceAllow=/dev/fuse rw\n",
            b"# x\n[Exec]\nPrivateUsers=524288:65536\nSystemCallFilter=~bpf keyctl\nCapability=all\nMachineID=\n",
            b"[Unit]\nAfter=a.service\n[Install]\nWantedBy=machines.target\n[Resources]\nMemoryMax=1G\n[X-y]\nz=1\n",
            b"[Exec]\nKillSignal=SIGRTMIN+3\nSELinuxContext=u:r:t:s0\nAppArmorProfile=x\n[Console]\nBufferSize=8K\nTtys=4\n",
        ],
    ),
    ("ids", ids, &[b"p1:524288:65536\nweb:589824:65536\n", b"me:100000:65536\nx:4294967295:4294967295\n"]),
    (
        "seccomp_profile",
        seccomp_profile,
        &[
            b"1\nallowlist\n0\n1\n300\n",
            b"2\ndenylist\nreject_force_umount  # comment\n[all]\nkexec_load errno 1\ninit_module errno 1\n",
            b"2\nallowlist notify\nsendmsg\n[all]\nmknod notify [1,8192,SCMP_CMP_MASKED_EQ,61440]\n",
            b"2\nallowlist trap\n[x86_64]\nopen\n[x86]\nioctl errno 1 [1,0x5412,SCMP_CMP_MASKED_EQ,0xffffffff][0,-1,!=]\n",
        ],
    ),
    (
        "notification",
        notification,
        &[b"READY=1\nSTATUS=up", b"X_SYSTEMD_SIGNALS_LEVEL=2\nX_SYSTEMD_SHUTDOWN=reboot\nX_SYSTEMD_UNIT_ACTIVE=x\n"],
    ),
    ("answer", answer, &[&[0; 136], &[0; 142], &[0; 135]]),
    ("control_request", control_request, &[b"A\x18\0\x50\0", b"Ils\r", b"W\x01\0\x02\0", b"L", b"C", b"T", b"N", b"Y\x01"]),
    (
        "state",
        state,
        &[b"VERSION=1\nSTARTED=1\nLEADER=4711\nCGROUP=/a/b\nIDS=524288:65536\nROOT=/srv/a=b\nSTOP_SIGNAL=38\n"],
    ),
    (
        "dns_message",
        dns_message,
        &[
            b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x02p1\x03ctl\x08internal\0\0\x01\0\x01",
            b"\x12\x34\x01\0\0\x01\0\0\0\0\0\x01\x02p1\0\0\x1c\0\x01\0\0\x29\x10\0\0\0\0\0\0\0",
            b"\0\0\x01\0\0\x01\0\0\0\0\0\0\x011\x010\x010\x0210\x07in-addr\x04arpa\0\0\x0c\0\x01",
            b"\0\0\x01\0\0\x01\0\0\0\0\0\0\xc0\x0c\0\x01\0\x01",
        ],
    ),
    ("dhcp_message", dhcp_message, &[&DHCP_DISCOVER]),
];

/// A client's DISCOVER with an option behind it.
const DHCP_DISCOVER: [u8; 248] = {
    let mut message = [0; 248];
    let parts: [(usize, &[u8]); 3] =
        [(0, &[1, 1, 6]), (28, &[2, 0, 0, 0, 0, 1]), (236, &[99, 130, 83, 99, 53, 1, 1, 61, 1, 9, 255])];
    let mut part = 0;
    while part < parts.len() {
        let (at, bytes) = parts[part];
        let mut index = 0;
        while index < bytes.len() {
            message[at + index] = bytes[index];
            index += 1;
        }
        part += 1;
    }
    message
};

/// A definition: what is wrong is a configuration error with a place in it.
pub fn definition(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    match config::parse(Path::new("/d.conf"), text) {
        Ok(definition) => drop(definition.place("Exec", "Boot")),
        Err(error) => {
            assert_eq!(error.kind(), Kind::Config);
            let place = error.message().strip_prefix("/d.conf:").expect("the file is named");
            let line: usize =
                place.split(':').next().and_then(|line| line.parse().ok()).expect("the line is named");
            assert!(line >= 1 && line <= text.lines().count().max(1));
        }
    }
}

/// The table of id ranges, and subuid(5): a range that is chosen beside them is free.
pub fn ids(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let taken: Vec<_> = text.lines().filter_map(ids::parse).map(|(_, range)| range).collect();
    if let Some(range) = ids::choose("p1", &taken) {
        assert!(!taken.iter().any(|other| other.overlaps(&range)));
    }
}

/// A seccomp profile of LXC's: what is wrong has a line.
pub fn seccomp_profile(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let lines = text.lines().count();
    match lxc::parse(&text) {
        Ok(profile) => assert!(profile.rules.iter().all(|rule| rule.line > 2 && rule.line <= lines)),
        Err(fault) => assert!(fault.line >= 1 && fault.line <= lines.max(2)),
    }
}

/// A message of the payload's: nothing of it that is shown can steer a terminal.
pub fn notification(input: &[u8]) {
    let notification = Notification::parse(input);
    for text in [notification.status, notification.shutdown].into_iter().flatten() {
        assert!(!text.chars().any(char::is_control));
    }
}

/// An answer to a system call, of the program behind `SeccompNotifyProxy=`: it has the length that the kernel reads.
pub fn answer(input: &[u8]) {
    let sizes = Sizes { call: 80, answer: 24, data: 64 };
    if let Some(reply) = message::decode(input, sizes) {
        assert_eq!((reply.answer.len(), input.len()), (24, 32 + 80 + 24));
        let again = message::encode(Asking { supervisor: 1, leader: 1 }, sizes, &input[32..112], b"");
        assert_eq!(message::decode(&again, sizes).map(|again| again.asked), Some(reply.asked));
    }
}

/// A packet on the control socket: it is a request in one way, or none.
pub fn control_request(input: &[u8]) {
    if let Some(request) = decode_request(input) {
        assert_eq!(encode_request(&request), input);
    }
}

/// A state that a supervisor recorded: what can be read is written and read again.
pub fn state(input: &[u8]) {
    let text = String::from_utf8_lossy(input).replace('\r', "");
    if let Ok(state) = State::parse(&text) {
        assert_eq!(State::parse(&state.to_text().expect("text")).expect("read"), state);
    }
}

/// A question to the name server: the answer is one, and fits.
pub fn dns_message(input: &[u8]) {
    use containerctl::network::names::message::{Code, Record, answer, parse, room};
    if let Some(question) = parse(input) {
        let _ = question.reversed();
        let records = vec![Record::Address([10, 0, 0, 1].into()); 40];
        let told =
            answer(input, &question, Code::Done, &records, room(input)).expect("a query has an answer");
        assert!(told.len() <= room(input) && told[..2] == input[..2] && told[2] & 0x80 != 0);
    }
}

/// A message of a DHCP client: it is answered with its own identity, or not at all.
pub fn dhcp_message(input: &[u8]) {
    use containerctl::network::managed::leases::Table;
    use containerctl::network::service::dhcp::{Pool, parse};
    if let Some(request) = parse(input) {
        let table = Table::begin("id", &[]).expect("a range is free");
        if let Some(answer) = Pool::default().answer(&request, &table) {
            assert_eq!((&answer.message[4..8], &answer.message[28..34]), (&input[4..8], &input[28..34]));
        }
    }
}
