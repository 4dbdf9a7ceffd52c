//! The types of links: what each needs of the host, and how it is made.

use std::os::fd::OwnedFd;
use std::process::Command;

use nix::errno::Errno;

use super::host_end::{self, Role};
use super::link::{Link, Links, New, failed};
use super::links::{Driver, LinkConfig, PortOf, Veth};
use super::netlink::{Message, Refusal};
use super::tag::Tag;
use crate::config::Definition;
use crate::config::network::{IfName, Mac, Mode};
use crate::error::{Context, Error, Kind, Result};
use crate::name::MachineName;

/// linux/if_link.h, of each kind's own attributes.
const IFLA_MODE: u16 = 1;
/// linux/if_link.h
const IFLA_VLAN_ID: u16 = 1;

/// Refuses what the host has not got, or has given to somebody else. Nothing is changed.
pub fn validate(
    links: &mut Links,
    definition: &Definition,
    machine: &MachineName,
    config: &LinkConfig,
) -> Result<()> {
    let wrong = |kind, key: &str, why: String| {
        Error::new(kind, format!("{}: {why}", definition.named(&config.section, key)))
    };
    match &config.driver {
        Driver::Veth(veth) => {
            if let PortOf::Bridge(bridge) = &veth.port {
                let missing = || {
                    wrong(Kind::NotFound, "Bridge", format!("there is no bridge '{bridge}'"))
                        .hint("make it first, by networkd's .netdev files for one")
                };
                let found = links.find(bridge.as_str())?.ok_or_else(missing)?;
                if !is_bridge(&found) {
                    let why = format!("interface '{bridge}' is no bridge");
                    return Err(wrong(Kind::Config, "Bridge", why));
                }
                if !found.is_up {
                    let why = format!("bridge '{bridge}' is down");
                    let hint = format!("'ip link set {bridge} up' sets it up");
                    return Err(wrong(Kind::Failed, "Bridge", why).hint(hint));
                }
            }
            match links.find(veth.outside.as_str())? {
                Some(found) if !found.tag().is_some_and(|tag| tag.is_of(machine)) => {
                    let why =
                        format!("the host has an interface '{}' already, which is not ours", veth.outside);
                    Err(wrong(Kind::Busy, "HostName", why).hint("remove it, or set HostName="))
                }
                _ => Ok(()),
            }
        }
        Driver::Macvlan { parent, .. }
        | Driver::Ipvlan { parent, .. }
        | Driver::Vlan { parent, .. }
        | Driver::Physical { parent } => {
            let found = match &config.driver {
                Driver::Physical { .. } => require_movable(links, parent),
                _ => require(links, parent).map(drop),
            };
            // The place, then the sentence with its next step.
            found.map_err(|error| wrong(error.kind(), "Parent", error.to_string()))
        }
    }
}

/// An interface of the host's.
fn require(links: &mut Links, name: &IfName) -> Result<Link> {
    links.find(name.as_str())?.ok_or_else(|| {
        Error::new(Kind::NotFound, format!("the host has no interface '{name}'"))
            .hint("'ip link' shows those that there are")
    })
}

/// Refuses an interface that cannot be moved into a container, or must not.
pub fn require_movable(links: &mut Links, name: &IfName) -> Result<()> {
    let found = require(links, name)?;
    let refused =
        |why: String| Error::config(format!("interface '{name}' cannot be moved into a container: {why}"));
    match found.tag() {
        _ if found.is_loopback => Err(refused("it is the loopback interface".to_string())),
        Some(Tag::Link { machine, .. }) => {
            Err(refused(format!("it is the host's end of a link of container '{machine}'")))
        }
        Some(Tag::Managed | Tag::Zone) => Err(refused("it is a bridge of ours".to_string())),
        None if is_wireless(&found.name) => {
            Err(refused("it is wireless, and moves with its radio only".to_string()))
        }
        None => Ok(()),
    }
}

/// As systemd tells it: the network device of a radio (`/sys/class/net/NAME/phy80211`).
fn is_wireless(name: &str) -> bool {
    std::path::Path::new("/sys/class/net").join(name).join("phy80211").exists()
}

/// The kernel's, or one of Open vSwitch, which has a datapath of this name for each.
fn is_bridge(link: &Link) -> bool {
    matches!(link.kind.as_deref(), Some("bridge" | "openvswitch"))
}

