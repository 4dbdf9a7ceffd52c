//! Making, changing and destroying containers: definition, limits, devices, links.

/// The definition, key by key.
pub mod configuration;
/// Creating a container.
pub mod create;
/// Destroying a container.
pub mod destroy;
/// Devices and interfaces handed to a running container.
pub mod device;
/// Journals of guests among the host's.
pub mod journals;
/// Resource limits.
pub mod limits;
/// Links and ports of a running container.
pub mod network;
/// Renaming a container.
pub mod rename;

mod first_definition;
