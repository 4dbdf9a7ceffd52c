//! The text of a [`State`]: what a supervisor records for its successor and for readers, of this and other versions.
//!
//! ```text
//! {"version":2,"readable_from":1,"state":{…}}      version 2: one line of JSON
//! VERSION=1                                        version 1: KEY=VALUE, for the release before this one
//! STARTED=1
//! …
//! ```
//!
//! `version` is the format that was written, `readable_from` the oldest one whose programs can read it. A program
//! refuses a state that is `readable_from` a later format than its own; it skips unknown fields, and gives missing ones
//! their defaults. The lines of version 1 are for a downgrade while containers run, and go with the next release.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::config::settings::Readiness;
use crate::error::{Error, Kind, Result};
use crate::runtime::state::State;
use crate::sys::idmap::IdRange;

/// The format that we write, and the latest that we read.
const VERSION: u32 = 2;
/// The oldest format whose programs can read what we write.
const READABLE_FROM: u32 = 1;

#[derive(Deserialize)]
struct Header {
    version: u32,
    readable_from: u32,
}

#[derive(Deserialize)]
struct Body {
    state: State,
}

#[derive(Serialize)]
struct Document<'a> {
    version: u32,
    readable_from: u32,
    state: &'a State,
}

impl State {
    /// The text that is recorded.
    pub fn to_text(&self) -> Result<String> {
        let document = Document { version: VERSION, readable_from: READABLE_FROM, state: self };
        let json = serde_json::to_string(&document);
        let mut text = json.map_err(|error| Error::failed(format!("failed to write the state: {error}")))?;
        text.push('\n');
        key_value_text(self, &mut text);
        Ok(text)
    }

    /// Reads a text of this or an earlier format. Fails as `Unsupported` where it takes a later program to read it.
    pub fn parse(text: &str) -> Result<State> {
        match text.starts_with('{') {
            true => parse_json(text.lines().next().unwrap_or_default()),
            false => parse_key_value(text),
        }
    }
}

fn parse_json(text: &str) -> Result<State> {
    let damaged = |error: serde_json::Error| Error::failed(format!("the state is damaged: {error}"));
    let Header { version, readable_from } = serde_json::from_str(text).map_err(damaged)?;
    if readable_from > VERSION {
        return Err(too_new(version));
    }
    serde_json::from_str(text).map_err(damaged).map(|body: Body| body.state)
}

fn too_new(version: u32) -> Error {
    let what =
        format!("the state has format {version} of a newer containerctl; this one reads up to {VERSION}");
    Error::new(Kind::Unsupported, what)
}

/// Version 1. Values that cannot be read keep their defaults.
fn parse_key_value(text: &str) -> Result<State> {
    let mut state = State::default();
    for (key, value) in text.lines().filter_map(|line| line.split_once('=')) {
        match key {
            "VERSION" if value != "1" => return Err(too_new(value.parse().unwrap_or(u32::MAX))),
            "STARTED" => state.started = value == "1",
            "READY" => state.ready = value == "1",
            "WATCHED" => state.watched = value == "1",
            "KILLED" => state.killed = value == "1",
            "LEADER" => state.leader = value.parse().unwrap_or_default(),
            "LEADER_START" => state.leader_start = value.parse().unwrap_or_default(),
            "CGROUP" => state.cgroup = value.to_string(),
            "MACHINE_ID" => state.machine_id = value.to_string(),
            "ROOT" => state.root = value.to_string(),
            "IDS" => state.ids = parse_ids(value),
            "STOP_SIGNAL" => state.stop_signal = value.parse().unwrap_or_default(),
            "INIT" => state.init = value == "1",
            "EXECUTION" => state.execution = value == "1",
            "NOTIFY_READY" => state.readiness = readiness(value),
            "SHUTDOWN" => state.shutdown = value.to_string(),
            "STARTED_USEC" => state.started_usec = value.parse().unwrap_or_default(),
            "TTYS" => state.ttys = value.parse().unwrap_or_default(),
            "BUFFER_BYTES" => state.buffer_bytes = value.parse().unwrap_or_default(),
            "RATE_BURST" => state.rate_burst = value.parse().unwrap_or_default(),
            "RATE_INTERVAL_USEC" => state.rate_interval_usec = value.parse().unwrap_or_default(),
            "NOTIFY_PROXY" => state.notify_proxy = value.to_string(),
            "NOTIFY_COOKIE" => state.notify_cookie = value.to_string(),
            _ => {}
        }
    }
    Ok(state)
}

