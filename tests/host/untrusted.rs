//! SEC-32: the host as the neighbour of its containers, from which it learns no routes; and of whoever is in its own
//! network, who reaches no container without being let in.

use std::fs;

use crate::container::{Container, SOON};
use crate::harness::{Host, Result};

/// Settings by which the host's end of a link, and the bridge of a zone, trust nobody.
const UNTRUSTING: &str = "cd /proc/sys/net; for end in ve-p1 vb-p2 vb-p3 vz-test; do
        for file in ipv6/conf/$end/accept_ra ipv6/conf/$end/autoconf ipv6/conf/$end/accept_redirects \
                ipv4/conf/$end/accept_redirects ipv4/conf/$end/proxy_arp; do
            test $(cat $file) = 0 || { echo $file; exit 1; }
        done; done
    ip -6 -o addr show | grep -vE ' (lo|lan) ' | grep . && exit 1 || true";

/// Routes that the host learnt.
const LEARNT: &str = "ip -6 route show proto ra | grep .; ip -6 -o addr show | grep 2001:db8";

/// The router advertisement of a container: its interface, which is called `interface` inside.
fn advertise(container: &Container, interface: &str) -> Result<()> {
    let mac = container.inside(&format!("cat /sys/class/net/{interface}/address"))?;
    let (leader, mac) = (container.leader()?, mac.trim());
    let send = format!("nsenter -t {leader} -n python3 /srv/advertise.py {interface} {mac} 2001:db8::");
    container.host.ok(&send).map(drop)
}

/// Waits until packets that were received are handled, as the kernel does before a link goes.
fn settle(host: &Host) -> Result<()> {
    host.ok("ip link add settle type veth peer name settled && ip link del settle").map(drop)
}

#[test]
fn no_container_becomes_the_router_of_the_host() -> Result<()> {
    let host = boot!();
    fs::write(host.path("/srv/advertise.py")?, include_str!("advertise.py"))?;
    // Nobody but the kernel configures what is made.
    host.ok("systemctl stop systemd-networkd.socket systemd-networkd.service")?;
    host.ok(
        "ip link add lan type bridge && ip link set lan up && echo 0 >/proc/sys/net/ipv6/conf/lan/accept_ra",
    )?;
    // As on a host whose own links are so configured.
    host.ok("echo 1 >/proc/sys/net/ipv4/conf/default/proxy_arp; echo 1 >/proc/sys/net/ipv6/conf/default/accept_ra")?;
    let p1 = Container::defined(&host, "p1", "[Network]\nVirtualEthernet=yes\n")?;
    let p2 = Container::defined(&host, "p2", "[Network]\nBridge=lan\n")?;
    let p3 = Container::defined(&host, "p3", "[Network]\nZone=test\n")?;
    let all = [&p1, &p2, &p3];
    all.iter().try_for_each(|container| container.start())?;
    host.case("the host's ends trust nobody, and have no address", || host.ok(UNTRUSTING).map(drop));
    host.case("router advertisements install no route and no address", || {
        all.iter().try_for_each(|container| advertise(container, "host0"))?;
        settle(&host)?;
        host.fails(LEARNT).map(drop)
    });
    host.case("on a link that is not ours they do", || {
        host.ok("ip netns add far; ip link add near type veth peer name eth0 netns far; ip link set near up; ip -n far link set eth0 up")?;
        host.wait_until(SOON, "ip -6 addr show dev near | grep fe80 | grep -v tentative")?;
        let mac = "$(ip netns exec far cat /sys/class/net/eth0/address)";
        host.ok(&format!("ip netns exec far python3 /srv/advertise.py eth0 {mac} 2001:db8::"))?;
        host.wait_until(SOON, LEARNT)?;
        host.ok("ip link del near; ip netns del far").map(drop)
    });
    host.case("nor do they once somebody has renamed the host's end", || {
        host.ok("ip link set ve-p1 down && ip link set ve-p1 name other && ip link set other up")?;
        advertise(&p1, "host0")?;
        settle(&host)?;
        host.fails(LEARNT)?;
        host.fails("ip -6 -o addr show dev other | grep .")?;
        host.ok("ip link set other down && ip link set other name ve-p1 && ip link set ve-p1 up").map(drop)
    });
    host.case("nor from a container that has another name now", || {
        p1.stop()?;
        host.ok("containerctl rename p1 renamed")?;
        let renamed = Container { host: &host, name: "renamed" };
        renamed.start()?;
        advertise(&renamed, "host0")?;
        settle(&host)?;
        host.fails(LEARNT)?;
        host.fails("ip -6 -o addr show dev ve-renamed | grep .")?;
        renamed.stop()
    });
    host.case("an interface of the host's comes back with the settings that it had", || {
        host.ok("ip link add nic type veth peer name nicport; ip link set nicport up")?;
        host.ok("cd /proc/sys/net/ipv6/conf/nic && echo 0 >accept_ra && echo 1 >addr_gen_mode && echo 0 >autoconf")?;
        let p4 = Container::defined(&host, "p4", "[Network]\nInterface=nic\n")?;
        p4.start()?;
        p4.inside("ip link show nic")?;
        p4.stop()?;
        host.ok("cd /proc/sys/net/ipv6/conf/nic && test $(cat accept_ra addr_gen_mode autoconf | tr -d '\\n') = 010")
            .map(drop)
    });
    host.finish()
}

