//! Methods that create, destroy and rename containers.

use std::path::PathBuf;

use zbus::OwnedObjectPath;

use super::object;
use crate::dbus::caller::Action;
use crate::dbus::interface::{About, Method};
use crate::dbus::options::{Given, Options};
use crate::error::{Context, Error, Result};
use crate::machine::Host;
use crate::machine::change::create::{Debian, Finishing, Request, Source};
use crate::machine::change::destroy::IfRunning;
use crate::name::MachineName;

/// The methods.
pub fn methods() -> Vec<Method> {
    let (made, warnings) = (&["container", "warnings"], &["warnings"]);
    let create = Action::Create;
    let rows = [
        Method::new("CreateContainer", create, &["name", "options"], made, create_container),
        Method::new("DestroyContainer", create, &["name", "if_running"], warnings, destroy_container),
        Method::new("RenameContainer", create, &["name", "new_name"], made, rename_container),
    ];
    rows.map(|row| row.about(About::Argument)).into()
}

/// The object, and warnings.
type Made = (OwnedObjectPath, Vec<String>);

fn create_container(host: &Host, _: &str, (name, options): (String, Given)) -> Result<Made> {
    let request = request(&name, Options::from(options))?;
    let warnings = host.create(&request)?;
    Ok((object(&name)?, warnings))
}

fn destroy_container(host: &Host, _: &str, (name, if_running): (String, String)) -> Result<(Vec<String>,)> {
    let name = MachineName::new(&name)?;
    Ok((host.destroy(&name, parse_if_running(&if_running)?)?,))
}

fn rename_container(host: &Host, _: &str, (old, new): (String, String)) -> Result<Made> {
    let warnings = host.machine(&MachineName::new(&old)?)?.rename(&MachineName::new(&new)?)?;
    Ok((object(&new)?, warnings))
}

fn parse_if_running(word: &str) -> Result<IfRunning> {
    match word {
        "refuse" => Ok(IfRunning::Refuse),
        "stop" => Ok(IfRunning::Stop),
        _ => Err(Error::config(format!("'{}' is not 'refuse' or 'stop'", word.escape_debug()))),
    }
}

fn request(name: &str, mut options: Options) -> Result<Request> {
    let name = MachineName::new(name)?;
    let command = options.take("Command")?.unwrap_or_default();
    let source = source(&mut options)?;
    let as_is: Option<bool> = options.take("AsIs")?;
    options.refuse_rest()?;
    let finishing = if as_is == Some(true) { Finishing::AsIs } else { Finishing::Complete };
    Ok(Request { name, source, command, finishing })
}

/// Exactly one of `Template`, `RootDirectory` and `Archive`.
fn source(options: &mut Options) -> Result<Source> {
    let template: Option<String> = options.take("Template")?;
    let tree: Option<String> = options.take("RootDirectory")?;
    let archive: Option<zbus::Fd<'static>> = options.take("Archive")?;
    match (template.as_deref(), tree, archive) {
        (Some("busybox"), None, None) => Ok(Source::Busybox),
        (Some("debian"), None, None) => Ok(Source::Debian(Debian {
            release: options.take("Release")?.unwrap_or_else(|| "trixie".to_string()),
            mirror: options.take("Mirror")?,
            packages: options.take("Packages")?.unwrap_or_default(),
        })),
        (None, Some(path), None) => Ok(Source::Rootfs(PathBuf::from(path))),
        (None, None, Some(archive)) => {
            // Read as the verb reads what is piped to it: the caller's descriptor, and no path that we resolve.
            rustix::stdio::dup2_stdin(&archive).context(|| "failed to take the archive")?;
            Ok(Source::Tar(PathBuf::from("-")))
        }
        (Some(other), None, None) => {
            Err(Error::config(format!("there is no template '{}'", other.escape_debug()))
                .hint("there are 'busybox' and 'debian'"))
        }
        _ => Err(Error::config("one of the options 'Template', 'RootDirectory' and 'Archive' is needed")),
    }
}
