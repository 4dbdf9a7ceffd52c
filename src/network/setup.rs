//! All links of a container: every one [validated](validate) before anything is [begun](begin), and that before the first
//! is [made](Begun::make). And the other way, for an end as for a failure: whatever on the host carries a machine's tag
//! goes.

use std::os::fd::OwnedFd;

use super::filter::{self, guard, nft, ports, rates};
use super::link::{Link, Links, failed};
use super::links::{Driver, LinkConfig, PortOf, Veth};
use super::moved::Moved;
use super::site::Site;
use super::tag::{self, Side, Tag};
use super::{driver, host_end, inside, managed, moved};
use crate::config::network::{IfName, Port};
use crate::error::{Error, Result};
use crate::name::MachineName;
use crate::paths::Root;

/// Refuses what cannot be set up, before anything is.
pub fn validate(site: &Site, configs: &[LinkConfig], forwarded: &[Port]) -> Result<()> {
    let mut links = Links::here()?;
    configs
        .iter()
        .try_for_each(|config| driver::validate(&mut links, site.definition, site.machine, config))?;
    for config in configs.iter().filter(|config| config.is_managed() && !config.addresses.is_empty()) {
        let located = |error| site.locate(&config.section, "Address", error);
        managed::refuse_address(site.root, site.machine, config).map_err(located)?;
    }
    for config in configs.iter().filter(|config| config.is_managed()) {
        let located = |error| site.locate(&config.section, "AllowedAddress", error);
        managed::refuse_allowed(site.root, site.machine, config).map_err(located)?;
    }
    let located = |error: Error| site.locate("Network", "Port", error);
    ports::refuse_taken(site.machine, forwarded).map_err(located)?;
    match forwarded.is_empty()
        || configs.iter().any(|config| config.is_managed() || !config.addresses.is_empty())
    {
        true => Ok(()),
        false => {
            Err(located(Error::config("no link of the container has an address that is set from outside")))
        }
    }
}

/// Links that are to be made: they have their addresses, and the filter's tool runs beside us.
#[must_use]
pub struct Begun {
    here: Links,
    configs: Vec<LinkConfig>,
    bridge: Option<u32>,
    filtered: Option<nft::Running>,
}

/// Begins to make links, and to let the host's ports `forwarded` lead there.
pub fn begin(site: &Site, mut configs: Vec<LinkConfig>, forwarded: &[Port]) -> Result<Begun> {
    let mut here = Links::here()?;
    let mut bridge = None;
    for config in configs.iter_mut().filter(|config| config.is_managed()) {
        bridge = Some(managed::join(site.root, &mut here, site.machine, &site.host_id, config)?);
    }
    if !forwarded.is_empty() && bridge.is_some() {
        filter::allow_loopback()?;
    }
    let rules = filter::rules(site.machine, &configs, forwarded);
    let filtered = filter::begin(site.root, site.machine, &rules)?;
    Ok(Begun { here, configs, bridge, filtered })
}

impl Begun {
    /// Makes them in `namespace`. Where that fails, [`tear_down`] takes back what was made.
    pub fn make(self, site: &Site, forwarded: &[Port], namespace: &OwnedFd) -> Result<Made> {
        let Begun { mut here, configs, bridge, filtered } = self;
        let mut there = Links::of(namespace)?;
        // Nobody takes the empty bridge of a zone away before it has its port.
        let zoned =
            |config: &LinkConfig| matches!(&config.driver, Driver::Veth(Veth { port: PortOf::Zone(_), .. }));
        let _lock = configs.iter().any(zoned).then(|| managed::lock(site.root)).transpose()?;
        let mut outside = Vec::new();
        for config in &configs {
            let master = master(site, &mut here, config, bridge)?;
            let settings = match &config.driver {
                Driver::Physical { parent } => host_end::read(parent.as_str()),
                _ => Vec::new(),
            };
            outside.extend(driver::set_up(&mut here, site.machine, config, master, namespace)?);
            let link = inside::configure(&mut there, site.machine, config)?;
            if let Driver::Physical { parent } = &config.driver {
                moved::pin(site.root, site.machine, namespace)?;
                let (was, inside) = (parent.clone(), config.name.clone());
                let moved = Moved { was, inside, index: link.index, settings };
                moved::remember(site.root, site.machine, &moved)?;
            }
            filter::apply(site.root, site.machine, rates::rules(config).as_slice())?;
        }
        if !forwarded.is_empty() {
            reflect(&mut here, site.machine)?;
        }
        Ok(Made { here, configs, filtered, outside })
    }
}