/// Makes a link in `namespace`, its outer end marked and still down. `master` is the number of the bridge that it is a port
/// of. Returns the number of what stays on the host.
pub fn set_up(
    links: &mut Links,
    machine: &MachineName,
    config: &LinkConfig,
    master: Option<u32>,
    namespace: &OwnedFd,
) -> Result<Option<u32>> {
    let new = New { name: &config.name, mac: config.mac, mtu: config.mtu, queues: None };
    let made = |refusal: Refusal| match (&config.driver, refusal.errno) {
        (Driver::Macvlan { parent, .. } | Driver::Ipvlan { parent, .. }, Errno::EBUSY | Errno::EINVAL) => {
            failed(&format!("create '{}' on '{parent}'", config.name), &refusal)
                .hint(format!("another kind of link, or one that has it alone, may be on '{parent}' already"))
        }
        _ => failed(&format!("create '{}'", config.name), &refusal),
    };
    let on = |links: &mut Links, parent: &IfName, kind: &str, data: &dyn Fn(&mut Message)| {
        let parent = links.require(parent.as_str())?.index;
        links.make_on(parent, &new, namespace, kind, data).map_err(made)
    };
    match &config.driver {
        Driver::Veth(veth) => return pair(links, machine, config, veth, master, namespace).map(Some),
        Driver::Macvlan { parent, mode } => on(links, parent, "macvlan", &|data| {
            data.put_u32(IFLA_MODE, macvlan_mode(*mode));
        }),
        Driver::Ipvlan { parent, mode } => on(links, parent, "ipvlan", &|data| {
            data.put(IFLA_MODE, &ipvlan_mode(*mode).to_ne_bytes());
        }),
        Driver::Vlan { parent, id } => on(links, parent, "vlan", &|data| {
            data.put(IFLA_VLAN_ID, &id.to_ne_bytes());
        }),
        Driver::Physical { parent } => {
            let found = links.require(parent.as_str())?;
            links
                .hand_over(found.index, &config.name, namespace)
                .map_err(|refusal| failed(&format!("hand over interface '{parent}'"), &refusal))
        }
    }?;
    Ok(None)
}

fn pair(
    links: &mut Links,
    machine: &MachineName,
    config: &LinkConfig,
    veth: &Veth,
    master: Option<u32>,
    namespace: &OwnedFd,
) -> Result<u32> {
    let step = |what: &str, result: Result<(), Refusal>| {
        result.map_err(|refusal| failed(&format!("{what} '{}'", veth.outside), &refusal))
    };
    let master_link = master.map(|index| links.by_index(index)).transpose()?.flatten();
    // The bridge's packets must fit, unless somebody knows better.
    let mtu = config.mtu.or(master_link.as_ref().map(|link| link.mtu).filter(|mtu| *mtu != 1500));
    // The kernel's own choice is one for each processor, each of them an event for udev.
    let queues = veth.queues.or(Some(1));
    let outer = New { name: &veth.outside, mac: Some(veth.outside_mac), mtu, queues };
    let inner = New { name: &config.name, mac: config.mac, mtu, queues };
    let switch = master_link.as_ref().filter(|link| link.kind.as_deref() == Some("openvswitch"));
    step("create", links.make_veth(&outer, master.filter(|_| switch.is_none()), &inner, namespace))?;
    let index = links.require(veth.outside.as_str())?.index;
    step("mark", links.mark(index, Some(&config.tag(machine))))?;
    host_end::prepare(veth.outside.as_str(), if master.is_some() { Role::Port } else { Role::Alone })?;
    if let Some(full) = &veth.full {
        step("give its full name to", links.add_alternative(index, full))?;
    }
    match (switch, veth.vlan) {
        (Some(switch), vlan) => plug(&switch.name, &veth.outside, vlan)?,
        (None, Some(vlan)) => step("set the VLAN of", links.set_vlan(index, vlan))?,
        (None, None) => {}
    }
    if veth.isolated {
        step("isolate", links.isolate(index))?;
    }
    if let (true, None, Some(mac)) = (veth.filter, switch, config.mac) {
        step("set where addresses are by", links.pin_address(index, mac, veth.vlan))?;
    }
    Ok(index)
}

/// Makes an interface a port of Open vSwitch, whose tool is the only way.
fn plug(switch: &str, port: &IfName, vlan: Option<u16>) -> Result<()> {
    let mut command = Command::new("ovs-vsctl");
    command.args(["--timeout=10", "--may-exist", "add-port", switch, port.as_str()]);
    command.args(vlan.map(|vlan| format!("tag={vlan}")));
    let output = command.output().context(|| "failed to run 'ovs-vsctl'")?;
    match output.status.success() {
        true => Ok(()),
        false => Err(Error::failed(format!(
            "failed to plug '{port}' into '{switch}': {}",
            String::from_utf8_lossy(&output.stderr).trim()
        ))),
    }
}

/// `enum macvlan_mode`.
fn macvlan_mode(mode: Mode) -> u32 {
    match mode {
        Mode::Private => 1,
        Mode::Vepa => 2,
        Mode::Passthru => 8,
        _ => 4,
    }
}

/// `enum ipvlan_mode`.
fn ipvlan_mode(mode: Mode) -> u16 {
    match mode {
        Mode::L3 => 1,
        Mode::L3s => 2,
        _ => 0,
    }
}

/// The bridge of a zone, made unless it is there. It is nobody's but the zone's: networkd's file configures it.
pub fn zone_bridge(links: &mut Links, zone: &IfName, mac: Mac) -> Result<u32> {
    let name = format!("vz-{zone}");
    let step = |what: &str, result: Result<(), Refusal>| {
        result.map_err(|refusal| failed(&format!("{what} bridge '{name}'"), &refusal))
    };
    if let Some(found) = links.find(&name)? {
        return match is_bridge(&found) {
            true => Ok(found.index),
            false => Err(Error::new(Kind::Busy, format!("interface '{name}' is no bridge"))),
        };
    }
    let Some(bridge) = IfName::new(&name) else { unreachable!("a zone's name was checked") };
    step("create", links.make_bridge(&bridge, mac))?;
    let index = links.require(&name)?.index;
    step("mark", links.mark(index, Some(&Tag::Zone)))?;
    host_end::prepare(&name, Role::Zone)?;
    step("set up", links.set_up(index))?;
    Ok(index)
}
