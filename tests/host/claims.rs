//! SEC-32: addresses that a guest gives itself: the first to use one has it, and nobody else's can be had.

use std::fs;

use crate::container::{Container, SOON};
use crate::filter::ends;
use crate::harness::{Host, Result};

/// Prefix of the managed IPv6 network, and the first three numbers of the IPv4 one.
fn networks(host: &Host) -> Result<(String, String)> {
    let v6 = host.ok("ip -6 -o addr show dev ctl0 scope global | sed 's/.*inet6 //; s,::1/.*,,'")?;
    let v4 = host.ok("ip -4 -o addr show dev ctl0 | sed 's/.*inet //; s,[.][0-9]*/.*,,'")?;
    Ok((v6.trim().to_owned(), v4.trim().to_owned()))
}

/// Whether the host answers what a container sends from an address that it has given itself.
fn is_answered(container: &Container, source: &str, target: &str) -> Result<bool> {
    let ping = format!("nsenter -t {} -n ping -c 1 -W 2 -I {source} {target}", container.leader()?);
    Ok(container.host.run(&ping)?.code == 0)
}

fn add(container: &Container, address: &str) -> Result<()> {
    let leader = container.leader()?;
    container.host.ok(&format!("nsenter -t {leader} -n ip addr add {address} dev eth0 nodad")).map(drop)
}

