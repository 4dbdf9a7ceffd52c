//! The bus service `org.containerctl1`: what the verbs do, for programs.
//!
//! ```text
//! caller ─ system bus ─ containerctld, one loop ─ polkit: may this caller?  no: the same answer, whatever there is
//!                          └─ yes: containerctl-worker, one process a call ─ one call of `machine` ─ the answer
//! ```
//! Each interface is a table: a method's row names its polkit action, its arguments and its one call. Calls are
//! dispatched here and not by zbus' object server, which tells of what exists before anybody asks who wants to know:
//! an object of ours is judged first and looked for later, in the process that does the work.
//!
//! That process is what makes a call like a verb. It has one thread, so that it may clone and change namespaces; a
//! slow stop delays nobody; a crash is the crash of one call; and the service can be killed while it goes on.

mod call;
mod caller;
mod container;
mod fault;
mod interface;
mod introspect;
mod manager;
mod members;
mod network;
mod node;
mod options;
mod packet;
mod selection;
mod service;
mod subscribers;
mod work;

pub use service::serve;
pub use work::work;

/// Our name on the system bus.
const NAME: &str = "org.containerctl1";
/// The manager's path; everything else is below it.
const PATH: &str = "/org/containerctl1";
/// The managed network's.
const NETWORK_PATH: &str = "/org/containerctl1/network";
