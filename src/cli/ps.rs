//! `containerctl ps`.

use super::output::{self, Format};
use crate::error::Result;
use crate::machine::Host;
use crate::machine::inspect::processes::Process;
use crate::name::MachineName;

/// List the processes of running containers with their PIDs on the host and inside
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Names of containers; all running containers by default
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(host: &Host, args: &Args) -> Result<()> {
    let names = args.names.iter().map(|name| MachineName::new(name)).collect::<Result<Vec<_>>>()?;
    super::require_root("look at the processes of containers")?;
    let found = if names.is_empty() { host.processes()? } else { of(host, &names)? };
    match Format::new(args.json) {
        Format::Json => output::print_json(&found),
        Format::Table => {
            let head = ["CONTAINER", "PID", "INSIDE", "USER", "COMMAND"];
            output::print(&output::table(head, found.into_iter().map(row)))
        }
    }
}

fn of(host: &Host, names: &[MachineName]) -> Result<Vec<Process>> {
    let found = names.iter().map(|name| host.machine(name)?.processes());
    Ok(found.collect::<Result<Vec<_>>>()?.concat())
}

fn row(process: Process) -> [String; 5] {
    let Process { machine, pid, inside, user, command } = process;
    [machine, pid.to_string(), output::or_dash(inside), output::or_dash(user), command]
}
