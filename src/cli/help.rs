//! `containerctl --help`: the verbs in groups, on one screen, which clap does not do by itself. What each verb does
//! stands in containerctl(1) and in its own help.

use clap::Command;

/// Every verb that is shown, by what it is for.
const GROUPS: [(&str, &[&str]); 8] = [
    ("Containers", &["create", "rename", "destroy"]),
    ("Running", &["start", "stop", "restart", "freeze", "thaw", "kill"]),
    ("At boot", &["enable", "disable", "autostart"]),
    ("Inside", &["attach", "execute", "console"]),
    ("Looking", &["list", "info", "top", "ps", "logs", "wait", "monitor", "audit", "plan", "generate"]),
    ("Changing", &["config", "limit", "device", "network", "port"]),
    ("Images", &["images"]),
    ("Host", &["check", "doctor"]),
];

/// Columns of a screen.
const WIDTH: usize = 80;
/// Columns before a group's verbs.
const INDENT: usize = 13;

/// Puts the groups in the place of clap's one list.
pub fn grouped(command: Command) -> Command {
    let groups = GROUPS.map(|(title, verbs)| group(title, verbs)).join("");
    let template = format!(
        "{{about}}\n\n{{usage-heading}} containerctl [--help | --version] VERB …\n\n{groups}\n\
         See 'containerctl VERB --help', containerctl(1) and containerctl.conf(5).\n"
    );
    command.help_template(template)
}

/// A title and its verbs, in as many lines as they need.
fn group(title: &str, verbs: &[&str]) -> String {
    let mut text = format!("  {title:<width$}", width = INDENT - 2);
    let mut column = INDENT;
    for verb in verbs {
        if column + verb.len() > WIDTH {
            text = format!("{}\n{:INDENT$}", text.trim_end(), "");
            column = INDENT;
        }
        text.push_str(verb);
        text.push(' ');
        column += verb.len() + 1;
    }
    format!("{}\n", text.trim_end())
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

    #[test]
    fn a_long_group_goes_on_in_the_next_line() {
        let text = group("Many", &["a-verb-of-twenty-char"; 5]);
        assert!(text.lines().count() == 2 && text.lines().all(|line| line.len() <= WIDTH), "{text}");
    }
}
