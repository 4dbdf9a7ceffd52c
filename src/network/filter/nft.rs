//! nft(8), the distribution's tool: scripts go in by its standard input, and are done as a whole or not at all.

use std::io::Write;
use std::process::{Child, Command, Stdio};

use nix::errno::Errno;

use crate::error::{Context, Error, Kind, Result};

/// A script that is being carried out. One that nobody asks for its result is waited for all the same: what it makes can be
/// taken back once it is there.
pub struct Running(Option<Child>);

/// Starts to carry out a script.
pub fn start(script: &str) -> Result<Running> {
    let mut child = spawn(&["-f", "-"])?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that has failed meanwhile says why when it is waited for.
        let _ = stdin.write_all(script.as_bytes());
    }
    Ok(Running(Some(child)))
}

impl Running {
    /// Waits for its end; the error is nft's first line.
    pub fn finish(mut self) -> Result<String> {
        let failed = || "failed to wait for 'nft'";
        let child = self.0.take().ok_or(Errno::ECHILD).context(failed)?;
        let output = child.wait_with_output().context(failed)?;
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            false => {
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                let first = said.lines().next().unwrap_or("no reason given");
                Err(Error::failed(format!("failed to change the packet filter: nft: {first}")))
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.as_mut().map(Child::wait);
    }
}

/// Carries a script out.
pub fn run(script: &str) -> Result<()> {
    start(script)?.finish().map(drop)
}

/// Output of `nft --json`, such as that of `list map inet containerctl dnat4`.
pub fn list(arguments: &[&str]) -> Result<serde_json::Value> {
    let arguments: Vec<&str> = ["--json"].iter().chain(arguments).copied().collect();
    let text = Running(Some(spawn(&arguments)?)).finish()?;
    serde_json::from_str(&text)
        .map_err(|error| Error::failed(format!("failed to read what nft printed: {error}")))
}

fn spawn(arguments: &[&str]) -> Result<Child> {
    let mut command = Command::new("nft");
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            Error::new(Kind::Unsupported, "the packet filter's tool 'nft' is missing")
                .hint("install nftables")
        }
        _ => Error::failed(format!("failed to run 'nft': {error}")),
    })
}
