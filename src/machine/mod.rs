//! The core: registry and operations; every front-end calls this and nothing below it.

/// Who owns which user ids.
pub mod ids;
