//! Links: the managed network that comes by itself, every type of link with traffic through it, and nothing left.

use std::time::Duration;

use crate::container::{Container, SOON};
use crate::harness::{Host, Result};

/// Everything that a container's links could leave on the host.
const INVENTORY: &str = "for i in /sys/class/net/*; do
        echo ${i##*/} $(cat $i/address $i/mtu $i/ifalias) $(readlink $i/master) $(ip -o link show ${i##*/} | grep -o altname.*); done
    ip -o addr show scope global | sed -E 's/^[0-9]+: //' | sort; ls /run/netns; findmnt -rno TARGET | grep netns";

/// The first process of containers that are to be gone at once when they are stopped.
const QUICK: &str =
    "[Exec]\nBoot=no\nParameters=/bin/sh -c \"trap 'exit 0' TERM; while :; do sleep 1000 & wait; done\"\n";

/// A switch of the test's own, `lan`, with a host on it that is no container: 192.168.77.1 at `outer`, in a namespace
/// `far` with a web page.
const LAN: &str = "ip netns add far && ip link add lan type bridge && ip link set lan up &&
    ip link add far0 type veth peer name eth0 netns far && ip link set far0 master lan up &&
    ip -n far link set lo up && ip -n far link set eth0 up && ip -n far addr add 192.168.77.1/24 dev eth0 &&
    ip -n far addr add fd77::1/64 dev eth0 nodad &&
    ip link add nic type veth peer name nicport && ip link set nicport master lan up && ip link set nic up &&
    ip link add mac type veth peer name macport && ip link set macport master lan up && ip link set mac up";

fn address(container: &Container, family: &str) -> Result<String> {
    let shown = container.inside(&format!("ip -{family} -o addr show dev eth0 scope global"))?;
    let address = shown.split_whitespace().nth(3).unwrap_or_default();
    Ok(address.split('/').next().unwrap_or_default().to_owned())
}

/// Whether the kernel makes links of this kind.
fn has_kind(host: &Host, kind: &str) -> Result<bool> {
    let id = if kind == "vlan" { "id 9" } else { "" };
    Ok(host.run(&format!("ip link add link nic name try9 type {kind} {id} && ip link del try9"))?.code == 0)
}

fn pings(container: &Container, address: &str) -> Result<()> {
    container.inside(&format!("ping -c 1 -W 5 {address}")).map(drop)
}

#[test]
fn a_container_is_in_the_managed_network() -> Result<()> {
    let host = boot!();
    let p1 = Container::busybox(&host, "p1")?;
    let long = Container::busybox(&host, "a-container-with-a-long-name")?;
    host.ok("ip link show ctl0 && exit 1 || true")?;
    p1.start()?;
    long.start()?;
    host.case("it has addresses at once, and the way out", || {
        let info = host.ok("containerctl info p1")?;
        let (v4, v6) = (address(&p1, "4")?, address(&p1, "6")?);
        ensure!(info.contains(&v4) && info.contains(&v6) && v4.starts_with("10."), "{v4} {v6} in {info}");
        p1.inside("ip route | grep '^default via 10[.]' && ip -6 route | grep '^default via fd'")?;
        p1.inside("ip link show host0 | grep eth0").map(drop)
    });
    host.case("it reaches its neighbour and the host, and they reach it, by IPv4 and IPv6", || {
        for family in ["4", "6"] {
            let (ours, theirs) = (address(&p1, family)?, address(&long, family)?);
            pings(&p1, &theirs)?;
            pings(&long, &ours)?;
            host.ok(&format!("ping -c 1 -W 5 {ours}"))?;
            let gateway = host.ok(&format!("ip -{family} -o addr show dev ctl0 scope global"))?;
            let gateway = gateway.split_whitespace().nth(3).unwrap_or_default().to_owned();
            pings(&p1, gateway.split('/').next().unwrap_or_default())?;
        }
        Ok(())
    });
    host.case("it reaches what is beyond the host", || {
        host.ok("ip netns add world && ip link add up0 type veth peer name eth0 netns world && ip link set up0 up &&
            ip addr add 198.51.100.1/24 dev up0 && ip -n world link set eth0 up &&
            ip -n world addr add 198.51.100.2/24 dev eth0")?;
        host.wait_until(SOON, "nft list ruleset | grep masquerade")?;
        pings(&p1, "198.51.100.2")?;
        host.ok("ip netns del world").map(drop)
    });
    host.case("the host knows it by name", || {
        let found = host.ok("getent ahostsv4 p1")?;
        ensure!(found.contains(&address(&p1, "4")?), "{found}");
        host.ok("machinectl list --no-legend | grep '^p1 .* 10[.]'").map(drop)
    });
    host.case("names on the host fit, and say all", || {
        host.ok("ip link show vb-p1 && ip link show vb-a-container-with-a-long-name")?;
        host.ok("test $(cat /sys/class/net/vb-p1/ifalias) = containerctl:p1:eth0")?;
        host.ok("networkctl status vb-p1 | grep 80-container-vb.network").map(drop)
    });
    host.case("who asks by DHCP is given the same address", || {
        let ours = address(&p1, "4")?;
        host.wait_until(SOON, "ss -Hlnu 'sport = 67' | grep %ctl0")?;
        let script = "#!/bin/sh\n[ \"$1\" != bound ] || echo \"lease $ip $router $dns\" >>/leases\n";
        p1.write("/dhcp", script)?;
        // By an identity of its own, as systemd inside does.
        let ask = |more: &str| {
            p1.inside(&format!("rm -f /leases; chmod +x /dhcp; udhcpc -i eth0 -n -q -f -R -s /dhcp -t 20 -T 1 {more} && cat /leases"))
        };
        let told = ask("-x 0x3d:ff00112233")?;
        ensure!(told.contains(&format!("lease {ours} 10.")), "{told}, not {ours}");
        Ok(())
    });
    host.case("and keeps it over restarts and reboots of the host", || {
        let (before, leader) = (address(&p1, "4")?, p1.leader()?);
        host.ok("systemctl restart container@p1")?;
        ensure!(p1.leader()? != leader && address(&p1, "4")? == before, "not {before}");
        host.reboot()?;
        p1.start()?;
        ensure!(address(&p1, "4")? == before, "not {before}");
        pings(&p1, host.ok("ip -4 -o addr show dev ctl0 | awk '{print $4}' | cut -d/ -f1")?.trim())
    });
    host.case("destroyed, its address is free and its link gone", || {
        p1.stop()?;
        host.ok("containerctl destroy p1")?;
        host.fails("grep '^lease p1 ' /var/lib/containerctl/.network")?;
        p1.is_gone()
    });
    host.case("ten at once have ten addresses", || {
        host.ok("for i in 0 1 2 3 4 5 6 7 8 9; do containerctl create m$i --template busybox; done")?;
        host.ok("systemctl start container@m{0,1,2,3,4,5,6,7,8,9}".replace("{0,1,2,3,4,5,6,7,8,9}", "0 container@m1 container@m2 container@m3 container@m4 container@m5 container@m6 container@m7 container@m8 container@m9").as_str())?;
        let count = host.ok("grep '^lease m' /var/lib/containerctl/.network | cut -d' ' -f5 | sort -u | wc -l")?;
        ensure!(count.trim() == "10", "{count}");
        host.ok("systemctl stop 'container@m*'")?;
        host.fails("ip -o link | grep vb-m").map(drop)
    });
    host.finish()
}

#[test]
fn every_type_of_link_carries_traffic() -> Result<()> {
    let host = boot!();
    host.ok(LAN)?;
    let p1 = Container::busybox(&host, "p1")?;
    let lan = "Address=192.168.77.9/24 fd77::9/64\nGateway=192.168.77.1\n";
    let before = host.ok(INVENTORY)?;
    for (what, definition, prepare, there) in [
        (
            "a bridge of the host's",
            format!("[Interface eth0]\nBridge=lan\nMTU=1400\n{lan}"),
            "",
            "ip link show vb-p1 | grep 'mtu 1400'",
        ),
        (
            "macvlan",
            format!("[Interface eth0]\nType=macvlan\nParent=nic\nMACAddress=02:00:5e:10:00:09\n{lan}"),
            "",
            "ip link show nic",
        ),
        (
            "macvlan, private",
            format!("[Interface eth0]\nType=macvlan\nMode=private\nParent=nic\n{lan}"),
            "",
            "true",
        ),
        (
            "macvlan, passthru",
            format!("[Interface eth0]\nType=macvlan\nMode=passthru\nParent=nic\n{lan}"),
            "",
            "true",
        ),
        ("ipvlan", format!("[Interface eth0]\nType=ipvlan\nParent=nic\n{lan}"), "", "true"),
        ("ipvlan, l3s", format!("[Interface eth0]\nType=ipvlan\nMode=l3s\nParent=nic\n{lan}"), "", "true"),
        (
            "vlan",
            format!("[Interface eth0]\nType=vlan\nParent=nic\nVLAN=7\n{lan}"),
            "ip -n far link add link eth0 name v7 type vlan id 7 && ip -n far addr flush dev eth0 && ip -n far link set v7 up && ip -n far addr add 192.168.77.1/24 dev v7",
            "true",
        ),
        (
            "the host's interface itself",
            format!("[Interface eth0]\nType=physical\nParent=nic\n{lan}"),
            "ip -n far link del v7; ip -n far addr replace 192.168.77.1/24 dev eth0; ip -n far addr replace fd77::1/64 dev eth0 nodad",
            "! ip link show nic",
        ),
        ("nspawn's Bridge=", "[Network]\nBridge=lan\n".to_string(), "", "ip link show vb-p1"),
        ("nspawn's MACVLAN=", "[Network]\nMACVLAN=mac:mv0\n".to_string(), "", "true"),
        ("nspawn's Interface=", "[Network]\nInterface=nic:lan0\n".to_string(), "", "! ip link show nic"),
    ] {
        host.case(what, || {
            let kind = definition.split("Type=").nth(1).and_then(|rest| rest.lines().next()).unwrap_or_default();
            if ["ipvlan", "vlan"].contains(&kind) && !has_kind(&host, kind)? {
                skip!("this kernel has no {kind}");
            }
            if !prepare.is_empty() {
                host.ok(prepare)?;
            }
            p1.define(&format!("{QUICK}{definition}"))?;
            p1.start()?;
            // Of nspawn's keys none sets an address: that is the guest's.
            if definition.starts_with("[Network]") {
                p1.inside("i=$(ls /sys/class/net | grep -v lo) && ip link set $i up && ip addr add 192.168.77.9/24 dev $i")?;
            }
            pings(&p1, "192.168.77.1")?;
            host.ok("ip netns exec far ping -c 1 -W 5 192.168.77.9")?;
            host.ok(there)?;
            p1.stop()?;
            // What was handed over comes back down, as any interface comes up.
            host.ok("ip link set nic up")?;
            p1.is_gone()
        });
    }
    host.case("a zone has a bridge as long as it has somebody", || {
        p1.define(&format!("{QUICK}[Interface eth0]\nZone=test\nAddress=192.168.78.1/24\n"))?;
        let p2 = Container::defined(
            &host,
            "p2",
            &format!("{QUICK}[Interface eth0]\nZone=test\nAddress=192.168.78.2/24\n"),
        )?;
        p1.start()?;
        p2.start()?;
        pings(&p1, "192.168.78.2")?;
        p1.stop()?;
        host.ok("ip link show vz-test")?;
        p2.stop()?;
        host.fails("ip link show vz-test").map(drop)
    });
    host.case("point to point, networkd serves it", || {
        p1.define(&format!("{QUICK}[Network]\nVirtualEthernet=yes\n"))?;
        p1.start()?;
        host.ok("ip link show ve-p1")?;
        p1.inside("ip link show host0")?;
        host.wait_until(SOON, "ip -4 addr show dev ve-p1 | grep inet")?;
        p1.stop()
    });
    host.case("the host's network, and none", || {
        p1.define(&format!("{QUICK}[Interface x]\nType=none\n"))?;
        p1.start()?;
        p1.inside("ip link show lan")?;
        p1.stop()?;
        p1.define(&format!("{QUICK}[Interface x]\nType=empty\n"))?;
        p1.start()?;
        ensure!(p1.inside("ls /sys/class/net")?.trim() == "lo", "{}", p1.inside("ip link")?);
        p1.stop()
    });
    host.case("a namespace that is there, and another container's", || {
        p1.define(&format!("{QUICK}[Network]\nNamespacePath=/run/netns/far\n"))?;
        p1.start()?;
        p1.inside("ip addr show dev eth0 | grep 192.168.77.1")?;
        let p3 =
            Container::defined(&host, "p3", &format!("{QUICK}[Interface x]\nType=namespace\nMachine=p1\n"))?;
        p3.start()?;
        p3.inside("ip addr show dev eth0 | grep 192.168.77.1")?;
        p3.stop()?;
        p1.stop()?;
        host.ok("ip -n far link show eth0").map(drop)
    });
    host.case("a vlan of a bridge's port", || {
        if host.run("ip link set lan type bridge vlan_filtering 1")?.code != 0 {
            skip!("this kernel's bridges know no VLANs");
        }
        p1.define(&format!("[Interface eth0]\nBridge=lan\nVLAN=7\n{lan}"))?;
        p1.start()?;
        host.ok("bridge vlan show dev vb-p1 | grep -E '7.*PVID'")?;
        p1.inside("ping -c 1 -W 1 192.168.77.1 && exit 1 || true")?;
        host.ok("bridge vlan add dev far0 vid 7 pvid untagged")?;
        pings(&p1, "192.168.77.1")?;
        p1.stop()?;
        host.ok("bridge vlan del dev far0 vid 7; bridge vlan add dev far0 vid 1 pvid untagged; ip link set lan type bridge vlan_filtering 0").map(drop)
    });
    host.case("and the host is as before", || {
        let after = host.ok(INVENTORY)?;
        ensure!(after == before, "before\n{before}\nafter\n{after}");
        Ok(())
    });
    host.finish()
}

/// REL-8: ends of all kinds, the links part.
#[test]
fn whatever_ends_a_container_nothing_of_its_links_is_left() -> Result<()> {
    let host = boot!();
    host.ok(LAN)?;
    let rounds: u32 =
        std::env::var("CONTAINERCTL_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(20);
    let definition = format!(
        "{QUICK}[Interface eth0]\n[Interface eth1]\nBridge=lan\n[Interface eth2]\nZone=z\n[Interface eth3]\nType=macvlan\nParent=mac\n[Interface eth4]\nType=physical\nParent=nic\n"
    );
    let p1 = Container::defined(&host, "p1", &definition)?;
    // The managed bridge stays, once it is there.
    p1.start()?;
    p1.stop()?;
    let before = host.ok(INVENTORY)?;
    host.case("ends of all kinds", || {
        for round in 0..rounds {
            p1.start()?;
            host.fails("ip link show nic")?;
            match round % 4 {
                0 => p1.stop()?,
                1 => host.ok("kill -9 $(machinectl show --value -p Leader p1)").map(drop)?,
                2 => host.ok("systemctl kill -s KILL --kill-whom=main container@p1; kill -9 $(machinectl show --value -p Leader p1); sleep 1; systemctl stop container@p1").map(drop)?,
                _ => host.ok("kill -9 $(systemctl show --value -p MainPID container@p1) $(machinectl show --value -p Leader p1); sleep 1; systemctl stop container@p1").map(drop)?,
            }
            host.wait_until(Duration::from_secs(20), "systemctl show -p ActiveState container@p1 | grep -E 'inactive|failed'")?;
            host.run("systemctl reset-failed container@p1")?;
            let after = host.ok(INVENTORY)?;
            ensure!(after == before, "round {round}: before\n{before}\nafter\n{after}");
            p1.is_gone()?;
        }
        Ok(())
    });
    host.case("a start that fails half-way", || {
        // A passthru does not share its parent with the macvlan before it.
        p1.define(&format!("{definition}[Interface eth5]\nType=macvlan\nMode=passthru\nParent=mac\n"))?;
        host.fails("systemctl start container@p1")?;
        let status = p1.property("StatusText")?;
        ensure!(status.contains("failed to create 'eth5' on 'mac'"), "{status}");
        ensure!(host.ok(INVENTORY)? == before, "left: {}", host.ok(INVENTORY)?);
        p1.is_gone()
    });
    host.case("what is somebody else's stays", || {
        p1.define(&format!("{QUICK}[Interface eth0]\n"))?;
        host.ok(
            "ip link add other type veth peer name vb-x && ip link set other alias 'containerctl:p10:eth0'",
        )?;
        p1.start()?;
        p1.stop()?;
        host.ok("ip link show vb-x && ip link del other").map(drop)
    });
    host.finish()
}

#[test]
fn mistakes_with_links_are_told_and_leave_nothing() -> Result<()> {
    let host = boot!();
    host.ok(LAN)?;
    let p1 = Container::defined(&host, "p1", QUICK)?;
    p1.start()?;
    p1.stop()?;
    host.ok("ip link add br-down type bridge; ip link add vb-p1 type veth peer name vb-other")?;
    let before = host.ok(INVENTORY)?;
    for (definition, code, words) in [
        ("[Interface eth0]\nBridge=nosuch\n", "66", "p1.conf:2: Bridge=: there is no bridge 'nosuch'"),
        ("[Interface eth0]\nBridge=nic\n", "78", "interface 'nic' is no bridge"),
        ("[Interface eth0]\nHostName=x\nBridge=br-down\n", "1", "bridge 'br-down' is down"),
        ("[Interface eth0]\nBridge=lan\n", "75", "the host has an interface 'vb-p1' already"),
        (
            "[Interface eth0]\nHostName=far0\nBridge=lan\n",
            "75",
            "p1.conf:2: HostName=: the host has an interface 'far0'",
        ),
        ("[Interface eth0]\nType=macvlan\nParent=nosuch\n", "66", "the host has no interface 'nosuch'"),
        ("[Interface eth0]\nType=physical\nParent=lo\n", "78", "'lo' cannot be moved into a container"),
        (
            "[Interface eth0]\nMACAddress=01:00:00:00:00:01\n",
            "78",
            "p1.conf:2:12: MACAddress=: '01:00:00:00:00:01' is the MAC address of a group",
        ),
        (
            "[Interface eth0]\nAddress=10.0.0.1/40\n",
            "78",
            "p1.conf:2:18: Address=: '40' is not a number from 1 to 32",
        ),
        ("[Interface eth0]\nVLAN=4095\n", "78", "'4095' is not a number from 1 to 4094"),
        ("[Interface eth0]\nType=bond\n", "78", "'bond' is none of"),
        ("[Interface]\nType=veth\n", "78", "p1.conf:1:1: '[Interface]' lacks the name"),
        (
            "[Interface a.name-that-is-too-long]\n",
            "78",
            "p1.conf:1:12: 'a.name-that-is-too-long' is not the name of an interface",
        ),
        ("[Network]\nNamespacePath=/etc/passwd\n", "78", "'/etc/passwd' is not a network namespace"),
        (
            "[Network]\nNamespacePath=/run/netns/nosuch\n",
            "1",
            "failed to open network namespace '/run/netns/nosuch'",
        ),
        (
            "[Interface x]\nType=namespace\nMachine=nosuch\n",
            "66",
            "'nosuch', whose network this one joins, does not run",
        ),
        ("[Network]\nPrivate=no\nBridge=lan\n", "78", "asks for a network namespace of the container's own"),
    ] {
        host.case(&definition.replace('\n', " "), || {
            p1.define(definition)?;
            host.run("systemctl reset-failed container@p1")?;
            host.fails("systemctl start container@p1")?;
            let (status, exit) = (p1.property("StatusText")?, p1.property("ExecMainStatus")?);
            ensure!(status.contains(words) && exit == code, "status {exit} '{status}'");
            ensure!(host.ok(INVENTORY)? == before, "left: {}", host.ok(INVENTORY)?);
            p1.is_gone()
        });
    }
    host.case("a MAC address that another container has", || {
        let mac = host.ok("awk '/^lease p1/{print $4}' /var/lib/containerctl/.network")?;
        let p2 = Container::defined(&host, "p2", &format!("[Interface eth0]\nMACAddress={}\n", mac.trim()))?;
        host.fails("systemctl start container@p2")?;
        let status = p2.property("StatusText")?;
        ensure!(
            status.contains(&format!("MAC address {} is that of 'eth0' in container 'p1'", mac.trim())),
            "{status}"
        );
        p2.is_gone()
    });
    host.case("somebody else's ctl0", || {
        host.ok("ip link del vb-p1; ip link del ctl0; ip link add ctl0 type bridge")?;
        p1.define(QUICK)?;
        host.run("systemctl reset-failed container@p1")?;
        host.fails("systemctl start container@p1")?;
        let status = p1.property("StatusText")?;
        ensure!(status.contains("'ctl0' is an interface that is not ours"), "{status}");
        host.ok("ip link show ctl0 && ip link del ctl0").map(drop)
    });
    host.case("no networkd, which no container needs", || {
        host.ok("systemctl mask --runtime --now systemd-networkd.socket systemd-networkd.service && systemctl reset-failed container@p1")?;
        host.fails("ip link show ctl0")?;
        for definition in ["", "[Network]\nBridge=lan\n", "[Network]\nVirtualEthernet=no\n"] {
            p1.define(&format!("{QUICK}{definition}"))?;
            p1.start()?;
            p1.stop()?;
        }
        host.ok("ip link show ctl0").map(drop)
    });
    host.finish()
}

#[test]
fn containers_know_each_other_by_name() -> Result<()> {
    let host = boot!();
    // A name server of the world beyond, which the host asks.
    host.ok("ip addr add 192.0.2.53/32 dev lo; rm -f /etc/resolv.conf; echo 'nameserver 192.0.2.53' >/etc/resolv.conf; systemd-run --quiet --unit=world-dns \
        dnsmasq --keep-in-foreground --no-resolv --no-hosts --listen-address=192.0.2.53 --bind-interfaces --address=/world.example/192.0.2.80")?;
    let [p1, p2] = ["p1", "web.one"].map(|name| Container::busybox(&host, name));
    let (p1, p2) = (p1?, p2?);
    p1.start()?;
    p2.start()?;
    p2.inside("mkdir /www && echo hello >/www/index.html && httpd -p 80 -h /www")?;
    host.wait_until(SOON, "systemctl is-active containerctl-names && ss -Hlnu 'sport = 53' | grep 10.")?;
    host.case("a page is fetched by name", || {
        for name in ["web.one", "web.one.ctl.internal"] {
            p1.inside(&format!("wget -T 5 -q -O - http://{name}/ | grep -x hello"))?;
        }
        Ok(())
    });
    host.case("both kinds of addresses, and the way back", || {
        let (v4, v6) = (address(&p2, "4")?, address(&p2, "6")?);
        let told = p1.inside("nslookup web.one.ctl.internal")?;
        ensure!(told.contains(&v4) && told.contains(&v6), "{told}, not {v4} {v6}");
        p1.inside(&format!("nslookup {v4} | grep web.one.ctl.internal"))?;
        p1.inside(&format!("nslookup {v6} | grep web.one.ctl.internal")).map(drop)
    });
    host.case("names of the world are passed on, others are not", || {
        p1.inside("nslookup world.example | grep 192.0.2.80")?;
        host.fails(&format!("nsenter -t {} -a -r -w nslookup nosuch", p1.leader()?))?;
        host.fails("journalctl -u world-dns | grep nosuch").map(drop)
    });
    host.case("a guest's own resolv.conf stays its own", || {
        ensure!(p1.read("/etc/resolv.conf")?.contains("search ctl.internal\nnameserver 10."), "not ours");
        p1.write("/etc/resolv.conf", "nameserver 192.0.2.1\n")?;
        host.ok("systemctl restart container@p1")?;
        ensure!(p1.read("/etc/resolv.conf")? == "nameserver 192.0.2.1\n", "{}", p1.read("/etc/resolv.conf")?);
        Ok(())
    });
    host.case("it holds no right but that to its port", || {
        let caps = host.ok("grep CapEff /proc/$(systemctl show --value -p MainPID containerctl-names)/status")?;
        ensure!(caps.trim().ends_with("0000000000000400"), "{caps}");
        // Whatever is sent to it, it answers still.
        let leader = p2.leader()?;
        host.ok(&format!("nsenter -t {leader} -n python3 -c 'import socket,os\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\nfor i in range(3000): s.sendto(os.urandom(i%90),(\"'$(sed -n 's/^range \\(.*\\)[/]22/\\1/p' /var/lib/containerctl/.network)'\",53))'"))?;
        p2.inside("nslookup p1.ctl.internal | grep 10.").map(drop)
    });
    host.finish()
}

#[test]
fn links_and_ports_come_and_go_while_containers_run() -> Result<()> {
    let host = boot!();
    host.ok(LAN)?;
    let [p1, p2] = ["p1", "p2"].map(|name| Container::busybox(&host, name));
    let (p1, p2) = (p1?, p2?);
    p1.start()?;
    p2.start()?;
    let before = host.ok(INVENTORY)?;
    let ruleset = "nft list ruleset | grep -v 'counter packets'";
    let rules = host.ok(ruleset)?;
    host.case("a second link in the managed network", || {
        host.ok("containerctl network attach p1 eth1")?;
        let shown = host.ok("containerctl network info --json")?;
        ensure!(shown.contains("\"eth1\"") && shown.contains("vb-p1-"), "{shown}");
        let own = p1.inside("ip -4 -o addr show dev eth1 | sed 's/.*inet //; s,/.*,,'")?;
        p1.inside(&format!("ping -c 1 -W 5 -I eth1 {}", address(&p2, "4")?))?;
        host.ok(&format!("containerctl info p1 | grep -F {}", own.trim()))?;
        host.ok("containerctl network detach p1 eth1")?;
        p1.inside("ip route | grep '^default .* eth0'")?;
        host.fails(&format!("nsenter -t {} -n ip link show eth1", p1.leader()?)).map(drop)
    });
    for (settings, prepared) in [
        ("Bridge=lan Address=192.168.77.9/24", "true"),
        ("Type=macvlan Parent=mac Address=192.168.77.9/24", "true"),
        ("Type=physical Parent=nic Address=192.168.77.9/24", "! ip link show nic"),
    ] {
        host.case(settings, || {
            host.ok(&format!("containerctl network attach p1 lan0 {settings} && {prepared}"))?;
            pings(&p1, "192.168.77.1")?;
            host.ok("containerctl network detach p1 lan0")?;
            host.ok("ip link set nic up")?;
            host.fails(&format!("nsenter -t {} -n ip link show lan0", p1.leader()?)).map(drop)
        });
    }
    host.case("the host is as before", || {
        let (after, now) = (host.ok(INVENTORY)?, host.ok(ruleset)?);
        ensure!(after == before, "before\n{before}\nafter\n{after}");
        ensure!(now == rules, "before\n{rules}\nafter\n{now}");
        Ok(())
    });
    host.case("an interface of the host's comes back after a kill of everything", || {
        host.ok("containerctl network attach p1 lan0 Type=physical Parent=nic")?;
        // What the guest writes on it does not matter.
        let ip = format!("nsenter -t {} -n ip link set", p1.leader()?);
        host.ok(&format!("{ip} lan0 down && {ip} lan0 name other && {ip} other alias containerctl:p2:eth0"))?;
        host.ok("kill -9 $(systemctl show --value -p MainPID container@p1) $(machinectl show --value -p Leader p1)")?;
        host.wait_until(SOON, "ip link show nic")?;
        host.ok("test \"$(cat /sys/class/net/nic/ifalias)\" = '' && ip link set nic up")?;
        host.ok("systemctl stop container@p1")?;
        p1.is_gone()?;
        p1.start()
    });
    host.case("for good", || {
        host.ok("containerctl network attach p1 lan0 Bridge=lan Address=192.168.77.9/24 --persist")?;
        host.ok("containerctl port add p1 8080:80 --persist")?;
        host.ok("systemctl restart container@p1")?;
        pings(&p1, "192.168.77.1")?;
        address(&p1, "4")?;
        host.ok("containerctl port list p1 | grep -E 'tcp +8080 +p1 +[^ ]+ +80'").map(drop)
    });
    host.case("ports", || {
        p2.inside("mkdir /www; echo second >/www/index.html; httpd -p 80 -h /www")?;
        host.ok("containerctl port add p2 tcp:9090:80")?;
        host.ok("busybox wget -T 5 -q -O - http://127.0.0.1:9090/ | grep -x second")?;
        host.ok("containerctl port list --json | jq -e 'map(select(.machine == \"p2\" and .host == 9090)) | length == 2'")?;
        host.ok("containerctl port remove p2 tcp:9090")?;
        host.fails("busybox wget -T 1 -q -O - http://127.0.0.1:9090/").map(drop)
    });
    for (command, code, words) in [
        ("network attach p1 eth0", 75, "'p1' has an interface 'eth0' already"),
        ("network attach p1 eth9 Type=macvlan Parent=nosuch", 66, "the host has no interface 'nosuch'"),
        ("network attach p1 eth9 Colour=red", 78, "unknown key 'Colour='"),
        ("network attach p1 eth9 Type=empty", 78, "only an interface can be added"),
        ("network attach nosuch eth9", 66, "there is no container 'nosuch'"),
        ("network detach p1 eth9", 66, "has no interface 'eth9' of ours"),
        ("port add p2 8080", 75, "tcp port 8080 of the host leads into container 'p1' already"),
        ("port add p2 70000", 78, "'70000' is not a port"),
        ("port remove p2 4711", 66, "tcp port 4711 of the host does not lead into container 'p2'"),
    ] {
        host.case(command, || {
            let output = host.run(&format!("containerctl {command}"))?;
            let told =
                output.code == code && output.stderr.contains(words) && output.stderr.lines().count() == 1;
            ensure!(told, "{output}");
            Ok(())
        });
    }
    host.case("the network in a line", || {
        host.ok("containerctl network list | grep -E '^ctl0 +up +10[.].*2 of 3'").map(drop)
    });
    host.finish()
}
