//! containerctl(1) and the tree of verbs.

use clap::{Arg, ArgAction, Command};
use containerctl::cli;
use containerctl::error::Kind;

use super::{assert_part, read};

const PAGE: &str = "contrib/man/containerctl.1.md";

#[test]
fn the_manual_has_every_verb_with_its_options() {
    let mut text = String::from("\n");
    for verb in cli::command().get_subcommands().filter(|verb| !verb.is_hide_set()) {
        describe(&mut text, "containerctl", verb);
    }
    assert_part(PAGE, "verbs", &text);
}

#[test]
fn the_manual_has_every_exit_status() {
    let page = read(PAGE);
    let (_, section) = page.split_once("\n# EXIT STATUS\n").unwrap();
    for kind in Kind::ALL {
        assert!(section.contains(&format!("\n`{}`\n: ", kind.exit_code())), "{kind:?}");
    }
}

/// Every verb that help shows: `create`, `config set`.
pub fn all() -> Vec<String> {
    let mut verbs = Vec::new();
    collect(&mut verbs, "", &cli::command());
    verbs
}

fn collect(verbs: &mut Vec<String>, above: &str, command: &Command) {
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set() && verb.get_name() != "help") {
        let name = format!("{above}{}", verb.get_name());
        match verb.has_subcommands() {
            true => collect(verbs, &format!("{name} "), verb),
            false => verbs.push(name),
        }
    }
}

fn describe(text: &mut String, above: &str, verb: &Command) {
    let name = format!("{above} {}", verb.get_name());
    if verb.has_subcommands() {
        verb.get_subcommands()
            .filter(|verb| !verb.is_hide_set())
            .for_each(|verb| describe(text, &name, verb));
        return;
    }
    let usage = verb.clone().bin_name(&name).render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ");
    text.push_str(&format!("## {name}\n\n`{usage}`\n\n{}\n\n", sentence(verb.get_about())));
    // The argument NAME is explained once, in the section before.
    let is_explained = |arg: &Arg| arg.is_positional() && ["name", "names"].contains(&arg.get_id().as_str());
    for arg in verb.get_arguments().filter(|arg| !arg.is_hide_set() && !is_explained(arg)) {
        text.push_str(&format!("{}\n: {}{}\n\n", term(arg), sentence(arg.get_help()), default_of(arg)));
    }
}

/// An option with its value, or an operand.
fn term(arg: &Arg) -> String {
    let names = arg.get_value_names().filter(|_| arg.get_action().takes_values()).into_iter().flatten();
    let values = names.map(|value| format!("*{value}*")).collect::<Vec<_>>().join(" ");
    match arg.get_long() {
        Some(long) if values.is_empty() => format!("`--{long}`"),
        Some(long) => format!("`--{long}` {values}"),
        None if matches!(arg.get_action(), ArgAction::Append) => format!("{values}..."),
        None => values,
    }
}

fn default_of(arg: &Arg) -> String {
    let values = arg.get_default_values().iter().filter(|_| arg.get_action().takes_values());
    let values: Vec<_> = values.map(|value| value.to_string_lossy()).collect();
    if values.is_empty() { String::new() } else { format!(" Defaults to `{}`.", values.join(",")) }
}

/// Help ends without a full stop, a manual does not.
fn sentence(text: Option<&clap::builder::StyledStr>) -> String {
    let escape = |c: char| ['\\', c].into_iter().skip(usize::from(!"\\*_<[]~`".contains(c)));
    text.map(|text| format!("{}.", text.to_string().chars().flat_map(escape).collect::<String>()))
        .unwrap_or_default()
}
