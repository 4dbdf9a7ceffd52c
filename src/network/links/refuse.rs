//! Settings that are wrong on every host.

use std::collections::BTreeSet;

use super::LinkConfig;
use super::resolver::{Resolver, section};
use crate::config::network::{Interface, Kind};
use crate::error::Result;

impl Resolver<'_> {
    /// Refuses settings that the managed network does not have; an IPv4 address of its range is allowed.
    pub(super) fn refuse_unmanaged(&self, interface: &Interface) -> Result<()> {
        let section = section(interface);
        let addresses = &interface.addresses;
        let (key, why) = match () {
            () if interface.vlan.is_some() => ("VLAN", "the managed network has no VLANs"),
            () if !interface.gateways.is_empty() => {
                ("Gateway", "in the managed network the host is the router")
            }
            () if addresses.iter().any(|prefix| prefix.address.is_ipv6()) => (
                "Address",
                "in the managed network IPv6 addresses follow from MAC addresses: set MACAddress=",
            ),
            () if addresses.len() > 1 => {
                ("Address", "in the managed network an interface has one IPv4 address")
            }
            () => return Ok(()),
        };
        Err(self.wrong(&section, key, &format!("{why}; or take a bridge of your own by Bridge=")))
    }

    /// Keys that another type has.
    pub(super) fn refuse_misplaced(&self, interface: &Interface) -> Result<()> {
        use Kind::{Ipvlan, Physical, Veth, Vlan};
        let kind = interface.kind;
        let veth = kind == Veth;
        let misplaced = [
            ("Bridge", interface.bridge.is_some() && !veth),
            ("Zone", interface.zone.is_some() && !veth),
            ("HostName", interface.host_name.is_some() && !veth),
            ("Queues", interface.queues.is_some() && !veth),
            ("Isolated", interface.isolated && !veth),
            ("Filter", interface.filter.is_some() && !veth),
            ("AllowedAddress", !interface.allowed_addresses.is_empty() && !veth),
            ("Routed", interface.routed && !veth),
            ("RateIn", interface.rate_in.is_some() && !veth),
            ("RateOut", interface.rate_out.is_some() && !veth),
            ("Parent", interface.parent.is_some() && veth),
            ("VLAN", interface.vlan.is_some() && !veth && kind != Vlan),
            ("MACAddress", interface.mac.is_some() && kind == Ipvlan),
            ("Mode", interface.mode.is_some() && matches!(kind, Vlan | Physical)),
            ("NamespacePath", interface.namespace_path.is_some()),
            ("Machine", interface.machine.is_some()),
        ];
        match misplaced.iter().find(|(_, wrong)| *wrong) {
            None => Ok(()),
            Some((key, _)) => {
                Err(self.wrong(&section(interface), key, "this type of link has no such thing"))
            }
        }
    }

    /// Two links cannot have one name, on either side, and two cannot have one MAC address.
    pub(super) fn refuse_twins(&self, links: &[LinkConfig]) -> Result<()> {
        let (mut inside, mut macs) = (BTreeSet::new(), BTreeSet::new());
        for link in links {
            let why = match () {
                () if link.name.as_str() == "lo" => "is that of the loopback interface",
                () if !inside.insert(link.name.as_str()) => "is that of another link, too",
                () => "",
            };
            if !why.is_empty() {
                return Err(self.wrong(&link.section, "Name", &format!("the name '{}' {why}", link.name)));
            }
            if link.mac.is_some_and(|mac| !macs.insert(mac)) {
                return Err(self.wrong(&link.section, "MACAddress", "another link has the same"));
            }
        }
        Ok(())
    }
}
