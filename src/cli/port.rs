//! `containerctl port`.

use super::Target;
use super::output::{self, Format};
use crate::config::network as links;
use crate::error::Result;
use crate::machine::Host;
use crate::machine::change::device::Keep;
use crate::machine::change::network::{self, Forward};
use crate::name::MachineName;

/// Let ports of the host lead into running containers
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Forward a port of the host to a running container
    Add {
        #[command(flatten)]
        machine: Target,
        /// [tcp:|udp:]HOST[:CONTAINER]
        port: String,
        /// Also add it to the definition
        #[arg(long)]
        persist: bool,
    },
    /// Remove a forwarded port
    Remove {
        #[command(flatten)]
        machine: Target,
        /// [tcp:|udp:]HOST
        port: String,
    },
    /// List forwarded ports
    List {
        /// Only ports of this container
        name: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

pub fn run(host: &Host, verb: &Verb) -> Result<()> {
    super::require_root("see and change the host's packet filter")?;
    match verb {
        Verb::Add { machine, port, persist } => {
            let keep = if *persist { Keep::Persistent } else { Keep::UntilStop };
            let (machine, port) = (machine.of(host)?, network::port(port)?);
            machine.add_port(port, keep)?;
            let name = machine.name();
            let links::Port { protocol, host, container } = port;
            output::print(&format!(
                "{protocol} port {host} of the host leads to port {container} of {name}; of its loopback addresses only \
                 those of IPv4 do.\n"
            ))
        }
        Verb::Remove { machine, port } => machine.of(host)?.remove_port(network::port(port)?),
        Verb::List { name, json } => {
            let name = name.as_deref().map(MachineName::new).transpose()?;
            let forwards = host.forwards(name.as_ref())?;
            match Format::new(*json) {
                Format::Json => output::print_json(&forwards),
                Format::Table => {
                    let head = ["PROTOCOL", "HOST", "CONTAINER", "ADDRESS", "PORT"];
                    output::print(&output::table(head, forwards.into_iter().map(row)))
                }
            }
        }
    }
}

fn row(forward: Forward) -> [String; 5] {
    [
        forward.protocol,
        forward.host.to_string(),
        forward.machine,
        forward.address,
        forward.container.to_string(),
    ]
}
