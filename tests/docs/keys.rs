//! containerctl.conf(5) and the table of keys.

use containerctl::config::key::{Directive, Effect, Trust};
use containerctl::config::{directives, key, verbatim};

use super::assert_part;

const PAGE: &str = "contrib/man/containerctl.conf.5.md";

#[test]
fn the_manual_has_every_key() {
    assert_part(PAGE, "keys", &sections());
}

#[test]
fn the_manual_has_the_keys_that_an_image_may_set() {
    let rows = directives::TABLE.iter().filter(|row| row.trust == Trust::Image);
    let keys: Vec<String> = rows.map(|row| format!("`{}=`", row.key)).collect();
    assert_part(PAGE, "image keys", &format!("\n{}.\n\n", keys.join(",\n")));
}

fn sections() -> String {
    let mut text = String::from("\n");
    for section in directives::SECTIONS {
        text.push_str(&format!("# [{}] SECTION\n\n", key::title(section).to_uppercase()));
        match section {
            "Unit" => text.push_str(&passed_on("service", "**systemd.unit**(5)", &verbatim::UNIT)),
            "Resources" => {
                text.push_str(&passed_on("slice", "**systemd.resource-control**(5)", &verbatim::RESOURCES));
            }
            _ => {}
        }
        directives::TABLE
            .iter()
            .filter(|row| row.section == section)
            .for_each(|row| text.push_str(&entry(row)));
    }
    text
}

fn passed_on(unit: &str, manual: &str, keys: &[&str]) -> String {
    let keys: Vec<String> = keys.iter().map(|key| format!("`{key}=`")).collect();
    format!(
        "These keys are copied unchanged to the container's {unit}; see {manual}:\n{}.\n\n",
        keys.join(",\n")
    )
}

fn entry(row: &Directive) -> String {
    let effect = match row.effect {
        Effect::Live => " A change takes effect with `systemctl daemon-reload`.",
        Effect::Reload => " A change takes effect with `systemctl reload`.",
        Effect::Restart => "",
    };
    format!("`{}=`*{}*\n: {}{effect}\n\n", row.key, row.value, markdown(row.doc))
}

/// Marks keys and manual pages, and escapes what Markdown would take for markup.
fn markdown(text: &str) -> String {
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

fn word(word: &str) -> String {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let sentence_end = word.len() - word.trim_end_matches(['.', ',', ';', ':']).len();
    let (bare, end) = word.split_at(word.len() - sentence_end);
    if bare.starts_with(|c: char| c.is_ascii_uppercase())
        && bare.contains('=')
        && bare.chars().all(|c| c == '=' || is_name(c))
    {
        return format!("`{bare}`{end}");
    }
    let open = if word.starts_with('(') { "(" } else { "" };
    if let Some((page, after)) = word[open.len()..].split_once('(')
        && after.starts_with(|c: char| c.is_ascii_digit())
        && page.chars().all(is_name)
    {
        return format!("{open}**{page}**({after}");
    }
    word.chars().flat_map(|c| ['\\', c].into_iter().skip(usize::from(!"\\*_<[]~`".contains(c)))).collect()
}

#[test]
fn keys_and_pages_are_marked() {
    assert_eq!(
        markdown("As Bind=, see (tmpfs(5)); size= \\: x"),
        "As `Bind=`, see (**tmpfs**(5)); size= \\\\: x"
    );
}
