//! nft(8), the distribution's tool: scripts go in by its standard input, and are done as a whole or not at all.

use std::io::Write;
use std::process::{Child, Command, Stdio};

use nix::errno::Errno;
use nix::sys::socket::SockProtocol;

use super::TABLE;
use crate::error::{Context, Error, Kind, Result};
use crate::network::netlink::{Message, Refusal, Socket};

/// linux/netfilter/nf_tables.h
const NFTA_TABLE_NAME: u16 = 1;

/// A script that is being carried out.
pub struct Running(Child);

/// Starts to carry out a script.
pub fn start(script: &str) -> Result<Running> {
    let mut child = spawn(&["-f", "-"])?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that has failed meanwhile says why when it is waited for.
        let _ = stdin.write_all(script.as_bytes());
    }
    Ok(Running(child))
}

impl Running {
    /// Waits for its end; the error is nft's first line.
    pub fn finish(self) -> Result<String> {
        let output = self.0.wait_with_output().context(|| "failed to wait for 'nft'")?;
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

/// Carries a script out.
pub fn run(script: &str) -> Result<()> {
    start(script)?.finish().map(drop)
}

/// What `nft --json` prints of something, such as `list map inet containerctl dnat4`.
pub fn list(arguments: &[&str]) -> Result<serde_json::Value> {
    let arguments: Vec<&str> = ["--json"].iter().chain(arguments).copied().collect();
    let text = Running(spawn(&arguments)?).finish()?;
    serde_json::from_str(&text)
        .map_err(|error| Error::failed(format!("failed to read what nft printed: {error}")))
}

/// Whether our table for bridges is there: asked of the kernel itself, for every start asks.
pub fn is_there() -> Result<bool> {
    const GETTABLE: u16 = (libc::NFNL_SUBSYS_NFTABLES as u16) << 8 | libc::NFT_MSG_GETTABLE as u16;
    // `struct nfgenmsg`: the family, and what is 0.
    let mut message = Message::new(GETTABLE, 0, &[libc::NFPROTO_BRIDGE as u8, 0, 0, 0]);
    message.put_str(NFTA_TABLE_NAME, TABLE);
    let found = Socket::open(SockProtocol::NetlinkNetFilter).map_err(Refusal::from);
    match found.and_then(|mut socket| socket.get(message)) {
        Ok(_) => Ok(true),
        Err(refusal) if refusal.errno == Errno::ENOENT => Ok(false),
        Err(refusal) => Err(refusal).context(|| "failed to look at the packet filter"),
    }
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
