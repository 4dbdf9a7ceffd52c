//! All links of a container: every one validated before the first is made; what was made before a failure is taken
//! back. And the other way: whatever on the host carries a machine's tag goes.

use std::os::fd::OwnedFd;

use super::link::{Link, Links, failed};
use super::tag::{self, Side, Tag};
use super::wiring::{Driver, PortOf, Wire};
use super::{driver, inside, managed};
use crate::config::Definition;
use crate::config::network::IfName;
use crate::error::{Context, Error, Result};
use crate::name::MachineName;
use crate::paths::Root;

/// Where links are made, and for whom.
pub struct Site<'a> {
    /// The host's paths.
    pub root: &'a Root,
    /// The machine.
    pub machine: &'a MachineName,
    /// Its definition, for the places of what is wrong in it.
    pub definition: &'a Definition,
    /// The host's machine-id(5).
    pub host_id: &'a str,
    /// Has networkd read its files anew.
    pub reload: &'a dyn Fn() -> Result<()>,
}

/// Refuses what cannot be set up, before anything is.
pub fn validate(site: &Site, wires: &[Wire]) -> Result<()> {
    let mut links = Links::here()?;
    wires.iter().try_for_each(|wire| driver::validate(&mut links, site.definition, site.machine, wire))
}

/// Sets all links up in `namespace`; their addresses are in `wires` afterwards. Returns the numbers of the outer ends.
pub fn set_up(site: &Site, wires: &mut [Wire], namespace: &OwnedFd) -> Result<Vec<u32>> {
    if wires.is_empty() {
        return Ok(Vec::new());
    }
    let mut here = Links::here()?;
    let mut there = Links::of(namespace)?;
    let mut outside = Vec::new();
    for wire in wires {
        match one(site, wire, namespace, &mut here, &mut there) {
            Ok(index) => outside.extend(index),
            Err(error) => {
                for problem in tear_down(site.machine, Which::All, Some(&mut there)) {
                    eprintln!("{problem}, ignoring");
                }
                return Err(error);
            }
        }
    }
    Ok(outside)
}

fn one(
    site: &Site,
    wire: &mut Wire,
    namespace: &OwnedFd,
    here: &mut Links,
    there: &mut Links,
) -> Result<Option<u32>> {
    // What a killed start left would have the name.
    remove_left(here, site.machine, wire)?;
    let (master, _lock) = match &wire.driver {
        Driver::Veth(veth) => match veth.port.clone() {
            PortOf::Managed => {
                let index = managed::join(site.root, here, site.machine, site.host_id, wire, site.reload)?;
                (Some(index), None)
            }
            PortOf::Bridge(bridge) => (Some(here.require(bridge.as_str())?.index), None),
            PortOf::Zone(zone) => {
                // Nobody takes the empty bridge away before it has its port.
                let lock = managed::lock(site.root)?;
                let mac = tag::mac(site.host_id, "", &format!("vz-{zone}"), Side::Outside);
                (Some(driver::zone_bridge(here, &zone, mac)?), Some(lock))
            }
            PortOf::Alone => (None, None),
        },
        _ => (None, None),
    };
    let index = driver::set_up(here, site.machine, wire, master, namespace)?;
    inside::configure(there, site.machine, wire)?;
    Ok(index)
}

fn remove_left(here: &mut Links, machine: &MachineName, wire: &Wire) -> Result<()> {
    let Driver::Veth(veth) = &wire.driver else { return Ok(()) };
    match here.find(veth.outside.as_str())? {
        Some(left) if left.tag().is_some_and(|tag| tag.is_of(machine)) => {
            here.delete(left.index).map_err(|refusal| {
                failed(&format!("remove '{}', left by an earlier start", left.name), &refusal)
            })
        }
        _ => Ok(()),
    }
}

/// Which of a machine's links.
#[derive(Clone, Copy, Debug)]
pub enum Which<'a> {
    /// All of them.
    All,
    /// The one of this name inside.
    One(&'a IfName),
}

impl Which<'_> {
    fn is_meant(self, machine: &MachineName, tag: &Tag) -> bool {
        match (self, tag) {
            (Which::One(wanted), Tag::Link { interface, .. }) => tag.is_of(machine) && interface == wanted,
            (Which::All, tag) => tag.is_of(machine),
            (Which::One(_), _) => false,
        }
    }
}

/// Takes away every link of a machine that is on the host, and gives back those that were handed over and are in
/// `namespace` still. Returns what went wrong.
pub fn tear_down(machine: &MachineName, which: Which, namespace: Option<&mut Links>) -> Vec<Error> {
    let mut problems = Vec::new();
    if let Some(there) = namespace {
        problems.extend(give_back(machine, which, there).err());
    }
    let (mut here, all) = match Links::here().and_then(|mut here| here.all().map(|all| (here, all))) {
        Ok(both) => both,
        Err(error) => return vec![error],
    };
    for link in all.iter().filter(|link| link.tag().is_some_and(|tag| which.is_meant(machine, &tag))) {
        problems.extend(let_go(&mut here, link).err());
    }
    problems.extend(remove_empty_zones(&mut here).err());
    problems
}

/// A pair is deleted. An interface of the host that has come back is called as it was, and is ours no more.
fn let_go(here: &mut Links, link: &Link) -> Result<()> {
    let step = |what: &str, result: std::result::Result<(), super::netlink::Refusal>| {
        result.map_err(|refusal| failed(&format!("{what} interface '{}'", link.name), &refusal))
    };
    match link.tag() {
        Some(Tag::Link { was: Some(was), .. }) => {
            if link.name != was.as_str() {
                step("give its old name back to", here.rename(link.index, &was))?;
            }
            step("unmark", here.mark(link.index, None))
        }
        _ => step("delete", here.delete(link.index)),
    }
}

/// Moves what was handed over back to the namespace that the caller is in.
fn give_back(machine: &MachineName, which: Which, there: &mut Links) -> Result<()> {
    let ours = std::fs::File::open("/proc/self/ns/net").map(OwnedFd::from);
    let ours = ours.context(|| "failed to open '/proc/self/ns/net'")?;
    for link in there.all()? {
        if let Some(tag @ Tag::Link { was: Some(was), .. }) = &link.tag()
            && which.is_meant(machine, tag)
        {
            let moved = there.hand_over(link.index, was, &ours);
            moved.map_err(|refusal| failed(&format!("take interface '{was}' back"), &refusal))?;
        }
    }
    Ok(())
}

/// The bridges of zones that have no port any more.
fn remove_empty_zones(here: &mut Links) -> Result<()> {
    let all = here.all()?;
    let is_empty = |bridge: &Link| !all.iter().any(|link| link.master == Some(bridge.index));
    for zone in all.iter().filter(|link| link.tag() == Some(Tag::Zone) && is_empty(link)) {
        here.delete(zone.index)
            .map_err(|refusal| failed(&format!("delete bridge '{}'", zone.name), &refusal))?;
    }
    Ok(())
}
