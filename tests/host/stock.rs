//! Hosts as distributions install them: whoever configures their own links, the managed network comes up by itself.

use std::time::Duration;

use crate::container::{Container, SOON};
use crate::harness::{Host, Result};

/// Programs that configure a host's links, or its firewall; a test chooses which of them run.
pub const MANAGERS: &str = "network-manager ifupdown isc-dhcp-client dhcpcd ufw firewalld iptables bind9";
const NO_MANAGER: &str = "systemctl disable -q --now NetworkManager dhcpcd ufw firewalld named systemd-networkd.socket \
    systemd-networkd 2>&1; nft flush ruleset; systemctl reset-failed";
/// A program that needs a moment to configure what it finds.
const SETTLED: Duration = Duration::from_secs(30);

/// The host's own link `up0`, and behind it the namespace `world` with 198.51.100.2, where addresses are given by DHCP.
const WORLD: &str = "ip netns add world && ip link add up0 type veth peer name eth0 netns world &&
    ip -n world link set lo up && ip -n world link set eth0 up && ip -n world addr add 198.51.100.2/24 dev eth0 &&
    systemd-run --quiet --unit=world ip netns exec world dnsmasq --keep-in-foreground --no-resolv --no-hosts \
        --user=root --dhcp-authoritative --dhcp-range=198.51.100.50,198.51.100.60 --dhcp-leasefile=/run/world.leases \
        --pid-file= --interface=eth0 --bind-interfaces --address=/world.example/198.51.100.2";

/// All that the managed network is to have on the host.
const NETWORK: &str = "ip -o addr show dev ctl0 | sed 's/^[0-9]*: //; s/ valid_lft.*//' | sort;
    ip -o addr show dev vb-p1; ip route show dev ctl0; ip -6 route show dev ctl0 | grep -v '^fe80\\|^ff00'";

/// A container does what containers do in the managed network: it is answered, reaches its neighbour, and the world at
/// `beyond`.
fn works(host: &Host, beyond: Option<&str>) -> Result<()> {
    let p1 = Container { host, name: "p1" };
    host.wait_until(SOON, "systemctl is-active containerctl-names")?;
    p1.inside("nslookup p2.ctl.internal | grep 'Address.*10[.]'")?;
    p1.inside("ping -c 1 -W 5 p2")?;
    let own = p1.inside("ip -4 -o addr show dev eth0 | sed 's/.*inet //; s,/.*,,'")?;
    p1.write("/dhcp", "#!/bin/sh\n[ \"$1\" != bound ] || echo \"lease $ip $router $dns $domain\" >/lease\n")?;
    p1.inside("chmod +x /dhcp; udhcpc -i eth0 -n -q -f -s /dhcp -t 5 -T 1")?;
    let lease = p1.inside("cat /lease")?;
    ensure!(lease.starts_with(&format!("lease {} 10.", own.trim())), "{lease}, not {own}");
    ensure!(lease.trim().ends_with("ctl.internal"), "{lease}");
    beyond.map_or(Ok(()), |address| p1.inside(&format!("ping -c 1 -W 5 {address}")).map(drop))
}

/// Two containers that run.
fn containers(host: &Host) -> Result<()> {
    for name in ["p1", "p2"] {
        Container::busybox(host, name)?.start()?;
    }
    Ok(())
}

/// Ends all containers and the network with them, so that the next start is the first.
fn forget(host: &Host) -> Result<()> {
    host.ok("systemctl stop container@p1 container@p2; ip link del ctl0; containerctl destroy p1; containerctl destroy p2; \
        rm -rf /var/lib/containerctl/.network /run/containerctl/.leases; systemctl stop containerctl-names")
        .map(drop)
}

