//! The raw system calls that nix and rustix lack, each under the kernel's name.

/// SIGINT and SIGTERM as a readable descriptor.
pub mod interrupt;
/// User namespaces without a process, and idmapped mounts.
pub mod userns;
