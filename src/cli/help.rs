//! `containerctl --help`: the verbs in groups, which clap does not do by itself.

use clap::Command;

/// Every verb that is shown, by what it is for.
const GROUPS: [(&str, &[&str]); 4] = [
    ("Containers", &["create", "destroy", "list", "info"]),
    ("Running them", &["start", "stop", "console"]),
    ("At boot", &["enable", "disable"]),
    ("Looking behind", &["plan", "audit", "generate", "images"]),
];

/// Puts the groups in the place of clap's one list.
pub fn grouped(command: Command) -> Command {
    let groups = GROUPS.map(|(title, verbs)| {
        let lines = verbs.iter().filter_map(|verb| Some(line(command.find_subcommand(verb)?)));
        format!("{title}:\n{}", lines.collect::<String>())
    });
    let template = format!(
        "{{about}}\n\n{{usage-heading}} containerctl [--help | --version] VERB …\n\n{}\n\
         See 'containerctl VERB --help', containerctl(1) and containerctl.conf(5).\n",
        groups.join("")
    );
    command.help_template(template)
}

fn line(verb: &Command) -> String {
    format!("  {:<10}{}\n", verb.get_name(), verb.get_about().cloned().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_is_in_one_group() {
        let command = super::super::command();
        for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
            let groups = GROUPS.iter().filter(|(_, verbs)| verbs.contains(&verb.get_name()));
            assert_eq!(groups.count(), 1, "{}", verb.get_name());
        }
    }
}
