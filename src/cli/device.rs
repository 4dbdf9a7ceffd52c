//! `containerctl device`.

use super::output::{self, Format};
use super::{Machine, require_root};
use crate::error::Result;
use crate::machine::device::{self, Keep, Request};
use crate::paths::Root;

/// Give a running container device nodes of the host, or take them back
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Give a device at once, owned by the container's root
    Add {
        #[command(flatten)]
        given: Given,
        /// What it may do with it: read, write, make nodes
        #[arg(long, value_name = "RWM", default_value = "rwm")]
        access: String,
        /// Have it in the definition, too, for every start
        #[arg(long)]
        persist: bool,
    },
    /// Take a device back at once
    Remove {
        #[command(flatten)]
        given: Given,
        /// Take it out of the definition, too
        #[arg(long)]
        persist: bool,
    },
    /// List what a running container was given
    List {
        #[command(flatten)]
        machine: Machine,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// A device of the command line.
#[derive(Debug, clap::Args)]
pub struct Given {
    #[command(flatten)]
    machine: Machine,
    /// Device node of the host, below /dev
    #[arg(value_name = "DEVICE")]
    device: String,
    /// Where it is inside, below /dev; by default in the same place
    #[arg(value_name = "PATH")]
    path: Option<String>,
}

pub fn run(root: &Root, verb: &Verb) -> Result<()> {
    let keep = |persist: bool| if persist { Keep::Persistent } else { Keep::UntilStop };
    match verb {
        Verb::Add { given, access, persist } => {
            let name = given.machine.name()?;
            require_root("give devices to a container")?;
            let request = Request::new(&given.device, given.path.as_deref(), access)?;
            output::warn(&device::add(root, &name, &request, keep(*persist))?);
        }
        Verb::Remove { given, persist } => {
            let name = given.machine.name()?;
            require_root("take devices from a container")?;
            let request = Request::new(&given.device, given.path.as_deref(), "rwm")?;
            output::warn(&device::remove(root, &name, &request, keep(*persist))?);
        }
        Verb::List { machine, json } => {
            let given = device::list(root, &machine.name()?)?;
            match Format::new(*json) {
                Format::Json => output::print_json(&given)?,
                Format::Table => {
                    let rows = given.into_iter().map(|one| [one.device, one.access]);
                    output::print(&output::table(["DEVICE", "ACCESS"], rows))?;
                }
            }
        }
    }
    Ok(())
}
