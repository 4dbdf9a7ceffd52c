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
use crate::machine::{Host, Machine};
use crate::name::MachineName;

/// The name of the interface.
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
    vec![properties(NAME, |host, _| values(host)), network]
}

fn methods() -> Vec<Method> {
    let (look, change) = (Action::Look, Action::Change);
    let link = &["container", "interface", "settings", "options"];
    vec![
        Method::new("Describe", look, &[], &["json"], |host, _, ()| json(&host.network()?)),
        Method::new("ListMembers", look, &[], &["members"], members),
        Method::new("Attach", change, link, &["link"], attach).about(About::Argument),
        Method::new("Detach", change, &["container", "interface"], &[], detach).about(About::Argument),
        Method::new("AddPort", change, &["container", "port", "options"], &[], add_port)
            .about(About::Argument),
        Method::new("RemovePort", change, &["container", "port"], &[], remove_port).about(About::Argument),
        Method::new("Restore", Action::Operate, &[], &["containers"], |host, _, ()| {
            host.restore_rules().map(|names| (names.iter().map(ToString::to_string).collect::<Vec<_>>(),))
        }),
        Method::new("ListPorts", look, &["container"], &["ports"], ports).about(About::Argument),
    ]
}

/// Empty and down where no container has needed it yet.
fn values(host: &Host) -> Result<PropertyValues> {
    let found = host.network()?;
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

fn members(host: &Host, _: &str, (): ()) -> Result<(Vec<HashMap<String, OwnedVariant>>,)> {
    let found = host.network()?.map(|network| network.members).unwrap_or_default();
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
    host: &Host,
    _: &str,
    (container, interface, settings, options): (String, String, Vec<String>, Given),
) -> Result<(String,)> {
    let keep = keep(options)?;
    let link = machine(host, &container)?.attach_link(&interface, &settings, keep)?;
    Ok((link.to_string(),))
}

fn machine(host: &Host, name: &str) -> Result<Machine> {
    host.machine(&MachineName::new(name)?)
}

fn keep(options: Given) -> Result<Keep> {
    let mut options = Options::from(options);
    let persist = options.take("Persist")?.unwrap_or(false);
    options.refuse_rest()?;
    Ok(if persist { Keep::Persistent } else { Keep::UntilStop })
}

fn detach(host: &Host, _: &str, (container, interface): (String, String)) -> Result<()> {
    machine(host, &container)?.detach_link(&interface)
}

fn add_port(host: &Host, _: &str, (container, port, options): (String, String, Given)) -> Result<()> {
    let (port, keep): (Port, Keep) = (network::port(&port)?, keep(options)?);
    machine(host, &container)?.add_port(port, keep)
}

fn remove_port(host: &Host, _: &str, (container, port): (String, String)) -> Result<()> {
    machine(host, &container)?.remove_port(network::port(&port)?)
}

/// Protocol, port of the host, container, its address, its port.
type Ports = Vec<(String, u16, String, String, u16)>;

/// No name is all containers.
fn ports(host: &Host, _: &str, (container,): (String,)) -> Result<(Ports,)> {
    let name = (!container.is_empty()).then(|| MachineName::new(&container)).transpose()?;
    let forwards = host.forwards(name.as_ref())?.into_iter();
    let row = |one: network::Forward| (one.protocol, one.host, one.machine, one.address, one.container);
    Ok((forwards.map(row).collect(),))
}
