//! The host: what containers need of it, and settings that limit or expose them.

/// What the host must have to run containers.
pub mod requirements;
/// Settings of the host that limit or expose containers.
pub mod settings;
