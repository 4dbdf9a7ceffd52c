//! Tests in a virtual machine with Debian's own kernel: each `#[test]` boots a fresh one and runs its cases on it.
//! `tests/run` prepares what they need and runs them; tests/vm/machine makes the machines. Everything is 15 to 20 times
//! slower in there: they judge what happens, not how fast.

#[macro_use]
#[path = "../host/harness/mod.rs"]
mod harness;
#[macro_use]
mod machine;

mod apparmor;
mod container;
mod kernel;
mod session;
mod starved;