#[test]
fn the_first_container_of_a_host_without_networkd_has_its_network() -> Result<()> {
    let host = boot!();
    host.ok("systemctl disable -q --now systemd-networkd.socket systemd-networkd 2>&1")?;
    host.ok(WORLD)?;
    host.ok("ip link set up0 up && ip addr add 198.51.100.1/24 dev up0")?;
    containers(&host)?;
    host.case("names, DHCP, neighbours and the world", || works(&host, Some("198.51.100.2")));
    host.case("nobody started networkd for it", || {
        host.fails("systemctl is-active systemd-networkd").map(drop)
    });
    host.case("who configures IPv6 by router advertisements is given the address that it has", || {
        let p1 = Container { host: &host, name: "p1" };
        let own = p1.inside("ip -6 -o addr show dev eth0 scope global | sed 's/.*inet6 //; s,/.*,,'")?;
        p1.inside("ip link set eth0 down; ip -6 addr flush dev eth0; ip link set eth0 up")?;
        let leader = p1.leader()?;
        host.wait_until(
            SOON,
            &format!("nsenter -t {leader} -n ip -6 route | grep 'default via fe80.* ra '"),
        )?;
        let shown = p1.inside("ip -6 -o addr show dev eth0 scope global")?;
        ensure!(shown.contains(own.trim()), "{shown}, not {own}");
        Ok(())
    });
    host.case("a service that is killed is there again", || {
        for _ in 0..8 {
            host.ok("systemctl kill -s KILL containerctl-names")?;
            host.wait_until(SOON, "systemctl is-active containerctl-names")?;
        }
        works(&host, None)
    });
    host.case("a service that was stopped comes back with the next start", || {
        host.ok("systemctl stop containerctl-names && systemctl restart container@p2")?;
        works(&host, None)
    });
    host.case("a bridge that somebody removed is made anew by the next start, and served", || {
        host.ok("ip link del ctl0 && systemctl restart container@p1 container@p2")?;
        works(&host, Some("198.51.100.2"))
    });
    host.case("somebody switched forwarding off: the next start has it on", || {
        host.ok("sysctl -qw net.ipv4.ip_forward=0 && systemctl restart container@p1")?;
        works(&host, Some("198.51.100.2"))
    });
    host.finish()
}

#[test]
fn a_host_keeps_its_own_ipv6_when_it_forwards() -> Result<()> {
    let host = boot!();
    host.ok("ip link add up0 type veth peer name far0 && ip link set up0 up && ip link set far0 up")?;
    host.case("a link that listens to router advertisements goes on with that", || {
        host.ok("sysctl -qw net.ipv6.conf.up0.accept_ra=1 net.ipv6.conf.far0.accept_ra=0")?;
        containers(&host)?;
        host.ok("test $(cat /proc/sys/net/ipv6/conf/all/forwarding) = 1")?;
        host.ok("test $(cat /proc/sys/net/ipv6/conf/up0/accept_ra) = 2")?;
        host.ok("test $(cat /proc/sys/net/ipv6/conf/far0/accept_ra) = 0")?;
        host.ok("test $(cat /proc/sys/net/ipv6/conf/default/accept_ra) = 1")?;
        host.ok("test $(cat /proc/sys/net/ipv6/conf/ctl0/accept_ra) = 0").map(drop)
    });
    host.case("a host without IPv6", || {
        forget(&host)?;
        host.ok("sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1")?;
        containers(&host)?;
        host.fails("ip -6 addr show dev ctl0 | grep inet6")?;
        works(&host, None)
    });
    host.finish()
}