fn key_value_text(state: &State, text: &mut String) {
    let ids = state.ids.map(|ids| format!("{}:{}", ids.base, ids.size)).unwrap_or_default();
    let readiness = match state.readiness {
        Readiness::Started => "0",
        Readiness::Told => "1",
        Readiness::Network => "network",
    };
    let fields: [(&str, &dyn std::fmt::Display); 23] = [
        ("VERSION", &READABLE_FROM),
        ("STARTED", &u8::from(state.started)),
        ("READY", &u8::from(state.ready)),
        ("WATCHED", &u8::from(state.watched)),
        ("KILLED", &u8::from(state.killed)),
        ("LEADER", &state.leader),
        ("LEADER_START", &state.leader_start),
        ("CGROUP", &state.cgroup),
        ("MACHINE_ID", &state.machine_id),
        ("ROOT", &state.root),
        ("IDS", &ids),
        ("STOP_SIGNAL", &state.stop_signal),
        ("INIT", &u8::from(state.init)),
        ("EXECUTION", &u8::from(state.execution)),
        ("NOTIFY_READY", &readiness),
        ("SHUTDOWN", &state.shutdown),
        ("STARTED_USEC", &state.started_usec),
        ("TTYS", &state.ttys),
        ("BUFFER_BYTES", &state.buffer_bytes),
        ("RATE_BURST", &state.rate_burst),
        ("RATE_INTERVAL_USEC", &state.rate_interval_usec),
        ("NOTIFY_PROXY", &state.notify_proxy),
        ("NOTIFY_COOKIE", &state.notify_cookie),
    ];
    for (key, value) in fields {
        let _ = writeln!(text, "{key}={value}");
    }
}

fn readiness(value: &str) -> Readiness {
    match value {
        "1" => Readiness::Told,
        "network" => Readiness::Network,
        _ => Readiness::Started,
    }
}

fn parse_ids(value: &str) -> Option<IdRange> {
    let (base, size) = value.split_once(':')?;
    Some(IdRange { base: base.parse().ok()?, size: size.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::namespaces::Namespace;
    use crate::runtime::state::Confinement;
    use crate::runtime::state::tests::sample;

    /// The text that the release before this one recorded for a running container.
    const VERSION_1: &str = "VERSION=1\nSTARTED=1\nREADY=1\nWATCHED=1\nKILLED=0\nLEADER=4711\nLEADER_START=99\n\
        CGROUP=/machine.slice/machine-p1.slice/machine-p1.scope\nMACHINE_ID=00000000000000000000000000000000\n\
        ROOT=/srv/a=b\nIDS=524288:65536\nSTOP_SIGNAL=38\nINIT=1\nEXECUTION=0\nNOTIFY_READY=network\nSHUTDOWN=\n\
        STARTED_USEC=5550123\nTTYS=2\nBUFFER_BYTES=1048576\nRATE_BURST=1000\nRATE_INTERVAL_USEC=30000000\n\
        NOTIFY_PROXY=\nNOTIFY_COOKIE=\n";

    /// The state of version 1 in today's form.
    fn of_version_1() -> State {
        State {
            watched: true,
            init: true,
            readiness: Readiness::Network,
            started_usec: 5_550_123,
            rate_burst: 1000,
            rate_interval_usec: 30_000_000,
            ..sample()
        }
    }

    #[test]
    fn a_state_of_the_release_before_is_read() {
        assert_eq!(State::parse(VERSION_1).expect("read"), of_version_1());
        assert_eq!(State::parse(&format!("{VERSION_1}\n\n\n")).expect("padded"), of_version_1());
    }

    #[test]
    fn the_release_before_finds_its_lines_in_what_is_written() {
        let text = of_version_1().to_text().expect("text");
        let (json, lines) = text.split_once('\n').expect("two parts");
        assert_eq!(lines, VERSION_1);
        // It skips a line whose key it does not know.
        assert!(json.starts_with("{\"version\":2,\"readable_from\":1,\"state\":{"), "{json}");
    }

    #[test]
    fn a_state_is_read_as_it_was_written() {
        let namespaces = vec![Namespace::Mount, Namespace::Net];
        let confinement = Some(Confinement { namespaces, ambient: 1 << 10, nesting: true });
        let state = State { confinement, root: "/srv/\u{1}\"x\ny".to_string(), ..of_version_1() };
        assert_eq!(State::parse(&state.to_text().expect("text")).expect("read"), state);
    }

    #[test]
    fn fields_of_a_later_version_do_no_harm_unless_it_says_so() {
        let later = |version: u32, from: u32| {
            let text = format!(
                "{{\"version\":{version},\"readable_from\":{from},\"newer\":[],\"state\":{{\"leader\":7,\"newer\":1}}}}\n"
            );
            State::parse(&text)
        };
        assert_eq!(later(3, 2).expect("read"), State { leader: 7, ..State::default() });
        let error = later(9, 3).expect_err("too new");
        assert_eq!(error.kind(), Kind::Unsupported);
        assert!(
            error.message().contains("format 9 of a newer containerctl; this one reads up to 2"),
            "{error}"
        );
        assert_eq!(State::parse("VERSION=2\nLEADER=7\n").expect_err("too new").kind(), Kind::Unsupported);
    }

    #[test]
    fn half_a_state_is_an_error_and_not_an_empty_one() {
        let text = sample().to_text().expect("text");
        assert_eq!(State::parse(&text[..40]).expect_err("damaged").kind(), Kind::Failed);
        assert!(State::parse("{}").is_err() && State::parse("{\"version\":2,\"readable_from\":1}").is_err());
    }

    #[test]
    fn lines_of_version_1_that_cannot_be_read_do_no_harm() {
        let text = format!("NEWER=thing\nnonsense\n{VERSION_1}LEADER=oops\n");
        assert_eq!(State::parse(&text).expect("read"), State { leader: 0, ..of_version_1() });
    }
}
