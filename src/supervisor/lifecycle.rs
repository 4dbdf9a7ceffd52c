//! Phases of a running container. Pure: the loop feeds events and carries out the actions.
//!
//! ```text
//!              StopAsked            signal can be taken           deadline, StopAsked again
//! Running ──────────────► Stopping ─────────────────► Asked ───────────────────────► Killed ──┐
//!    │                      │ KillAsked                 │                                     ├─► Stuck
//!    ├──────────────────────┴───────────────────────────┴──────────────────────────► PutDown ─┘
//!    └──────────────────────────────── leader gone ────────────────────────────────────────────► end
//! ```

use std::time::Duration;

/// Time limit for a payload's shutdown; less than the unit's `TimeoutStopSec=`, which would kill us too.
pub const STOP_LIMIT: Duration = Duration::from_secs(90);
/// Time limit for an init that cannot take its signal yet.
pub const DEAF_LIMIT: Duration = Duration::from_secs(20);
/// Time limit for a command that is not an init: it has no handler, and the kernel ignores the signal for PID 1.
pub const COMMAND_DEAF_LIMIT: Duration = Duration::from_secs(2);
/// Interval for checking a payload that was asked to shut down.
const ASKED_TICK: Duration = Duration::from_secs(1);
/// Time limit for a kill before the container counts as stuck. Processes that end later are noticed then.
pub const KILL_LIMIT: Duration = Duration::from_secs(4);

/// The phase of a container between start and end. Times are those of the caller's monotonic clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Started; `ready` once systemd was told.
    Running {
        /// READY was sent.
        ready: bool,
    },
    /// Asked to stop, while the payload cannot take its signal yet.
    Stopping {
        /// When we were asked.
        since: Duration,
    },
    /// The payload was asked to shut down.
    Asked {
        /// When we were asked.
        since: Duration,
    },
    /// Everything in the payload's cgroup was killed.
    Killed {
        /// When.
        since: Duration,
    },
    /// Killed because a kill is the only way to stop it, or what was asked for.
    PutDown {
        /// When.
        since: Duration,
    },
    /// Killed, and still there.
    Stuck,
}

/// An event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The payload says that it is ready, or was executed and need not say so.
    Ready,
    /// systemd or somebody else wants the container stopped.
    StopAsked,
    /// Somebody wants it ended without a shutdown.
    KillAsked,
    /// Time went by; `able` when the payload can take its signal.
    Tick {
        /// The payload has a handler for the stop signal, or has said that it has.
        able: bool,
        /// The payload is an init, and will have one sooner or later.
        init: bool,
    },
}

/// An action for the loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    None,
    /// Tell systemd that the unit is up.
    TellReady,
    /// Tell systemd that it goes down, and thaw what is frozen.
    BeginStop,
    /// Send the stop signal to the leader.
    AskPayload,
    /// Kill the payload's cgroup.
    Kill,
    /// Tell systemd that it goes down, kill the payload's cgroup, and thaw what is frozen.
    PutDown,
    /// Report that the kill did not help, and leave.
    GiveUp,
}

/// The next phase and action after an event.
pub fn decide(phase: Phase, event: Event, now: Duration) -> (Phase, Action) {
    match (phase, event) {
        (Phase::Running { ready: false }, Event::Ready) => {
            (Phase::Running { ready: true }, Action::TellReady)
        }
        (Phase::Running { .. }, Event::StopAsked) => (Phase::Stopping { since: now }, Action::BeginStop),
        (Phase::Stopping { since }, Event::Tick { able, .. }) if able || now >= since + DEAF_LIMIT => {
            (Phase::Asked { since }, Action::AskPayload)
        }
        (Phase::Stopping { since }, Event::Tick { init: false, .. }) if now >= since + COMMAND_DEAF_LIMIT => {
            (Phase::PutDown { since: now }, Action::Kill)
        }
        (Phase::Running { .. } | Phase::Stopping { .. } | Phase::Asked { .. }, Event::KillAsked) => {
            (Phase::PutDown { since: now }, Action::PutDown)
        }
        (Phase::Stopping { .. } | Phase::Asked { .. }, Event::StopAsked) => {
            (Phase::Killed { since: now }, Action::Kill)
        }
        (Phase::Asked { since }, Event::Tick { .. }) if now >= since + STOP_LIMIT => {
            (Phase::Killed { since: now }, Action::Kill)
        }
        (Phase::Killed { since } | Phase::PutDown { since }, Event::Tick { .. })
            if now >= since + KILL_LIMIT =>
        {
            (Phase::Stuck, Action::GiveUp)
        }
        _ => (phase, Action::None),
    }
}