#[test]
fn what_networkd_served_is_taken_over_under_running_containers() -> Result<()> {
    let host = boot!();
    host.ok(WORLD)?;
    host.ok("ip link set up0 up && ip addr add 198.51.100.1/24 dev up0")?;
    containers(&host)?;
    // As an earlier version left it: the file, drop-ins of this host, and a service that knows nothing of DHCP.
    host.ok("systemctl stop containerctl-names; mkdir -p /run/systemd/network/80-containerctl-ctl0.network.d
        printf '[Match]\nName=ctl0\n[Network]\nConfigureWithoutCarrier=yes\nIPMasquerade=both\nDHCPServer=yes\nIPv6SendRA=yes\n' >/run/systemd/network/80-containerctl-ctl0.network
        sed -n 's/^range /Address=/p' /var/lib/containerctl/.network | sed '1i [Network]' >/run/systemd/network/80-containerctl-ctl0.network.d/10-addresses.conf
        rm /run/containerctl/.leases; networkctl reload; networkctl reconfigure ctl0")?;
    host.wait_until(SOON, "networkctl status ctl0 | grep 'configured'")?;
    host.wait_until(SOON, "networkctl status ctl0 | grep -i 'dhcp server\\|Offered\\|80-containerctl'")?;
    // The new version's file takes its place.
    host.ok("rm /run/systemd/network/80-containerctl-ctl0.network")?;
    for step in ["containerctl network restore", "systemctl restart container@p2"] {
        host.case(step, || {
            host.ok(step)?;
            host.wait_until(SOON, "networkctl status ctl0 | grep unmanaged")?;
            host.fails("ls /run/systemd/network/80-containerctl-ctl0.network.d")?;
            ensure!(
                host.ok("ip -o addr show dev ctl0 scope global | wc -l")?.trim() == "2",
                "lost addresses"
            );
            works(&host, Some("198.51.100.2"))
        });
    }
    host.case("a restart of networkd changes nothing", || {
        let before = host.ok(NETWORK)?;
        host.ok("systemctl restart systemd-networkd")?;
        host.wait_until(SOON, "networkctl status ctl0 | grep unmanaged")?;
        ensure!(host.ok(NETWORK)? == before, "{} not {before}", host.ok(NETWORK)?);
        works(&host, Some("198.51.100.2"))
    });
    host.finish()
}

#[test]
fn whoever_configures_the_links_of_a_host_leaves_those_of_containers_alone() -> Result<()> {
    let host = boot!("--packages", MANAGERS);
    host.ok(NO_MANAGER)?;
    host.ok(WORLD)?;
    host.ok("printf 'auto up0\niface up0 inet dhcp\n' >/etc/network/interfaces")?;
    for (manager, begin, end) in [
        ("ifupdown", "ifup up0", "ifdown up0"),
        (
            "NetworkManager",
            "rm /etc/network/interfaces; systemctl start NetworkManager; nmcli device set up0 managed yes; nmcli device connect up0",
            "systemctl stop NetworkManager",
        ),
        (
            "dhcpcd",
            // The root's resolv.conf is a link to what resolved writes, and its unit wants it to be there.
            "mkdir -p /run/systemd/resolve && touch /run/systemd/resolve/stub-resolv.conf && systemctl start dhcpcd",
            "systemctl stop dhcpcd",
        ),
        (
            "networkd",
            "printf '[Match]\nName=up0\n[Network]\nDHCP=yes\n' >/etc/systemd/network/10-up.network; systemctl start systemd-networkd",
            "systemctl stop systemd-networkd.socket systemd-networkd",
        ),
    ] {
        host.case(manager, || {
            host.ok(begin)?;
            host.wait_until(SETTLED, "ip -4 -o addr show dev up0 | grep 198.51.100.")?;
            containers(&host)?;
            works(&host, Some("198.51.100.2"))?;
            let before = host.ok(NETWORK)?;
            host.ok(end)?;
            host.ok(&format!("ip addr flush dev up0; {}", begin.replace("rm /etc/network/interfaces;", "")))?;
            host.wait_until(SETTLED, "ip -4 -o addr show dev up0 | grep 198.51.100.")?;
            let after = host.ok(NETWORK)?;
            ensure!(after == before, "before\n{before}\nafter a restart of {manager}\n{after}");
            works(&host, Some("198.51.100.2"))?;
            host.ok(end)?;
            host.ok("ip addr flush dev up0")?;
            forget(&host)
        });
    }
    host.finish()
}
