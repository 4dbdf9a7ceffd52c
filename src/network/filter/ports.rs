//! Ports of the host that lead into containers: two maps, one for IPv4 and one for IPv6, whose elements say whose
//! they are.

use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};

use serde::Serialize;

use super::record::Rules;
use super::{TABLE, nft};
use crate::config::network::{Port, Protocol};
use crate::error::{Error, Kind, Result};
use crate::name::MachineName;

/// One forwarded port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Forward {
    /// `tcp` or `udp`.
    pub protocol: String,
    /// The host's port.
    pub host: u16,
    /// Into which machine.
    pub machine: String,
    /// Address of the machine.
    pub address: String,
    /// Port of the machine.
    pub container: u16,
}

/// Name of a forwarded port's rules in the record.
pub fn what(port: Port) -> String {
    format!("port {}:{}", port.protocol, port.host)
}

/// The elements of a port that leads to the first of `addresses` of each kind.
pub fn rules(machine: &MachineName, port: Port, addresses: &[IpAddr]) -> Rules {
    let Port { protocol, host, container } = port;
    let mut rules = Rules { what: what(port), ..Rules::default() };
    let first = |is_v4: bool| addresses.iter().find(|address| address.is_ipv4() == is_v4);
    for address in [first(true), first(false)].into_iter().flatten() {
        let element = format!("element inet {TABLE} {}", map(address));
        rules.undo += &format!("destroy {element} {{ {protocol} . {host} }}\n");
        rules.add += &format!(
            "add {element} {{ {protocol} . {host} comment \"{machine}\" : {address} . {container} }}\n"
        );
    }
    rules
}

/// Rules by which a container reaches itself by a port of the host: answers take the way through the host, too. Where
/// bridged packets are filtered, nothing but the addresses tells such a packet.
pub fn itself(addresses: &[IpAddr]) -> Rules {
    let mut rules = Rules { what: "itself".to_string(), ..Rules::default() };
    for address in addresses {
        let set = if address.is_ipv4() { "itself4" } else { "itself6" };
        rules.add += &format!("add element inet {TABLE} {set} {{ {address} . {address} }}\n");
        rules.undo += &format!("destroy element inet {TABLE} {set} {{ {address} . {address} }}\n");
    }
    rules
}

fn map(address: &IpAddr) -> &'static str {
    if address.is_ipv4() { "dnat4" } else { "dnat6" }
}

/// Refuses ports that lead elsewhere already: into another container, or to a program of the host's.
pub fn refuse_taken(machine: &MachineName, ports: &[Port]) -> Result<()> {
    if ports.is_empty() {
        return Ok(());
    }
    let known = forwards()?;
    for port in ports {
        let Port { protocol, host, .. } = port;
        let same = |other: &&Forward| other.host == *host && other.protocol == protocol.to_string();
        match known.iter().find(same) {
            Some(other) if other.machine != machine.as_str() => {
                return Err(Error::new(
                    Kind::Busy,
                    format!(
                        "{protocol} port {host} of the host leads into container '{}' already",
                        other.machine
                    ),
                )
                .hint(format!(
                    "'containerctl port remove {} {protocol}:{host}' takes it back",
                    other.machine
                )));
            }
            Some(_) => {}
            None if is_used(port) => {
                return Err(Error::new(
                    Kind::Busy,
                    format!("a program of the host uses {protocol} port {host}"),
                )
                .hint(format!("'ss -lnp sport = {host}' shows which; take another port")));
            }
            None => {}
        }
    }
    Ok(())
}

fn is_used(port: &Port) -> bool {
    let all = SocketAddr::from(([0, 0, 0, 0], port.host));
    let bound = match port.protocol {
        Protocol::Tcp => TcpListener::bind(all).map(drop),
        Protocol::Udp => UdpSocket::bind(all).map(drop),
    };
    bound.is_err_and(|error| error.kind() == std::io::ErrorKind::AddrInUse)
}

/// All ports that are forwarded now.
pub fn forwards() -> Result<Vec<Forward>> {
    let mut forwards = Vec::new();
    for map in ["dnat4", "dnat6"] {
        // No container was ever in need of the table.
        let Ok(listed) = nft::list(&["list", "map", "inet", TABLE, map]) else { continue };
        let objects = listed["nftables"].as_array().into_iter().flatten();
        let elements = objects.filter_map(|object| object["map"]["elem"].as_array()).flatten();
        forwards.extend(elements.filter_map(forward));
    }
    forwards.sort_by(|a, b| (&a.machine, &a.protocol, a.host).cmp(&(&b.machine, &b.protocol, b.host)));
    Ok(forwards)
}

/// Of `[{"elem": {"val": {"concat": ["tcp", 80]}, "comment": "p1"}}, {"concat": ["10.0.0.1", 80]}]`.
fn forward(element: &serde_json::Value) -> Option<Forward> {
    let (key, value) = (&element[0]["elem"], &element[1]["concat"]);
    let number = |value: &serde_json::Value| u16::try_from(value.as_u64()?).ok();
    Some(Forward {
        protocol: key["val"]["concat"][0].as_str()?.to_string(),
        host: number(&key["val"]["concat"][1])?,
        machine: key["comment"].as_str()?.to_string(),
        address: value[0].as_str()?.to_string(),
        container: number(&value[1])?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_port_leads_to_one_address_of_each_kind() {
        let machine = MachineName::new("p1").expect("valid");
        let port = Port { protocol: Protocol::Tcp, host: 8080, container: 80 };
        let addresses: Vec<IpAddr> =
            ["10.0.0.1", "fd00::1", "fd00::2"].map(|a| a.parse().expect("address")).into();
        let rules = rules(&machine, port, &addresses);
        assert_eq!(
            rules.add,
            "add element inet containerctl dnat4 { tcp . 8080 comment \"p1\" : 10.0.0.1 . 80 }\n\
             add element inet containerctl dnat6 { tcp . 8080 comment \"p1\" : fd00::1 . 80 }\n"
        );
        assert_eq!((rules.what.as_str(), rules.undo.lines().count()), ("port tcp:8080", 2));
    }

    #[test]
    fn what_nft_lists_is_read() {
        let text = r#"[{"elem": {"val": {"concat": ["tcp", 80]}, "comment": "p1"}}, {"concat": ["10.0.0.1", 8080]}]"#;
        let found = forward(&serde_json::from_str(text).expect("JSON")).expect("forward");
        assert_eq!((found.host, found.machine.as_str(), found.container), (80, "p1", 8080));
        assert_eq!(forward(&serde_json::Value::Null), None);
    }
}
