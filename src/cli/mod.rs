//! The command line: the tree of verbs, and one file for each.
//!
//! A verb turns what was typed into one call of `machine`, prints its result, and returns.

mod attach;
mod audit;
mod autostart;
mod check;
mod completions;
mod config;
mod console;
mod create;
mod destroy;
mod device;
mod doctor;
mod enable;
mod execute;
mod freeze;
mod generate;
mod help;
mod images;
mod info;
mod kill;
mod limit;
mod list;
mod logs;
mod machines;
mod monitor;
mod network;
/// Tables, JSON, escapes.
pub mod output;
mod plan;
mod port;
mod progress;
mod ps;
mod relay;
mod rename;
mod restart;
mod scrollback;
mod start;
mod stop;
mod terminal;
mod top;
mod wait;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::cancellation::Cancellation;
use crate::error::{Error, Kind, Result};
use crate::machine::{Host, Machine};
use crate::name::MachineName;
use crate::paths::Root;
use crate::sys::interrupt;

/// System containers as systemd units
#[derive(Debug, Parser)]
#[command(name = "containerctl", version, disable_help_subcommand = true)]
struct Cli {
    /// Work on the tree below DIR, without systemd
    #[arg(long, global = true, value_name = "DIR", hide = true)]
    root: Option<PathBuf>,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Create(create::Args),
    Destroy(destroy::Args),
    List(list::Args),
    Info(info::Args),
    Logs(logs::Args),
    Top(top::Args),
    Ps(ps::Args),
    Limit(limit::Args),
    Rename(rename::Args),
    #[command(subcommand)]
    Config(config::Verb),
    #[command(subcommand)]
    Device(device::Verb),
    Start(start::Args),
    Stop(stop::Args),
    Attach(attach::Args),
    Execute(execute::Args),
    Restart(restart::Args),
    Freeze(freeze::Freeze),
    Thaw(freeze::Thaw),
    Kill(kill::Args),
    Wait(wait::Args),
    Monitor(monitor::Args),
    Console(console::Args),
    #[command(subcommand)]
    Autostart(autostart::Verb),
    Enable(enable::Enable),
    Disable(enable::Disable),
    Plan(plan::Args),
    Audit(audit::Args),
    Generate(generate::Args),
    Check(check::Args),
    Doctor(doctor::Args),
    #[command(subcommand)]
    Network(network::Verb),
    #[command(subcommand)]
    Port(port::Verb),
    #[command(subcommand)]
    Images(images::Verb),
    #[command(hide = true)]
    Completions(completions::Args),
}

/// The container of the command line.
#[derive(Debug, clap::Args)]
struct Target {
    /// Name of the container
    name: String,
}

impl Target {
    fn name(&self) -> Result<MachineName> {
        MachineName::new(&self.name)
    }

    /// The container, which must be defined.
    fn of(&self, host: &Host) -> Result<Machine> {
        host.machine(&self.name()?)
    }
}

/// Runs the verb that the program's arguments name. The caller exits with the result.
pub fn run() -> ExitCode {
    let cli = match command().try_get_matches().and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match dispatch(&cli) {
        Ok(code) => code,
        Err(error) => {
            complain(&error);
            ExitCode::from(error.kind().exit_code())
        }
    }
}

/// Prints a failure for the person at the terminal.
fn complain(error: &Error) {
    eprintln!("containerctl: {}", output::escape(&error.to_string()));
}

fn dispatch(cli: &Cli) -> Result<ExitCode> {
    let root = cli.root.as_ref().map_or_else(Root::system, Root::at);
    let host = Host::new(root).cancelled_by(Cancellation::by(interrupt::catch));
    match &cli.verb {
        Verb::Create(args) => create::run(&host, args),
        Verb::Destroy(args) => destroy::run(&host, args),
        Verb::List(args) => list::run(&host, args),
        Verb::Info(args) => info::run(&host, args),
        Verb::Logs(args) => logs::run(&host, args),
        Verb::Top(args) => top::run(&host, args),
        Verb::Ps(args) => ps::run(&host, args),
        Verb::Limit(args) => limit::run(&host, args),
        Verb::Rename(args) => rename::run(&host, args),
        Verb::Config(verb) => config::run(&host, verb),
        Verb::Start(args) => return start::run(&host, args),
        Verb::Stop(args) => return stop::run(&host, args),
        Verb::Restart(args) => return restart::run(&host, args),
        Verb::Freeze(args) => return freeze::freeze(&host, args),
        Verb::Thaw(args) => return freeze::thaw(&host, args),
        Verb::Kill(args) => return kill::run(&host, args),
        Verb::Wait(args) => wait::run(&host, args),
        Verb::Monitor(args) => monitor::run(&host, args),
        Verb::Autostart(verb) => autostart::run(&host, verb),
        Verb::Enable(args) => return enable::enable(&host, args),
        Verb::Disable(args) => return enable::disable(&host, args),
        Verb::Device(verb) => device::run(&host, verb),
        Verb::Console(args) => console::run(&host, args),
        Verb::Attach(args) => return attach::run(&host, args),
        Verb::Execute(args) => return execute::run(&host, args),
        Verb::Audit(args) => return audit::run(&host, args),
        Verb::Plan(args) => plan::run(&host, args),
        Verb::Check(args) => return check::run(&host, args),
        Verb::Doctor(args) => return doctor::run(&host, args),
        Verb::Generate(args) => generate::run(host.root(), args),
        Verb::Network(verb) => network::run(&host, verb),
        Verb::Port(verb) => port::run(&host, verb),
        Verb::Images(images::Verb::Link) => images::link(&host),
        Verb::Completions(args) => completions::run(args),
    }?;
    Ok(ExitCode::SUCCESS)
}

/// The tree of verbs, of which help, completions and the manual's list of verbs are made.
pub fn command() -> clap::Command {
    help::grouped(Cli::command())
}

/// Fails for all but root, before a verb has changed anything.
fn require_root(what: &str) -> Result<()> {
    match rustix::process::geteuid().is_root() {
        true => Ok(()),
        false => Err(Error::new(Kind::Denied, format!("only root may {what}")).hint("try it with sudo")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::operation::OPERATIONS;

    #[test]
    fn the_tree_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn the_help_of_operations_is_the_cores() {
        let tree = command();
        for operation in OPERATIONS {
            let verb = tree.find_subcommand(operation.verb).expect("a verb");
            assert_eq!(verb.get_about().expect("help").to_string(), operation.summary);
            for parameter in operation.parameters {
                let argument = verb.get_arguments().find(|one| one.get_id() == parameter.name);
                let help = argument.and_then(|one| one.get_help()).expect(parameter.name).to_string();
                assert_eq!(help, parameter.help, "{} {}", operation.verb, parameter.name);
            }
        }
    }

    #[test]
    fn help_fits_a_screen() {
        let help = command().render_help().to_string();
        assert!(help.lines().count() <= 24, "{help}");
        assert!(help.lines().all(|line| line.chars().count() <= 80), "{help}");
    }
}
