//! containerctl.conf(5), written from the table of keys.

use super::key::{Effect, Trust};
use super::{directives, key, verbatim};

/// The whole page as roff.
pub fn manual() -> String {
    let mut page = HEAD.replace("HARMLESS", &harmless());
    for section in directives::SECTIONS {
        page.push_str(&format!(".SH \"[{}] SECTION\"\n", key::title(section).to_uppercase()));
        match section {
            "Unit" => passed_on(&mut page, "the container's unit", "systemd.unit(5)", &verbatim::UNIT),
            "Resources" => passed_on(
                &mut page,
                "the container's slice",
                "systemd.resource-control(5)",
                &verbatim::RESOURCES,
            ),
            _ => {}
        }
        for row in directives::TABLE.iter().filter(|row| row.section == section) {
            let (key, value, doc) = (row.key, escape(row.value), escape(row.doc));
            let effect = match row.effect {
                Effect::Live => "\nTakes effect by \\fBsystemctl daemon\\-reload\\fR.",
                Effect::Reload => "\nTakes effect by \\fBsystemctl reload\\fR.",
                Effect::Restart => "",
            };
            page.push_str(&format!(".TP\n\\fB{key}=\\fR\\fI{value}\\fR\n{doc}{effect}\n"));
        }
    }
    page.push_str(TAIL);
    page
}

/// The keys that an image may set.
fn harmless() -> String {
    let rows = directives::TABLE.iter().filter(|row| row.trust == Trust::Image);
    rows.map(|row| format!("\\fB{}=\\fR", row.key)).collect::<Vec<_>>().join(",\n")
}

fn passed_on(page: &mut String, unit: &str, manual: &str, keys: &[&str]) {
    page.push_str(&format!("Passed to {unit} as written; see {}. Known are\n", escape(manual)));
    let keys: Vec<String> = keys.iter().map(|key| format!("\\fB{key}=\\fR")).collect();
    page.push_str(&format!("{}.\n", keys.join(",\n")));
}

/// Text that roff prints as it is.
fn escape(text: &str) -> String {
    let escaped = text.replace('\\', "\\e").replace('-', "\\-").replace('…', "...");
    if escaped.starts_with(['.', '\'']) { format!("\\&{escaped}") } else { escaped }
}

const HEAD: &str = r#".TH CONTAINERCTL.CONF 5 "" containerctl
.SH NAME
containerctl.conf \- definition of a system container
.SH SYNOPSIS
.nf
/etc/containerctl/NAME.conf
/etc/containerctl/NAME.conf.d/*.conf
/run/containerctl/NAME.conf
/run/containerctl/NAME.conf.d/*.conf
/usr/lib/containerctl/NAME.conf
/usr/lib/containerctl/NAME.conf.d/*.conf
.fi
.SH DESCRIPTION
Each file describes the container NAME, which systemd knows as container@NAME.service.
\fBcontainerctl create\fR writes the first one; from then on it is the administrator's.
No section and no key is required: an empty file boots the init of the root file system in its default place.
.PP
\fBcontainerctl config\fR shows and changes it: it keeps comments and order, writes nothing that is wrong, and says when
a change takes effect.
After a change by hand run \fBsystemctl daemon\-reload\fR: [Unit], [Resources] and [Install] take effect then.
\fBsystemctl reload container@\fR\fINAME\fR applies those keys of which it is said below.
All else takes effect when the container is started next.
.PP
The syntax is that of unit files, see systemd.syntax(7): keys may be repeated, an empty assignment takes back what
was assigned before, a backslash at the end of a line continues it, and lines that begin with # or ; are comments.
An unknown key is passed over with a warning.
A wrong value is an error, and a container with an error in its definition does not start.
Sections and keys whose names begin with X\- are left to others.
.PP
Of files of the same name the one in /etc wins over the one in /run, and that over the one in /usr/lib.
Drop\-ins of all three directories are added, sorted by their names.
A symlink to /dev/null hides a file.
A name that has drop\-ins and no file is no container.
.PP
An image may bring along /usr/lib/containerctl/image.conf in its root file system.
That is advice: of its keys those count which the files above do not mention, and of these only
HARMLESS.
All others are named in a warning, at creation and at each start; nothing in that file is an error.
.PP
What a definition amounts to is shown by \fBcontainerctl plan\fR NAME and \fBcontainerctl generate \-\-dry\-run\fR.
.PP
Keys mean what they mean in systemd.nspawn(5) unless said otherwise.
"#;

const TAIL: &str = r#".SH EXAMPLE
.nf
[Exec]
Hostname=web
PrivateUsers=pick

[Files]
BindReadOnly=/srv/www

[Resources]
MemoryMax=2G

[Unit]
After=container@db.service
.fi
.SH SEE ALSO
.BR containerctl (1),
.BR systemd.nspawn (5),
.BR systemd.unit (5),
.BR systemd.resource\-control (5)
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_in_the_manual() {
        let page = manual();
        for row in directives::TABLE {
            assert!(page.contains(&format!("\\fB{}=\\fR", row.key)), "{}", row.key);
        }
    }
}
