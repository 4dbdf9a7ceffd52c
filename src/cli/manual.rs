//! The hidden verb `manual`: the manual pages. Their prose is roff beside this file; verbs and options come from the
//! tree that makes the help, exit codes from [`Kind`].

use std::fs;
use std::path::PathBuf;

use clap::{Arg, Command};
use clap_mangen::roff::{Roff, bold, roman};

use crate::error::{Context, Kind, Result};

/// Write manual pages
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Directory to write to
    directory: PathBuf,
}

/// What a user sees of [`Kind`]; a test keeps it whole.
const EXIT_STATUS: [(Option<Kind>, &str); 10] = [
    (Some(Kind::Failed), "The operation was tried and failed."),
    (None, "Wrong usage."),
    (Some(Kind::NotFound), "No such container, root file system or file."),
    (Some(Kind::Unsupported), "The host lacks something that is needed, such as systemd."),
    (Some(Kind::Stuck), "It was killed, and processes of it are left that cannot be ended."),
    (Some(Kind::Busy), "It exists already, runs, or is held by another operation."),
    (Some(Kind::Denied), "The caller lacks the rights."),
    (Some(Kind::Config), "A definition or an argument is wrong."),
    (Some(Kind::TimedOut), "A time limit ran out."),
    (Some(Kind::Interrupted), "Interrupted by SIGINT, SIGTERM or SIGHUP."),
];

const FILES: [(&str, &str); 12] = [
    ("/etc/containerctl/NAME.conf, NAME.conf.d/*.conf", "The definition, see containerctl.conf(5)."),
    ("/run/containerctl/, /usr/lib/containerctl/", "Definitions made at run time, and by packages."),
    ("/var/lib/containerctl/NAME/rootfs", "The root file system, unless the definition names another."),
    ("/var/lib/containerctl/.ids", "The range of user ids of each container: NAME:BASE:SIZE per line."),
    ("/run/containerctl/NAME/", "Run-time state; there while the container runs."),
    ("/run/machines/NAME", "The link by which machinectl(1) finds the root file system."),
    ("/usr/lib/systemd/system/container@.service", "The template of every container's service."),
    (
        "/usr/lib/systemd/system-generators/containerctl-generator",
        "Makes drop-ins of the definitions at boot and at 'systemctl daemon-reload'.",
    ),
    ("/run/systemd/generator/container@NAME.service.d/, machine-NAME.slice.d/", "Those drop-ins."),
    ("/usr/lib/systemd/system/container-delay@.service", "What waits for StartDelay=."),
    ("/usr/lib/systemd/system/container-reaper@.service", "What waits for the end of a stuck container."),
    ("/var/log/journal/", "Links to the journals of containers."),
];

/// The frame of containerctl(1); the generated parts take the places of its lines `@…@`.
const FRAME: &str = include_str!("manual/containerctl.1");
/// containerctl-supervisor(8).
const SUPERVISOR: &str = include_str!("manual/containerctl-supervisor.8");

pub fn run(args: &Args) -> Result<()> {
    write(args, "containerctl.1", page(&super::command()).as_bytes())?;
    write(args, "containerctl-supervisor.8", SUPERVISOR.as_bytes())?;
    write(args, "containerctl.conf.5", crate::config::manual::manual().as_bytes())
}

fn write(args: &Args, name: &str, page: &[u8]) -> Result<()> {
    let path = args.directory.join(name);
    fs::write(&path, page).context(|| format!("failed to write '{}'", path.display()))
}

/// containerctl(1).
fn page(command: &Command) -> String {
    let exits = EXIT_STATUS.map(|(kind, meaning)| (kind.map_or(2, Kind::exit_code).to_string(), meaning));
    let exits = exits.iter().map(|(code, meaning)| (code.as_str(), *meaning));
    FRAME
        .replace("@VERBS@\n", &verbs(command).to_roff())
        .replace("@EXIT_STATUS@\n", &entries([("0", "Done.")].into_iter().chain(exits)).to_roff())
        .replace("@FILES@\n", &entries(FILES).to_roff())
}

fn verbs(command: &Command) -> Roff {
    let mut roff = Roff::new();
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
        describe(&mut roff, "containerctl", verb);
    }
    roff
}

fn describe(roff: &mut Roff, above: &str, verb: &Command) {
    let name = format!("{above} {}", verb.get_name());
    let shown = |verb: &&Command| !verb.is_hide_set();
    if verb.get_subcommands().any(|verb| shown(&verb)) {
        verb.get_subcommands().filter(shown).for_each(|verb| describe(roff, &name, verb));
        return;
    }
    let usage = verb.clone().bin_name(&name).render_usage().to_string();
    roff.control("SS", [name.as_str()]);
    roff.text([bold(usage.trim_start_matches("Usage: "))]);
    roff.control("PP", []);
    roff.text([roman(sentence(verb.get_about()))]);
    // What NAME is, every verb's reader knows.
    let told = |arg: &&Arg| {
        !arg.is_hide_set() && (!arg.is_positional() || !["name", "names"].contains(&arg.get_id().as_str()))
    };
    for arg in verb.get_arguments().filter(told) {
        roff.control("TP", []);
        let values = arg.get_value_names().filter(|_| arg.get_action().takes_values());
        let values = values.into_iter().flatten().map(|value| value.as_str()).collect::<Vec<_>>().join(" ");
        match arg.get_long() {
            Some(long) => roff.text([bold(format!("--{long}")), roman(format!(" {values}"))]),
            None => roff.text([roman(format!("{values}..."))]),
        };
        roff.text([roman(sentence(arg.get_help())), roman(default_of(arg))]);
    }
}

/// A second sentence, where there is a default.
fn default_of(arg: &Arg) -> String {
    let default = arg.get_default_values().first().filter(|_| arg.get_action().takes_values());
    default.map_or_else(String::new, |value| format!(" {} by default.", value.to_string_lossy()))
}

/// Help ends without a full stop, a manual does not.
fn sentence(text: Option<&clap::builder::StyledStr>) -> String {
    text.map(|text| format!("{text}.")).unwrap_or_default()
}

/// Terms and what they mean.
fn entries<'a>(entries: impl IntoIterator<Item = (&'a str, &'a str)>) -> Roff {
    let mut roff = Roff::new();
    for (term, meaning) in entries {
        roff.control("TP", []);
        roff.text([bold(term)]);
        roff.text([roman(meaning)]);
    }
    roff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_every_verb_exit_status_and_file() {
        let page = page(&super::super::command());
        for part in ["containerctl create", "containerctl images link", "from\\-tar", "EXIT STATUS", "FILES"]
        {
            assert!(page.contains(part), "{part}: {page}");
        }
        assert!(!page.contains("completions"));
        assert!(!page.lines().any(|line| line.starts_with('@')), "{page}");
    }

    #[test]
    fn no_kind_of_error_is_left_out() {
        for (kind, _) in EXIT_STATUS {
            match kind {
                // A new kind does not compile until it stands above, and here.
                None | Some(Kind::Failed | Kind::NotFound | Kind::Denied | Kind::Busy) => {}
                Some(Kind::Unsupported | Kind::Stuck | Kind::TimedOut | Kind::Config | Kind::Interrupted) => {
                }
            }
        }
    }
}