/// When to look again without an event; `None` waits for one.
pub fn next_tick(phase: Phase, now: Duration) -> Option<Duration> {
    match phase {
        Phase::Running { .. } | Phase::Stuck => None,
        Phase::Stopping { .. } => Some(Duration::from_millis(20)),
        // What is frozen meanwhile would not end by itself.
        Phase::Asked { since } => Some((since + STOP_LIMIT).saturating_sub(now).min(ASKED_TICK)),
        Phase::Killed { since } | Phase::PutDown { since } => Some((since + KILL_LIMIT).saturating_sub(now)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn events() -> impl Strategy<Value = Vec<(Event, u64)>> {
        let event = prop_oneof![
            Just(Event::Ready),
            Just(Event::StopAsked),
            Just(Event::KillAsked),
            any::<(bool, bool)>().prop_map(|(able, init)| Event::Tick { able, init }),
        ];
        prop::collection::vec((event, 0_u64..200), 0..40)
    }

    proptest! {
        #[test]
        fn ready_is_told_once_and_the_payload_asked_once(events in events()) {
            let (mut phase, mut now) = (Phase::Running { ready: false }, Duration::ZERO);
            let (mut told, mut asked, mut killed) = (0, 0, 0);
            for (event, seconds) in events {
                now += Duration::from_secs(seconds);
                let (next, action) = decide(phase, event, now);
                told += usize::from(action == Action::TellReady);
                asked += usize::from(action == Action::AskPayload);
                killed += usize::from(matches!(action, Action::Kill | Action::PutDown));
                let runs = matches!(phase, Phase::Running { .. });
                prop_assert!(runs || action != Action::TellReady);
                phase = next;
            }
            prop_assert!(told <= 1 && asked <= 1 && killed <= 1);
        }

        #[test]
        fn a_stop_always_ends(able in any::<bool>(), init in any::<bool>()) {
            let (mut phase, _) = decide(Phase::Running { ready: true }, Event::StopAsked, Duration::ZERO);
            let mut now = Duration::ZERO;
            for _ in 0..20_000 {
                let Some(wait) = next_tick(phase, now) else { break };
                now += wait.max(Duration::from_millis(1));
                phase = decide(phase, Event::Tick { able, init }, now).0;
            }
            prop_assert_eq!(phase, Phase::Stuck);
            prop_assert!(now <= STOP_LIMIT + KILL_LIMIT + Duration::from_secs(1));
        }
    }

    #[test]
    fn a_second_request_to_stop_kills() {
        let (phase, _) = decide(Phase::Running { ready: true }, Event::StopAsked, Duration::ZERO);
        assert_eq!(decide(phase, Event::StopAsked, Duration::ZERO).1, Action::Kill);
    }

    #[test]
    fn a_kill_that_is_asked_for_comes_at_once_and_once() {
        let (phase, action) = decide(Phase::Running { ready: true }, Event::KillAsked, Duration::ZERO);
        assert_eq!(action, Action::PutDown);
        for event in [Event::KillAsked, Event::StopAsked] {
            assert_eq!(decide(phase, event, Duration::ZERO), (phase, Action::None));
        }
        let tick = Event::Tick { able: true, init: true };
        assert_eq!(decide(phase, tick, KILL_LIMIT), (Phase::Stuck, Action::GiveUp));
    }

    #[test]
    fn a_command_without_a_handler_is_not_waited_for() {
        let tick = Event::Tick { able: false, init: false };
        let stopping = Phase::Stopping { since: Duration::ZERO };
        assert_eq!(decide(stopping, tick, Duration::from_secs(1)).1, Action::None);
        assert_eq!(decide(stopping, tick, COMMAND_DEAF_LIMIT).1, Action::Kill);
    }
}
