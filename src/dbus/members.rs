//! Changes of the managed network, told to those who subscribed: the kernel's word that some link has changed is only
//! the hint to look.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use zbus::Variant;

use super::service::Service;
use super::subscribers::Signals;
use super::{NETWORK_PATH, network};
use crate::error::{Context, Result};
use crate::machine::Host;
use crate::machine::change::network::Changes;

/// A link changes several times when it comes or goes.
const PAUSE: Duration = Duration::from_millis(50);

/// The last state that was signalled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Known {
    up: bool,
    ipv4: String,
    ipv6: String,
    /// The addresses of each link that is there, by container and interface.
    members: BTreeMap<(String, String), (String, String)>,
}

/// Listens, then looks, and goes on in a thread as long as the service is there.
pub fn follow(service: &Arc<Service>) -> Result<()> {
    let changes = Changes::listen().context(|| "failed to listen for changes of links")?;
    // What cannot be seen yet is new when it can.
    let mut known = look(&service.host).unwrap_or_default();
    let service = service.clone();
    let follow = move || {
        while changes.wait().is_ok() {
            sleep(PAUSE);
            // It cannot be told now; the next change tries again.
            let Ok(found) = look(&service.host) else { continue };
            signal(&service.subscribers.signals(&service), &known, &found);
            known = found;
        }
    };
    std::thread::Builder::new().spawn(follow).map(drop).context(|| "failed to start a thread")
}

fn look(host: &Host) -> Result<Known> {
    let Some(network) = host.network()? else { return Ok(Known::default()) };
    let there = network.members.into_iter().filter(|member| member.port.is_some());
    let members = there.map(|member| {
        ((member.machine, member.interface), (member.ipv4.to_string(), member.ipv6.to_string()))
    });
    Ok(Known { up: network.up, ipv4: network.ipv4, ipv6: network.ipv6, members: members.collect() })
}

fn signal(signals: &Signals, known: &Known, found: &Known) {
    let changed = properties(known, found);
    if !changed.is_empty() {
        signals.send_properties(NETWORK_PATH, network::NAME, &changed);
    }
    for (container, interface) in known.members.keys().filter(|key| !found.members.contains_key(*key)) {
        signals.send(NETWORK_PATH, network::NAME, "MemberRemoved", &(container, interface));
    }
    for ((container, interface), (ipv4, ipv6)) in &found.members {
        if !known.members.contains_key(&(container.clone(), interface.clone())) {
            signals.send(NETWORK_PATH, network::NAME, "MemberNew", &(container, interface, ipv4, ipv6));
        }
    }
}

fn properties<'a>(known: &Known, found: &'a Known) -> HashMap<&'static str, Variant<'a>> {
    let values = [
        ("Up", known.up != found.up, Variant::from(found.up)),
        ("IPv4", known.ipv4 != found.ipv4, Variant::from(found.ipv4.as_str())),
        ("IPv6", known.ipv6 != found.ipv6, Variant::from(found.ipv6.as_str())),
    ];
    values.into_iter().filter(|(_, is_new, _)| *is_new).map(|(name, _, value)| (name, value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_new_is_told() {
        let known = Known { up: true, ipv4: "10.0.0.1/24".to_string(), ..Known::default() };
        assert!(properties(&known, &known).is_empty());
        let found = Known { up: false, ..known.clone() };
        assert_eq!(properties(&known, &found).into_keys().collect::<Vec<_>>(), ["Up"]);
        assert_eq!(properties(&Known::default(), &known).len(), 2);
    }
}
