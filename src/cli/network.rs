//! `containerctl network`.

use super::Target;
use super::output::{self, Format};
use crate::error::Result;
use crate::machine::Host;
use crate::machine::change::device::Keep;
use crate::machine::change::network::{Member, Network};

/// Show the managed network, and change the links of running containers
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Show the managed network in one line
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show the managed network, its members and their traffic
    Info {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Add a link to a running container
    Attach {
        #[command(flatten)]
        machine: Target,
        /// Name of the interface inside
        interface: String,
        /// Keys of an [Interface NAME] section, such as Type=macvlan; a link in the managed network by default
        #[arg(value_name = "KEY=VALUE")]
        settings: Vec<String>,
        /// Also add it to the definition
        #[arg(long)]
        persist: bool,
    },
    /// Remove a link from a running container
    Detach {
        #[command(flatten)]
        machine: Target,
        /// Name of the interface inside
        interface: String,
    },
    /// Restore the filter rules of running containers after a flush
    Restore,
}

pub fn run(host: &Host, verb: &Verb) -> Result<()> {
    super::require_root(match verb {
        Verb::List { .. } | Verb::Info { .. } => "look at who has which address",
        Verb::Restore => "change the packet filter",
        _ => "change the links of a container",
    })?;
    match verb {
        Verb::List { json } => list(host.network()?, Format::new(*json)),
        Verb::Info { json } => info(host.network()?, Format::new(*json)),
        Verb::Attach { machine, interface, settings, persist } => {
            let keep = if *persist { Keep::Persistent } else { Keep::UntilStop };
            let link = machine.of(host)?.attach_link(interface, settings, keep)?;
            output::print(&format!("{}\n", output::escape(&link.to_string())))
        }
        Verb::Detach { machine, interface } => machine.of(host)?.detach_link(interface),
        Verb::Restore => match &host.restore_rules()?[..] {
            [] => Ok(()),
            restored => {
                let names: Vec<String> = restored.iter().map(ToString::to_string).collect();
                output::print(&format!("Put back the rules of {}.\n", names.join(", ")))
            }
        },
    }
}

fn list(network: Option<Network>, format: Format) -> Result<()> {
    let networks: Vec<Network> = network.into_iter().collect();
    if format == Format::Json {
        return output::print_json(&networks);
    }
    let row = |network: Network| {
        let running = network.members.iter().filter(|member| member.port.is_some()).count();
        let state = if network.up { "up" } else { "not there" };
        [
            network.name,
            state.to_string(),
            network.ipv4,
            network.ipv6,
            format!("{running} of {}", network.members.len()),
        ]
    };
    output::print(&output::table(["NAME", "STATE", "IPV4", "IPV6", "RUNNING"], networks.into_iter().map(row)))
}

fn info(network: Option<Network>, format: Format) -> Result<()> {
    if format == Format::Json {
        return output::print_json(&network);
    }
    let Some(network) = network else {
        return output::print("No container has needed the managed network yet.\n");
    };
    let state = if network.up { "up" } else { "not there; the next container that needs it makes it" };
    output::print(&output::fields(&[
        ("Name", network.name),
        ("State", state.to_string()),
        ("IPv4", network.ipv4),
        ("IPv6", network.ipv6),
        ("Domain", network.domain.to_string()),
    ]))?;
    network.problems.iter().try_for_each(|problem| output::print(&format!("Problem: {problem}\n")))?;
    let head = ["CONTAINER", "INTERFACE", "IPV4", "IPV6", "MAC", "PORT", "IN", "OUT", "DROPPED"];
    output::print(&format!("\n{}", output::table(head, network.members.into_iter().map(row))))
}

fn row(member: Member) -> [String; 9] {
    [
        member.machine,
        member.interface,
        member.ipv4.to_string(),
        member.ipv6.to_string(),
        member.mac.to_string(),
        output::or_dash(member.port),
        output::bytes(member.counters.map(|counters| counters.rx_bytes)),
        output::bytes(member.counters.map(|counters| counters.tx_bytes)),
        output::or_dash(member.dropped.map(|frames| frames.to_string())),
    ]
}
