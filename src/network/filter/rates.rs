//! Limits of bandwidth: what is more is dropped at the host's end of a pair, where nobody inside can change it.

use super::TABLE;
use super::record::Rules;
use crate::config::network::IfName;
use crate::network::links::{Driver, LinkConfig};

/// Bytes that may come at once; less would hold back senders that are within their limit.
const BURST: u64 = 256 * 1024;

/// Name of a link's limits in the record, by the link's name inside.
pub fn what(inside: &IfName) -> String {
    format!("rate {inside}")
}

/// The limits of one link, whose outer end must be there: their chains hang on that.
pub fn rules(config: &LinkConfig) -> Option<Rules> {
    let Driver::Veth(veth) = &config.driver else { return None };
    let mut rules = Rules { what: what(&config.name), ..Rules::default() };
    let port = &veth.outside;
    // What goes towards the container leaves the host by the outer end.
    for (hook, rate) in [("egress", veth.rate_in), ("ingress", veth.rate_out)] {
        let Some(rate) = rate else { continue };
        let name: String = port.as_str().bytes().map(|byte| format!("{byte:02x}")).collect();
        let chain = format!("{hook}_{name}");
        let (bytes, burst) = (rate / 8, BURST.max(rate / 80));
        rules.add.push_str(&format!(
            "add table netdev {TABLE}
add chain netdev {TABLE} {chain} {{ type filter hook {hook} device \"{port}\" priority -300; policy accept; }}
flush chain netdev {TABLE} {chain}
add rule netdev {TABLE} {chain} limit rate over {bytes} bytes/second burst {burst} bytes drop
"
        ));
        rules.undo.push_str(&format!("add table netdev {TABLE}\ndestroy chain netdev {TABLE} {chain}\n"));
    }
    Some(rules).filter(|rules| !rules.add.is_empty())
}