#[test]
fn guests_claim_addresses_that_nobody_has() -> Result<()> {
    let host = boot!();
    let [p1, p2, gone] = ["p1", "p2", "gone"].map(|name| Container::busybox(&host, name));
    let (p1, p2, gone) = (p1?, p2?, gone?);
    [&p1, &p2, &gone].iter().try_for_each(|container| container.start())?;
    let (v6, v4) = networks(&host)?;
    let (gateway6, gateway4) = (format!("{v6}::1"), format!("{v4}.1"));
    let stopped = ends(&gone)?;
    gone.stop()?;
    host.case("temporary and stable-privacy addresses of IPv6 work (NixOS/nixpkgs#250655, canonical/lxd#5859)", || {
        for (file, value) in [("use_tempaddr", "2"), ("addr_gen_mode", "3")] {
            p1.inside(&format!("echo 1 >/proc/sys/net/ipv6/conf/eth0/accept_ra; echo {value} >/proc/sys/net/ipv6/conf/eth0/{file}; ip link set eth0 down; ip link set eth0 up"))?;
            let made = format!("ip -6 -o addr show dev eth0 scope global | grep -v tentative | grep -vE 'ff:fe|{}'", ends(&p2)?.v6);
            host.wait_until(SOON, &format!("nsenter -t {} -n {made}", p1.leader()?))?;
            let address = host.ok(&format!("nsenter -t {} -n {made} | sed 's/.*inet6 //; s,/.*,,' | tail -n 1", p1.leader()?))?;
            ensure!(is_answered(&p1, address.trim(), &gateway6)?, "{file}: {address}");
            p1.inside(&format!("echo 0 >/proc/sys/net/ipv6/conf/eth0/{file}; ip -6 addr flush dev eth0 scope global"))?;
        }
        Ok(())
    });
    host.case("second addresses of both kinds do", || {
        for (address, length, gateway) in
            [(format!("{v6}::2:1"), 64, &gateway6), (format!("{v4}.220"), 22, &gateway4)]
        {
            add(&p1, &format!("{address}/{length}"))?;
            ensure!(is_answered(&p1, &address, gateway)?, "{address}");
            host.ok(&format!("ping -c 1 -W 5 {address}"))?;
        }
        Ok(())
    });
    host.case("one that a neighbour has claimed cannot be had, nor one that is given out, to whoever does not run, too", || {
        let (given6, given4) = (stopped.v6.clone(), stopped.v4.clone());
        for (address, gateway) in [
            (format!("{v6}::2:1"), &gateway6),
            (format!("{v4}.220"), &gateway4),
            (given6, &gateway6),
            (given4, &gateway4),
            (gateway6.clone(), &ends(&p1)?.v6),
            (format!("{v4}.20"), &gateway4),
        ] {
            let length = if address.contains(':') { 128 } else { 32 };
            add(&p2, &format!("{address}/{length}"))?;
            ensure!(!is_answered(&p2, &address, gateway)?, "{address} is answered");
            p2.inside(&format!("ip addr del {address}/{length} dev eth0"))?;
        }
        ensure!(is_answered(&p1, &format!("{v6}::2:1"), &gateway6)?, "the owner has lost it");
        gone.start()?;
        gone.inside(&format!("ping -c 1 -W 5 {gateway4} && ping -c 1 -W 5 {gateway6}"))?;
        gone.stop()
    });
    host.case("sixteen, and no more", || {
        let fresh = Container::busybox(&host, "fresh")?;
        fresh.start()?;
        for number in 1..=16 {
            let address = format!("{v6}::5:{number}");
            add(&fresh, &format!("{address}/64"))?;
            ensure!(is_answered(&fresh, &address, &gateway6)?, "{address}");
        }
        let address = format!("{v6}::5:17");
        add(&fresh, &format!("{address}/64"))?;
        ensure!(!is_answered(&fresh, &address, &gateway6)?, "{address} is one too many");
        ensure!(is_answered(&fresh, &format!("{v6}::5:16"), &gateway6)?, "the last one is lost");
        fresh.stop()
    });
    host.case("AllowedAddress= is one's own, and that of whoever shares it", || {
        let shared = format!("{v4}.240");
        for container in [&p1, &p2] {
            container.stop()?;
            container.define(&format!("[Interface eth0]\nAllowedAddress={shared} 192.0.2.0/24\n"))?;
            container.start()?;
        }
        // As a group of VRRP hands it over.
        for container in [&p1, &p2, &p1] {
            host.ok("ip neigh flush dev ctl0")?;
            add(container, &format!("{shared}/22"))?;
            ensure!(is_answered(container, &shared, &gateway4)?, "{} has it not", container.name);
            container.inside(&format!("ip addr del {shared}/22 dev eth0"))?;
        }
        host.ok("ip route add 192.0.2.0/24 dev ctl0")?;
        add(&p1, "192.0.2.7/32")?;
        ensure!(is_answered(&p1, "192.0.2.7", &gateway4)?, "a network of its own");
        host.ok("ip route del 192.0.2.0/24")?;
        p2.stop()?;
        for (address, why) in
            [(&gateway4, "is the host's own"), (&ends(&p1)?.v4, "is that of container 'p1'")]
        {
            p2.define(&format!("[Interface eth0]\nAllowedAddress={address}\n"))?;
            host.run("systemctl reset-failed container@p2")?;
            host.fails("systemctl start container@p2")?;
            let status = p2.property("StatusText")?;
            ensure!(status.contains(why) && status.contains("AllowedAddress="), "{status}");
        }
        Ok(())
    });
    host.case("Filter=no opens a link, and Filter=yes closes one of another bridge", || {
        fs::write(host.path("/srv/advertise.py")?, include_str!("advertise.py"))?;
        let seen = |from: &Container, interface: &str, at: &str| -> Result<bool> {
            let mac = from.inside(&format!("cat /sys/class/net/{interface}/address"))?;
            let before = format!("cat /proc/net/dev_snmp6/{at} | awk '/^Icmp6InRouterAdvertisements/ {{ print $2 }}'");
            let count = host.ok(&before)?;
            host.ok(&format!("nsenter -t {} -n python3 /srv/advertise.py {interface} {} 2001:db8::", from.leader()?, mac.trim()))?;
            host.ok("ip link add settle type veth peer name settled && ip link del settle")?;
            Ok(host.ok(&before)? != count)
        };
        host.ok("ip link add lan type bridge && ip link set lan up && ip addr add 198.51.100.1/24 dev lan && echo 0 >/proc/sys/net/ipv6/conf/lan/accept_ra")?;
        p2.define("[Interface eth0]\nFilter=no\n[Interface eth1]\nBridge=lan\n[Interface eth2]\nBridge=lan\nFilter=yes\nAddress=198.51.100.2/24\n")?;
        host.run("systemctl reset-failed container@p2")?;
        p2.start()?;
        ensure!(!seen(&p1, "eth0", "ctl0")?, "a filtered link advertises a router");
        ensure!(seen(&p2, "eth0", "ctl0")?, "Filter=no does not open");
        ensure!(seen(&p2, "eth1", "lan")?, "a bridge of one's own has a filter unasked");
        ensure!(!seen(&p2, "eth2", "lan")?, "Filter=yes does not close");
        ensure!(is_answered(&p2, "198.51.100.2", "198.51.100.1")?, "its own address");
        p2.inside("ip addr add 198.51.100.9/24 dev eth2")?;
        ensure!(!is_answered(&p2, "198.51.100.9", "198.51.100.1")?, "another address");
        p2.stop()
    });
    host.finish()
}
