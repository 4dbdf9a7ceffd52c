//! `containerctl port`.

use super::Machine;
use super::output::{self, Format};
use crate::config::network as links;
use crate::error::Result;
use crate::machine::change::device::Keep;
use crate::machine::change::network::{self, Forward};
use crate::name::MachineName;
use crate::paths::Root;

/// Let ports of the host lead into running containers
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Forward a port of the host to a running container
    Add {
        #[command(flatten)]
        machine: Machine,
        /// [tcp:|udp:]HOST[:CONTAINER]
        port: String,
        /// Also add it to the definition
        #[arg(long)]
        persist: bool,
    },
    /// Remove a forwarded port
    Remove {
        #[command(flatten)]
        machine: Machine,
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

pub fn run(root: &Root, verb: &Verb) -> Result<()> {
    super::require_root("see and change the host's packet filter")?;
    match verb {
        Verb::Add { machine, port, persist } => {
            let keep = if *persist { Keep::Persistent } else { Keep::UntilStop };
            let (name, port) = (machine.name()?, network::port(port)?);
            network::add_port(root, &name, port, keep)?;
            let links::Port { protocol, host, container } = port;
            output::print(&format!(
                "{protocol} port {host} of the host leads to port {container} of {name}; of its loopback addresses only \
                 those of IPv4 do.\n"
            ))
        }
        Verb::Remove { machine, port } => network::remove_port(root, &machine.name()?, network::port(port)?),
        Verb::List { name, json } => {
            let name = name.as_deref().map(MachineName::new).transpose()?;
            let forwards = network::forwards(name.as_ref())?;
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
