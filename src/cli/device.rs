//! `containerctl device`.

use super::output::{self, Format};
use super::{Target, require_root};
use crate::error::Result;
use crate::machine::Host;
use crate::machine::change::device::{Given, Keep, Request};

/// Give a running container device nodes and network interfaces of the host, or take them back
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Give a running container a device node, owned by its root, or a network interface of the host
    Add {
        #[command(flatten)]
        given: Wanted,
        /// Access to the node: read, write, create nodes (mknod); rwm by default
        #[arg(long, value_name = "RWM")]
        access: Option<String>,
        /// Also add it to the definition
        #[arg(long)]
        persist: bool,
    },
    /// Remove a device from a running container
    Remove {
        #[command(flatten)]
        given: Wanted,
        /// Also remove it from the definition
        #[arg(long)]
        persist: bool,
    },
    /// List the devices of a running container
    List {
        #[command(flatten)]
        machine: Target,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// A device of the command line.
#[derive(Debug, clap::Args)]
pub struct Wanted {
    #[command(flatten)]
    machine: Target,
    /// Device node of the host below /dev, or name of a network interface
    #[arg(value_name = "DEVICE")]
    device: String,
    /// Path of the node below /dev or name of the interface inside; as on the host by default
    #[arg(value_name = "INSIDE")]
    inside: Option<String>,
}

pub fn run(host: &Host, verb: &Verb) -> Result<()> {
    let keep = |persist: bool| if persist { Keep::Persistent } else { Keep::UntilStop };
    match verb {
        Verb::Add { given, access, persist } => {
            let name = given.machine.name()?;
            require_root("give devices to a container")?;
            let request = Request::new(&given.device, given.inside.as_deref(), access.as_deref())?;
            output::warn(&host.machine(&name)?.add_device(&request, keep(*persist))?);
        }
        Verb::Remove { given, persist } => {
            let name = given.machine.name()?;
            require_root("take devices from a container")?;
            let request = Request::new(&given.device, given.inside.as_deref(), None)?;
            output::warn(&host.machine(&name)?.remove_device(&request, keep(*persist))?);
        }
        Verb::List { machine, json } => {
            let given = machine.of(host)?.devices()?;
            match Format::new(*json) {
                Format::Json => output::print_json(&given)?,
                Format::Table => {
                    let row =
                        |one: Given| [one.device, output::or_dash(one.access), output::or_dash(one.inside)];
                    output::print(&output::table(
                        ["DEVICE", "ACCESS", "INSIDE"],
                        given.into_iter().map(row),
                    ))?;
                }
            }
        }
    }
    Ok(())
}
