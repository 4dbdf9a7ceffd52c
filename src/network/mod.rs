//! A container's links: what a definition asks for, one driver per type, and what is shared by all containers.
//!
//! ```text
//! Settings ─► links (pure) ─► validate each ─► set up each ──────► configured from outside, by address
//!                                 │                │ one failed
//!                                 └── error ◄──────┴─ taken back in reverse
//! ```
//! Everything of ours on the host carries a [`tag::Tag`]; clearing away goes by it and touches nothing else.
//! The managed network `ctl0` is the kernel's bridge; a service of ours answers guests that ask there.

/// An address that a start waits for.
pub mod awaited;
/// The types of links, and what each needs of the host.
pub mod driver;
/// The packet filter.
pub mod filter;
/// The host's end of a link.
mod host_end;
/// Addresses and routes inside.
mod inside;
/// Links of one namespace: found, made, changed, deleted.
pub mod link;
/// From settings to links; pure.
pub mod links;
/// The network `ctl0`: its range, and who has which address.
pub mod managed;
/// Interfaces of the host that were moved into a container.
pub mod moved;
/// DNS for containers.
pub mod names;
/// Netlink messages.
pub mod netlink;
/// A probe of the way of a container's packets through this host.
pub mod probe;
/// The service for guests in the managed network: DNS, DHCP, router advertisements.
pub mod service;
/// All links of a container: validated, set up, taken back.
pub mod setup;
/// The place where a container's links are made.
pub mod site;
/// Tags by which links of ours are recognized.
pub mod tag;
