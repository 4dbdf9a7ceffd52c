//! Tests on real systemd hosts: each `#[test]` boots one, runs its cases on it and drops it.
//! `tests/run` prepares what they need and runs them; tests/host/testbed makes the hosts.

#[macro_use]
mod harness;

mod answers;
mod attach;
mod besieged;
mod boot;
mod bus;
mod chosen;
mod claims;
mod confined;
mod console;
mod container;
mod daily;
mod debian;
mod definition;
mod devices;
mod ends;
mod execute;
mod filter;
mod firewalls;
mod flushed;
mod generated;
mod host_paths;
mod housekeeping;
mod inits;
mod inside;
mod looking;
mod machined;
mod mistakes;
mod names;
mod network;
mod networkd;
mod order;
mod owners;
mod placement;
mod planned;
mod posture;
mod programs;
mod reach;
mod ready;
mod sandboxing;
mod signals;
mod smoke;
mod stock;
mod stuck;
mod survival;
mod together;
mod traps;
mod trees;
mod ttys;
mod untrusted;
mod verbs;
mod walls;
mod watch;
