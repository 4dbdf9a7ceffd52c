//! The host: what containers need of it, and settings that limit or expose them.

/// Containers that can become root of the host, or leave programs for its users.
pub mod exposure;
/// Requirements of containers on the host.
pub mod requirements;
/// Settings of the host that limit or expose containers.
pub mod settings;