/// Links that are made, whose outer ends are down until the filter stands: [`Made::open`] waits for that.
#[must_use]
pub struct Made {
    here: Links,
    configs: Vec<LinkConfig>,
    filtered: Option<nft::Running>,
    outside: Vec<u32>,
}

impl Made {
    /// The links with their addresses.
    pub fn configs(&self) -> &[LinkConfig] {
        &self.configs
    }

    /// Numbers of the outer ends.
    pub fn outside(&self) -> &[u32] {
        &self.outside
    }

    /// Lets packets through.
    pub fn open(mut self) -> Result<Vec<LinkConfig>> {
        self.filtered.map_or(Ok(()), |running| running.finish().map(drop))?;
        filter::attach(&self.configs)?;
        for index in self.outside {
            self.here.set_up(index).map_err(|refusal| failed("set the host's end of a link up", &refusal))?;
        }
        Ok(self.configs)
    }
}

/// Lets a machine's ports of the managed bridge have back what came by them, where it is the bridge that leads a
/// forwarded packet back to who sent it.
pub fn reflect(here: &mut Links, machine: &MachineName) -> Result<()> {
    let Some(bridge) = here.find(managed::BRIDGE)?.filter(|_| filter::sees_bridged()) else { return Ok(()) };
    let is_port = |link: &&Link| link.master == Some(bridge.index) && Which::All.is_meant_by(machine, link);
    for link in here.all()?.iter().filter(is_port) {
        here.reflect(link.index)
            .map_err(|refusal| failed(&format!("let '{}' have back what it sends", link.name), &refusal))?;
    }
    Ok(())
}

/// The bridge that a link is a port of.
fn master(site: &Site, here: &mut Links, config: &LinkConfig, managed: Option<u32>) -> Result<Option<u32>> {
    let Driver::Veth(veth) = &config.driver else { return Ok(None) };
    match &veth.port {
        PortOf::Managed => Ok(managed),
        PortOf::Bridge(bridge) => Ok(Some(here.require(bridge.as_str())?.index)),
        PortOf::Zone(zone) => {
            let mac = tag::mac(&site.host_id, "", &format!("vz-{zone}"), Side::Outside);
            driver::zone_bridge(here, zone, mac).map(Some)
        }
        PortOf::Alone => Ok(None),
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
    /// Whether a link is one of those, by what is written on it.
    pub fn is_meant_by(self, machine: &MachineName, link: &Link) -> bool {
        link.tag().is_some_and(|tag| self.is_meant(machine, &tag))
    }

    fn is_meant(self, machine: &MachineName, tag: &Tag) -> bool {
        match (self, tag) {
            (Which::One(wanted), Tag::Link { interface, .. }) => tag.is_of(machine) && interface == wanted,
            (Which::All, tag) => tag.is_of(machine),
            (Which::One(_), _) => false,
        }
    }
}

/// Takes away a machine's links that are on the host, and takes back interfaces of the host. Returns what went wrong.
pub fn tear_down(root: &Root, machine: &MachineName, which: Which) -> Vec<Error> {
    let only = if let Which::One(name) = which { Some(name) } else { None };
    let mut problems = moved::take_back(root, machine, only);
    let (mut here, all) = match Links::here().and_then(|mut here| here.all().map(|all| (here, all))) {
        Ok(both) => both,
        Err(error) => return vec![error],
    };
    for link in all.iter().filter(|link| which.is_meant_by(machine, link)) {
        let deleted = here.delete(link.index);
        problems
            .extend(deleted.map_err(|refusal| failed(&format!("delete '{}'", link.name), &refusal)).err());
    }
    problems.extend(remove_empty_zones(&mut here).err());
    if let Some(name) = only {
        problems.extend(filter::undo(root, machine, &[guard::what(name), rates::what(name)]).err());
    }
    problems
}

/// Takes away all of a machine that has ended: links, filters, what kept its namespace. Returns what went wrong.
pub fn clear_away(root: &Root, machine: &MachineName) -> Vec<Error> {
    let mut problems = tear_down(root, machine, Which::All);
    problems.extend(filter::tear_down(root, machine).err());
    problems.extend(moved::unpin(root, machine).err());
    problems
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
