//! `org.containerctl1.Manager`, at `/org/containerctl1`: which containers there are, and what makes and unmakes them.

use std::path::PathBuf;

use zbus::{OwnedObjectPath, OwnedVariant, Variant};

use super::caller::Action;
use super::interface::{
    Changes, Interface, Method, Property, PropertyValues, Signal, Subscription, json, properties,
};
use super::node::path_of;
use super::options::{Given, Options};
use crate::error::{Context, Error, Result};
use crate::image::debian::Debian;
use crate::machine::create::{self, Request, Source};
use crate::machine::destroy::{self, IfRunning};
use crate::machine::registry::{self, Filter};
use crate::machine::{check, doctor, rename};
use crate::name::MachineName;
use crate::paths::Root;
use crate::progress::Listener;
use crate::sys::interrupt::Interrupt;

const NAME: &str = "org.containerctl1.Manager";

/// All interfaces of the manager.
pub fn interfaces() -> Vec<Interface> {
    let signal = |name, tells| Signal { name, tells };
    let manager = Interface {
        name: NAME,
        methods: methods(),
        properties: vec![Property { name: "Version", signature: "s", changes: Changes::Never }],
        signals: vec![
            signal("ContainerNew", &[("name", "s"), ("container", "o")]),
            signal("ContainerRemoved", &[("name", "s"), ("container", "o")]),
            signal("StateChanged", &[("name", "s"), ("container", "o"), ("state", "s")]),
        ],
    };
    vec![properties(NAME, |_, _| version()), manager]
}

fn methods() -> Vec<Method> {
    vec![
        Method::new("ListContainers", Action::Look, &[], &["containers"], list),
        Method::new("GetContainer", Action::Look, &["name"], &["container"], get),
        Method::new(
            "CreateContainer",
            Action::Create,
            &["name", "options"],
            &["container", "warnings"],
            |root, _, (name, options): (String, Given)| -> Result<_> {
                let request = request(&name, Options::from(options))?;
                let warnings = create::create(root, &request, Interrupt::catch()?, Listener::nobody())?;
                Ok((object(&name)?, warnings))
            },
        ),
        Method::new(
            "DestroyContainer",
            Action::Create,
            &["name", "if_running"],
            &["warnings"],
            |root, _, (name, if_running): (String, String)| -> Result<_> {
                let name = MachineName::new(&name)?;
                Ok((destroy::destroy(root, &name, parse_if_running(&if_running)?)?,))
            },
        ),
        Method::new(
            "RenameContainer",
            Action::Create,
            &["name", "new_name"],
            &["container", "warnings"],
            |root, _, (old, new): (String, String)| -> Result<_> {
                let warnings = rename::rename(root, &MachineName::new(&old)?, &MachineName::new(&new)?)?;
                Ok((object(&new)?, warnings))
            },
        ),
        Method::new("CheckHost", Action::Look, &[], &["json"], |root, _, ()| json(&check::check(root))),
        Method::new("ExamineHost", Action::Look, &[], &["json"], |root, _, ()| json(&doctor::examine(root))),
        Method::subscription("Subscribe", Subscription::Begin),
        Method::subscription("Unsubscribe", Subscription::End),
    ]
}

/// Name, state and object of each.
type Listed = Vec<(String, String, OwnedObjectPath)>;

fn list(root: &Root, _: &str, (): ()) -> Result<(Listed,)> {
    let entries = registry::list(root, &Filter::default())?.into_iter();
    let listed: Result<Listed> = entries
        .map(|entry| object(&entry.name).map(|path| (entry.name, entry.state.to_string(), path)))
        .collect();
    listed.map(|listed| (listed,))
}

fn get(root: &Root, _: &str, (name,): (String,)) -> Result<(OwnedObjectPath,)> {
    registry::require(root, &MachineName::new(&name)?)?;
    object(&name).map(|path| (path,))
}

fn version() -> Result<PropertyValues> {
    Ok([("Version".to_string(), text(env!("CARGO_PKG_VERSION"))?)].into())
}

/// A string as the value of a property.
pub fn text(value: &str) -> Result<OwnedVariant> {
    OwnedVariant::try_from(Variant::from(value)).context(|| "failed to pack a value")
}

/// The path of a container as a value.
pub fn object(name: &str) -> Result<OwnedObjectPath> {
    OwnedObjectPath::try_from(path_of(name)).context(|| format!("failed to make a path of '{name}'"))
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
    options.refuse_rest()?;
    Ok(Request { name, source, command })
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
