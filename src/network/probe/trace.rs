//! The kernel's trace of packets, as nft(8) prints it: which chain drops a packet, whoever made it.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::os::fd::AsFd;
use std::process::{Child, ChildStdout, Command, Stdio};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::error::{Context, Error, Result};
use crate::network::filter::TABLE;

/// A chain that the kernel calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// `ip`, `inet`, …
    pub family: String,
    /// The table.
    pub table: String,
    /// The chain's own name.
    pub name: String,
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} {} {}", self.family, self.table, self.name)
    }
}

/// `nft monitor trace`, for as long as this lives.
pub struct Monitor {
    child: Child,
    output: ChildStdout,
    text: String,
}

impl Monitor {
    /// Starts it. It takes a moment until it hears of packets.
    pub fn start() -> Result<Monitor> {
        let failed = || "failed to run 'nft monitor trace'";
        let mut command = Command::new("nft");
        command.args(["-n", "monitor", "trace"]).stdin(Stdio::null()).stderr(Stdio::null());
        let mut child = command.stdout(Stdio::piped()).spawn().context(failed)?;
        let output = child.stdout.take().ok_or_else(|| Error::failed(failed()))?;
        Ok(Monitor { child, output, text: String::new() })
    }

    /// Reads what it has printed.
    pub fn read(&mut self) -> Result<()> {
        let failed = || "failed to read what 'nft monitor trace' prints";
        let mut buffer = [0; 64 * 1024];
        loop {
            let mut fds = [PollFd::new(self.output.as_fd(), PollFlags::POLLIN)];
            if poll(&mut fds, PollTimeout::ZERO).context(failed)? == 0 {
                return Ok(());
            }
            match self.output.read(&mut buffer).context(failed)? {
                0 => return Err(Error::failed("'nft monitor trace' has ended")),
                length => self.text += &String::from_utf8_lossy(&buffer[..length]),
            }
        }
    }

    /// The chain that dropped a packet to this UDP port.
    pub fn dropper(&self, port: u16) -> Option<Chain> {
        dropper(&self.text, port)
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// In lines `trace id ID FAMILY TABLE CHAIN …`, the chain of the kernel's calling through which a packet to this port
/// came to be dropped. Our own tables do not count.
fn dropper(text: &str, port: u16) -> Option<Chain> {
    let port = format!(" udp dport {port} ");
    let mut packets = BTreeMap::<&str, Vec<(Chain, &str)>>::new();
    for line in text.lines() {
        let mut words = line.splitn(7, ' ');
        if let (Some("trace"), Some("id"), Some(id), Some(family), Some(table), Some(chain), Some(rest)) =
            (words.next(), words.next(), words.next(), words.next(), words.next(), words.next(), words.next())
        {
            let chain = Chain { family: family.into(), table: table.into(), name: chain.into() };
            packets.entry(id).or_default().push((chain, rest));
        }
    }
    let is_meant = |steps: &&Vec<(Chain, &str)>| steps.iter().any(|(_, rest)| rest.contains(&port));
    let drop_of = |steps: &Vec<(Chain, &str)>| {
        let is_drop = |rest: &str| rest.contains("verdict drop") || rest.trim_end() == "policy drop";
        let is_theirs = |chain: &Chain| chain.table != TABLE && !chain.table.starts_with("containerctl_");
        let at = steps.iter().position(|(chain, rest)| is_theirs(chain) && is_drop(rest))?;
        // The packet is shown where a chain that the kernel calls begins; the rule may be in one that it jumps to.
        let (last, _) = &steps[at];
        let is_begin = |(chain, rest): &&(Chain, &str)| {
            (&chain.family, &chain.table) == (&last.family, &last.table) && rest.starts_with("packet:")
        };
        Some(steps[..=at].iter().rev().find(is_begin).map_or(last, |(chain, _)| chain).clone())
    };
    packets.values().filter(is_meant).find_map(drop_of)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "trace id b1 inet containerctl_probe begin packet: iif \"ctl0\" ip daddr 10.0.0.1 udp sport 4 udp dport 53 udp length 30
trace id b1 inet containerctl_probe begin rule ether saddr 02:00:00:00:00:01 meta nftrace set 1 (verdict continue)
trace id b1 ip filter INPUT packet: iif \"ctl0\" ip daddr 10.0.0.1 udp sport 4 udp dport 53 udp length 30
trace id b1 ip filter INPUT rule counter packets 2 bytes 60 jump ufw-not-local (verdict jump ufw-not-local)
trace id c2 ip nat PREROUTING packet: iif \"ctl0\" ip daddr 192.0.2.2 udp sport 4 udp dport 9 udp length 8
trace id c2 ip nat PREROUTING policy accept
trace id b1 ip filter ufw-not-local rule counter packets 2 bytes 60 drop (verdict drop)
trace id c2 ip filter FORWARD packet: iif \"ctl0\" oif \"up0\" ip daddr 192.0.2.2 udp sport 4 udp dport 9 udp length 8
trace id c2 ip filter FORWARD verdict continue
trace id c2 ip filter FORWARD policy drop
trace id d3 inet containerctl_probe end packet: iif \"ctl0\" udp sport 68 udp dport 67 udp length 300
trace id d3 inet containerctl_probe end rule drop (verdict drop)
";

    #[test]
    fn the_chain_that_the_kernel_calls_is_named() {
        let of = |port| dropper(TRACE, port).map(|chain| chain.to_string());
        assert_eq!(of(53).as_deref(), Some("ip filter INPUT"));
        assert_eq!(of(9).as_deref(), Some("ip filter FORWARD"));
        assert_eq!(of(67), None, "our own");
        assert_eq!(of(5), None);
        assert_eq!(dropper("trace id\nnonsense\n", 53), None);
    }
}
