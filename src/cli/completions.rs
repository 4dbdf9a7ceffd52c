//! The hidden verb `completions`: one file for each shell, from the tree of verbs. Where a container is named, the shell
//! asks for the names there are.

use std::fs;
use std::path::PathBuf;

use clap::Command;
use clap_complete::{Shell, generate};

use crate::error::{Context, Result};

/// Write shell completions
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Directory to write to
    directory: PathBuf,
}

/// The command that each shell runs to list names.
const NAMES: &str = "containerctl list --columns name 2>/dev/null | tail -n +2";

pub fn run(args: &Args) -> Result<()> {
    for (shell, name) in [
        (Shell::Bash, "containerctl.bash"),
        (Shell::Fish, "containerctl.fish"),
        (Shell::Zsh, "_containerctl"),
    ] {
        let path = args.directory.join(name);
        fs::write(&path, script(shell)).context(|| format!("failed to write '{}'", path.display()))?;
    }
    Ok(())
}

fn script(shell: Shell) -> String {
    let mut command = super::command();
    let mut script = Vec::new();
    generate(shell, &mut command, "containerctl", &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    match shell {
        Shell::Bash => script + &bash(),
        Shell::Fish => script + &fish(&command),
        _ => zsh(&script),
    }
}

/// Asks the generated function first, and adds the names to whatever is no option.
fn bash() -> String {
    format!(
        r#"
_containerctl_and_names() {{
    _containerctl "$@"
    local current=${{COMP_WORDS[COMP_CWORD]}}
    if ((COMP_CWORD > 1)) && [[ $current != -* ]]; then
        COMPREPLY=($(compgen -W "${{COMPREPLY[*]}} $({NAMES})" -- "$current"))
    fi
}}
complete -F _containerctl_and_names -o nosort -o bashdefault -o default containerctl
"#
    )
}

/// For the verbs that take a name.
fn fish(command: &Command) -> String {
    let named = |verb: &&Command| verb.get_positionals().any(|arg| is_name(arg.get_id().as_str()));
    let with_name = |verb: &&Command| named(verb) || verb.get_subcommands().any(|inner| named(&inner));
    let verbs: Vec<&str> = command.get_subcommands().filter(with_name).map(Command::get_name).collect();
    let verbs = verbs.join(" ");
    format!("complete -c containerctl -n '__fish_seen_subcommand_from {verbs}' -f -a '({NAMES})'\n")
}

/// In the place of files, which no verb takes as its first word.
fn zsh(script: &str) -> String {
    let names = format!("\n_containerctl_names() {{\n    compadd -- ${{(f)\"$({NAMES})\"}}\n}}\n");
    let named = |line: &str| {
        is_name(line.trim_start().trim_start_matches(['\'', '*', ':']).split(' ').next()?).then_some(())
    };
    let lines = script.split_inclusive('\n').map(|line| match named(line) {
        Some(()) => line.replacen(":_default'", ":_containerctl_names'", 1),
        None => line.to_string(),
    });
    let script: String = lines.collect();
    script.replacen("\n_containerctl() {", &format!("{names}\n_containerctl() {{"), 1)
}

/// Arguments that are names of containers.
fn is_name(argument: &str) -> bool {
    matches!(argument, "name" | "names" | "patterns")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_asked_for_where_a_container_is_meant() {
        let fish = script(Shell::Fish);
        let line = fish.lines().last().unwrap();
        for verb in ["start", "destroy", "config", "device", "ps", "top"] {
            assert!(line.contains(&format!(" {verb}")), "{verb}: {line}");
        }
        let zsh = script(Shell::Zsh);
        assert!(zsh.contains("_containerctl_names() {"), "{zsh}");
        assert!(zsh.matches(":_containerctl_names'").count() > 15, "{zsh}");
    }

    /// As bash does it, with a program of that name that knows two containers.
    #[test]
    fn bash_completes_verbs_options_and_names() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("containerctl.bash");
        fs::write(&file, script(Shell::Bash)).unwrap();
        let complete = |words: &str| {
            let run = format!(
                "containerctl() {{ printf 'NAME\\npeter\\npaul\\n'; }}; . {}; COMP_WORDS=({words}); \
                 COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
                 _containerctl_and_names containerctl \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"; \
                 echo ${{COMPREPLY[*]}}",
                file.display()
            );
            let output = std::process::Command::new("bash").arg("-c").arg(run).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).unwrap().trim().to_string()
        };
        assert_eq!(complete("containerctl ren"), "rename");
        assert_eq!(complete("containerctl start pe"), "peter");
        assert_eq!(complete("containerctl config get pa"), "paul");
        assert!(complete("containerctl limit --run").contains("--runtime"));
    }
}
