//! Durations of the stages of a machine's last start, as its supervisor wrote them: a stage and its microseconds per
//! line.

use std::fs;
use std::time::Duration;

use crate::error::{Context, Result};
use crate::name::MachineName;
use crate::paths::Root;

/// The stages, in their order.
pub fn of(root: &Root, name: &MachineName) -> Result<Vec<(String, Duration)>> {
    let path = root.runtime_of(name).join("timings");
    let text = fs::read_to_string(&path).context(|| format!("failed to read '{}'", path.display()))?;
    let stage = |line: &str| {
        let (stage, usec) = line.split_once(' ')?;
        Some((stage.to_string(), Duration::from_micros(usec.trim().parse().ok()?)))
    };
    Ok(text.lines().filter_map(stage).collect())
}
