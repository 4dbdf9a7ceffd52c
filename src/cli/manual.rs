//! The hidden verb `manual`: the manual pages, of the same tree as the help.

use std::fs;
use std::path::PathBuf;

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use crate::error::{Context, Kind, Result};

/// Write manual pages
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Directory to write to
    directory: PathBuf,
}

/// What a user sees of [`Kind`]; a test keeps it whole.
const EXIT_STATUS: [(Option<Kind>, &str); 9] = [
    (Some(Kind::Failed), "The operation was tried and failed."),
    (None, "Wrong usage."),
    (Some(Kind::NotFound), "No such container, root file system or file."),
    (Some(Kind::Denied), "The caller lacks the rights."),
    (Some(Kind::Busy), "It exists already, runs, or is held by another operation."),
    (Some(Kind::Unsupported), "The host lacks something that is needed, such as systemd."),
    (Some(Kind::TimedOut), "A time limit ran out."),
    (Some(Kind::Config), "A definition or an argument is wrong."),
    (Some(Kind::Interrupted), "Interrupted by SIGINT, SIGTERM or SIGHUP."),
];

const FILES: [(&str, &str); 5] = [
    ("/etc/containerctl/NAME.conf, NAME.conf.d/*.conf", "The definition, see containerctl.conf(5)."),
    ("/var/lib/containerctl/NAME/rootfs", "The root file system, unless the definition names another."),
    ("/var/lib/containerctl/.ids", "The range of user ids of each container: NAME:BASE:SIZE per line."),
    ("/run/containerctl/NAME/", "Run-time state."),
    ("/run/machines/NAME", "The link by which machinectl(1) finds the root file system."),
];

pub fn run(args: &Args) -> Result<()> {
    write(args, "containerctl.1", &page(super::command())?)?;
    write(args, "containerctl.conf.5", crate::config::manual::manual().as_bytes())
}

fn write(args: &Args, name: &str, page: &[u8]) -> Result<()> {
    let path = args.directory.join(name);
    fs::write(&path, page).context(|| format!("failed to write '{}'", path.display()))
}

/// containerctl(1): all verbs with their options, then what holds for all of them.
fn page(command: Command) -> Result<Vec<u8>> {
    let man = Man::new(command.clone()).title("CONTAINERCTL").section("1");
    let mut page = Vec::new();
    let rendered = man
        .render_title(&mut page)
        .and_then(|()| man.render_name_section(&mut page))
        .and_then(|()| man.render_synopsis_section(&mut page))
        .and_then(|()| verbs(&command).to_writer(&mut page))
        .and_then(|()| ends().to_writer(&mut page));
    rendered.context(|| "failed to write containerctl(1)")?;
    Ok(page)
}

fn verbs(command: &Command) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["VERBS"]);
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
    for arg in verb.get_arguments().filter(|arg| !arg.is_hide_set() && !arg.is_positional()) {
        roff.control("TP", []);
        let long = arg.get_long().unwrap_or_default();
        let values = arg.get_value_names().filter(|_| arg.get_action().takes_values());
        let values: String = values.into_iter().flatten().map(|value| format!(" {value}")).collect();
        roff.text([bold(format!("--{long}")), roman(values)]);
        roff.text([roman(sentence(arg.get_help()))]);
    }
}

/// Help ends without a full stop, a manual does not.
fn sentence(text: Option<&clap::builder::StyledStr>) -> String {
    text.map(|text| format!("{text}.")).unwrap_or_default()
}

fn ends() -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["EXIT STATUS"]);
    entry(&mut roff, "0", "Done.");
    for (kind, meaning) in EXIT_STATUS {
        entry(&mut roff, &kind.map_or(2, Kind::exit_code).to_string(), meaning);
    }
    roff.control("SH", ["FILES"]);
    FILES.iter().for_each(|(path, meaning)| entry(&mut roff, path, meaning));
    roff.control("SH", ["SEE ALSO"]);
    roff.text([roman("containerctl.conf(5), systemctl(1), machinectl(1), journalctl(1), systemd.nspawn(5)")]);
    roff
}

fn entry(roff: &mut Roff, term: &str, meaning: &str) {
    roff.control("TP", []);
    roff.text([bold(term)]);
    roff.text([roman(meaning)]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_every_verb_exit_status_and_file() {
        let page = String::from_utf8(page(super::super::command()).unwrap()).unwrap();
        for part in ["containerctl create", "containerctl images link", "from\\-tar", "EXIT STATUS", "FILES"]
        {
            assert!(page.contains(part), "{part}: {page}");
        }
        assert!(!page.contains("completions"));
    }

    #[test]
    fn no_kind_of_error_is_left_out() {
        for (kind, _) in EXIT_STATUS {
            match kind {
                // A new kind does not compile until it stands above, and here.
                None | Some(Kind::Failed | Kind::NotFound | Kind::Denied | Kind::Busy) => {}
                Some(Kind::Unsupported | Kind::TimedOut | Kind::Config | Kind::Interrupted) => {}
            }
        }
    }
}