/// A neighbour in the host's own network, `lan`, that routes all it does not know to the host.
const LAN: &str = "ip netns add lan && ip link add lan0 type veth peer name eth0 netns lan && ip link set lan0 up &&
    ip addr add 192.0.2.1/24 dev lan0 && ip addr add 2001:db8::1/64 dev lan0 nodad && ip -n lan link set eth0 up &&
    ip -n lan addr add 192.0.2.2/24 dev eth0 && ip -n lan addr add 2001:db8::2/64 dev eth0 nodad &&
    ip -n lan route add default via 192.0.2.1 && ip -n lan route add default via 2001:db8::1";

#[test]
fn nobody_routes_to_a_container_who_is_not_let_in() -> Result<()> {
    let host = boot!();
    host.ok(LAN)?;
    let p1 = Container::defined(&host, "p1", "[Network]\nPort=8080:80\n")?;
    p1.start()?;
    let serve = "mkdir -p /www && echo inner >/www/index.html && httpd -p 80 -h /www && httpd -p 81 -h /www";
    p1.inside(serve)?;
    let addresses = host.ok("containerctl info p1 --json | jq -r '.addresses[]' | grep -v ^fe80")?;
    let addresses: Vec<String> = addresses
        .lines()
        .map(|address| if address.contains(':') { format!("[{address}]") } else { address.to_owned() })
        .collect();
    ensure!(addresses.len() == 2, "{addresses:?}");
    let fetch = |place: &str| format!("busybox wget -T 2 -q -O - http://{place}/ | grep -x inner");
    let from_lan = |place: &str| format!("ip netns exec lan {}", fetch(place));
    let ping = |address: &str| {
        format!("ip netns exec lan ping -c 1 -W 1 {}", address.trim_matches(|c| c == '[' || c == ']'))
    };
    host.case("no port of it is reached by its address, forwarded or not", || {
        for address in &addresses {
            host.fails(&from_lan(&format!("{address}:80")))?;
            host.fails(&from_lan(&format!("{address}:81")))?;
            host.fails(&ping(address))?;
        }
        Ok(())
    });
    host.case("nor from a link of the host's to another container", || {
        let p2 = Container::defined(&host, "p2", "[Network]\nVirtualEthernet=yes\n")?;
        p2.start()?;
        host.ok("ip addr add 192.0.3.1/24 dev ve-p2")?;
        p2.inside("ip addr add 192.0.3.2/24 dev host0; ip route add default via 192.0.3.1")?;
        host.fails(&format!("nsenter -t {} -n {}", p2.leader()?, fetch(&format!("{}:81", addresses[0]))))?;
        p2.stop()
    });
    host.case("the host itself reaches all of it, and the neighbour what is forwarded", || {
        for address in &addresses {
            host.ok(&fetch(&format!("{address}:81")))?;
        }
        host.ok(&from_lan("192.0.2.1:8080"))?;
        host.ok(&from_lan("[2001:db8::1]:8080")).map(drop)
    });
    host.case("and it reaches the neighbour, whose answers come in", || {
        p1.inside("ping -c 1 -W 5 192.0.2.2 && ping -c 1 -W 5 2001:db8::2").map(drop)
    });
    host.case("Routed=yes lets in whoever routes to it", || {
        p1.stop()?;
        p1.define("[Interface eth0]\nRouted=yes\n")?;
        p1.start()?;
        p1.inside(serve)?;
        for address in &addresses {
            host.ok(&from_lan(&format!("{address}:81")))?;
        }
        p1.stop()?;
        host.fails("nft list table inet containerctl | grep -A 2 'set routed' | grep elements").map(drop)
    });
    host.finish()
}
