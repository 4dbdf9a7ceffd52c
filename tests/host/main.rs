//! Tests on real systemd hosts: each `#[test]` boots one, runs its cases on it and drops it.
//! `tests/run` prepares what they need and runs them; tests/host/testbed makes the hosts.

#[macro_use]
mod harness;

mod smoke;
