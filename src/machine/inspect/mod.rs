//! Looking at containers without changing them.

/// Rates of processor time, input and output.
pub mod activity;
/// Addresses of a running container.
pub mod addresses;
/// Comparison of a running container with what its plan promises.
pub mod audit;
/// Changes of containers, as they happen.
pub mod events;
/// Everything known of one container.
pub mod info;
/// A container's messages in the journal.
pub mod logs;
/// The operations of a start.
pub mod plan;
/// Processes of a container.
pub mod processes;
/// The defined containers and their states.
pub mod registry;
/// The recorded output of a console.
pub mod scrollback;
/// Resources that a container uses.
pub mod usage;
