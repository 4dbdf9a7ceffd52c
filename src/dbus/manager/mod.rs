//! `org.containerctl1.Manager`, at `/org/containerctl1`: which containers there are, and what makes and unmakes them.

mod look;
mod make;
mod several;

use zbus::{OwnedObjectPath, OwnedVariant, Variant};

use super::caller::Action;
use super::interface::{
    About, Changes, Interface, Method, Property, PropertyValues, Signal, Subscription, properties,
};
use super::node::path_of;
use crate::error::{Context, Result};
use crate::machine::Host;
use crate::machine::inspect::registry::Filter;
use crate::name::MachineName;

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
    [own(), make::methods(), several::methods(), look::methods()].into_iter().flatten().collect()
}

fn own() -> Vec<Method> {
    let look = Action::Look;
    vec![
        Method::new("ListContainers", look, &[], &["containers"], list),
        Method::new("GetContainer", look, &["name"], &["container"], get).about(About::Argument),
        Method::subscription("Subscribe", Subscription::Begin),
        Method::subscription("Unsubscribe", Subscription::End),
    ]
}

/// Name, state and object of each.
type Listed = Vec<(String, String, OwnedObjectPath)>;

fn list(host: &Host, _: &str, (): ()) -> Result<(Listed,)> {
    let entries = host.list(&Filter::default())?.into_iter();
    let listed: Result<Listed> = entries
        .map(|entry| object(&entry.name).map(|path| (entry.name, entry.state.to_string(), path)))
        .collect();
    listed.map(|listed| (listed,))
}

fn get(host: &Host, _: &str, (name,): (String,)) -> Result<(OwnedObjectPath,)> {
    host.machine(&MachineName::new(&name)?)?;
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
