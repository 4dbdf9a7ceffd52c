//! `org.containerctl1.Network`, at `/org/containerctl1/network`: the managed network, and links and ports of containers
//! that run.

use std::collections::HashMap;

use zbus::{OwnedVariant, Variant};

use super::caller::Action;
use super::interface::{
    About, Changes, Interface, Method, Property, PropertyValues, Signal, json, properties,
};
use super::options::{Given, Options};
use crate::config::network::Port;
use crate::error::{Context, Result};
use crate::machine::change::device::Keep;
use crate::machine::change::network::{self, Member};
use crate::name::MachineName;
use crate::paths::Root;

/// Its name.
pub const NAME: &str = "org.containerctl1.Network";

/// All interfaces of the network.
pub fn interfaces() -> Vec<Interface> {
    let property = |name, signature, changes| Property { name, signature, changes };
    let network = Interface {
        name: NAME,
        methods: methods(),
        properties: vec![
            property("Name", "s", Changes::Never),
            property("Up", "b", Changes::Told),
            property("IPv4", "s", Changes::Told),
            property("IPv6", "s", Changes::Told),
            property("Domain", "s", Changes::Never),
        ],
        signals: vec![
            Signal {
                name: "MemberNew",
                tells: &[("container", "s"), ("interface", "s"), ("ipv4", "s"), ("ipv6", "s")],
            },
            Signal { name: "MemberRemoved", tells: &[("container", "s"), ("interface", "s")] },
        ],
    };
    vec![properties(NAME, |root, _| values(root)), network]
}

fn methods() -> Vec<Method> {
    let (look, change) = (Action::Look, Action::Change);
    let link = &["container", "interface", "settings", "options"];
    vec![
        Method::new("Describe", look, &[], &["json"], |root, _, ()| json(&network::show(root)?)),
        Method::new("ListMembers", look, &[], &["members"], members),
        Method::new("Attach", change, link, &["link"], attach).about(About::Argument),
        Method::new("Detach", change, &["container", "interface"], &[], detach).about(About::Argument),
        Method::new("AddPort", change, &["container", "port", "options"], &[], add_port)
            .about(About::Argument),
        Method::new("RemovePort", change, &["container", "port"], &[], remove_port).about(About::Argument),
        Method::new("Restore", Action::Operate, &[], &["containers"], |root, _, ()| {
            network::restore(root).map(|names| (names.iter().map(ToString::to_string).collect::<Vec<_>>(),))
        }),
        Method::new("ListPorts", look, &["container"], &["ports"], ports).about(About::Argument),
    ]
}

/// Empty and down where no container has needed it yet.
fn values(root: &Root) -> Result<PropertyValues> {
    let found = network::show(root)?;
    let text = |of: fn(&network::Network) -> &String| found.as_ref().map(of).cloned().unwrap_or_default();
    let values = [
        ("Name", Variant::from(network::BRIDGE)),
        ("Up", Variant::from(found.as_ref().is_some_and(|network| network.up))),
        ("IPv4", Variant::from(text(|network| &network.ipv4))),
        ("IPv6", Variant::from(text(|network| &network.ipv6))),
        ("Domain", Variant::from(network::DOMAIN)),
    ];
    packed(values.into())
}

fn packed(values: Vec<(&str, Variant<'_>)>) -> Result<HashMap<String, OwnedVariant>> {
    let pack = |(name, value): (&str, Variant<'_>)| {
        let value = OwnedVariant::try_from(value).context(|| "failed to pack a value")?;
        Ok((name.to_string(), value))
    };
    values.into_iter().map(pack).collect()
}

fn members(root: &Root, _: &str, (): ()) -> Result<(Vec<HashMap<String, OwnedVariant>>,)> {
    let found = network::show(root)?.map(|network| network.members).unwrap_or_default();
    found.into_iter().map(member).collect::<Result<_>>().map(|members| (members,))
}

/// The port of the bridge and the counters are those of one that runs.
fn member(member: Member) -> Result<HashMap<String, OwnedVariant>> {
    let mut values = vec![
        ("Container", Variant::from(member.machine)),
        ("Interface", Variant::from(member.interface)),
        ("MAC", Variant::from(member.mac.to_string())),
        ("IPv4", Variant::from(member.ipv4.to_string())),
        ("IPv6", Variant::from(member.ipv6.to_string())),
    ];
    values.extend(member.port.map(|port| ("Port", Variant::from(port))));
    if let Some(counters) = member.counters {
        values.extend([
            ("ReceivedBytes", Variant::from(counters.rx_bytes)),
            ("SentBytes", Variant::from(counters.tx_bytes)),
            ("ReceivedPackets", Variant::from(counters.rx_packets)),
            ("SentPackets", Variant::from(counters.tx_packets)),
        ]);
    }
    packed(values)
}

fn attach(
    root: &Root,
    _: &str,
    (container, interface, settings, options): (String, String, Vec<String>, Given),
) -> Result<(String,)> {
    let keep = keep(options)?;
    let link = network::attach(root, &MachineName::new(&container)?, &interface, &settings, keep)?;
    Ok((link.to_string(),))
}

fn keep(options: Given) -> Result<Keep> {
    let mut options = Options::from(options);
    let persist = options.take("Persist")?.unwrap_or(false);
    options.refuse_rest()?;
    Ok(if persist { Keep::Persistent } else { Keep::UntilStop })
}

fn detach(root: &Root, _: &str, (container, interface): (String, String)) -> Result<()> {
    network::detach(root, &MachineName::new(&container)?, &interface)
}

fn add_port(root: &Root, _: &str, (container, port, options): (String, String, Given)) -> Result<()> {
    let (port, keep): (Port, Keep) = (network::port(&port)?, keep(options)?);
    network::add_port(root, &MachineName::new(&container)?, port, keep)
}

fn remove_port(root: &Root, _: &str, (container, port): (String, String)) -> Result<()> {
    network::remove_port(root, &MachineName::new(&container)?, network::port(&port)?)
}

/// Protocol, port of the host, container, its address, its port.
type Ports = Vec<(String, u16, String, String, u16)>;

/// No name is all containers.
fn ports(_: &Root, _: &str, (container,): (String,)) -> Result<(Ports,)> {
    let name = (!container.is_empty()).then(|| MachineName::new(&container)).transpose()?;
    let forwards = network::forwards(name.as_ref())?.into_iter();
    let row = |one: network::Forward| (one.protocol, one.host, one.machine, one.address, one.container);
    Ok((forwards.map(row).collect(),))
}
