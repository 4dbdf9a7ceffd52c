//! The service that answers guests, where the host or a guest is in its way.

use std::time::Duration;

use crate::container::{Container, SOON};
use crate::harness::{Host, Result};

/// A DNS server of the host's that holds port 53 of all addresses, until it is killed.
const HOLDER: &str = "systemd-run --quiet --unit=holder python3 -c 'import socket, time
k = []
for f, a in ((socket.AF_INET, \"0.0.0.0\"), (socket.AF_INET6, \"::\")):
    for t in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        s = socket.socket(f, t)
        if f == socket.AF_INET6: s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        s.bind((a, 53)); k.append(s)
        if t == socket.SOCK_STREAM: s.listen()
time.sleep(600)'; until ss -Hlnt 'sport = 53' | grep 0.0.0.0; do sleep 0.1; done";

/// Holds as many connections as it is let have, and says so.
const CROWD: &str = "import socket, sys, time
k = []
for i in range(16):
    s = socket.socket(); s.settimeout(2)
    s.connect((sys.argv[1], 53)); k.append(s)
open(sys.argv[2], 'w').write('held'); time.sleep(600)";

/// A question by TCP, and the number of answers.
const ASK: &str = "import socket, struct, sys
q = struct.pack('>6H', 7, 0x100, 1, 0, 0, 0) + b''.join(bytes([len(l)]) + l.encode() for l in sys.argv[2].split('.')) + struct.pack('>BHH', 0, 1, 1)
s = socket.create_connection((sys.argv[1], 53), 5); s.sendall(struct.pack('>H', len(q)) + q)
n = struct.unpack('>H', s.recv(2, socket.MSG_WAITALL))[0]
print(struct.unpack('>H', s.recv(n, socket.MSG_WAITALL)[6:8])[0])";

fn gateway(host: &Host) -> Result<String> {
    Ok(host.ok("sed -n 's,^range \\(10[^/]*\\)/.*,\\1,p' /var/lib/containerctl/.network")?.trim().to_owned())
}

#[test]
fn a_dns_server_of_the_host_is_named_and_names_come_when_it_has_gone() -> Result<()> {
    let host = boot!();
    host.ok(HOLDER)?;
    let p1 = Container::busybox(&host, "p1")?;
    let taken = "port 53.*is taken by another program";
    host.case("start says that names do not work", || {
        host.ok(&format!("containerctl start p1 2>&1 | grep -E '{taken}'")).map(drop)
    });
    for (who, command) in [
        ("network info", "containerctl network info"),
        ("check", "containerctl check"),
        ("the journal", "journalctl -u containerctl-names"),
        ("the unit's status", "systemctl show -p StatusText containerctl-names"),
    ] {
        host.case(&format!("{who} says that names do not work"), || {
            host.ok(&format!("{command} | grep -E '{taken}'")).map(drop)
        });
    }
    host.case("so does the journal of a container that starts", || {
        Container::busybox(&host, "p2")?.start()?;
        host.ok(&format!("journalctl -u container@p2 | grep -E '{taken}'")).map(drop)
    });
    host.case("who asks by DHCP is answered all the same", || {
        p1.inside("udhcpc -i eth0 -n -q -f -s /bin/true -t 5 -T 1").map(drop)
    });
    host.case("when the port is free, names work, and nobody complains", || {
        host.ok("systemctl stop holder")?;
        let leader = p1.leader()?;
        host.wait_until(SOON, &format!("nsenter -t {leader} -a -r -w nslookup p2.ctl.internal"))?;
        host.wait_until(
            SOON,
            "test -e /run/containerctl-names/status -a ! -s /run/containerctl-names/status",
        )?;
        host.fails("containerctl network info | grep Problem").map(drop)
    });
    host.case("a service that does not run is missed by check and network info", || {
        host.ok("systemctl stop containerctl-names")?;
        for command in ["check", "network info"] {
            host.ok(&format!("containerctl {command} | grep \"'containerctl-names.service' does not run\""))?;
        }
        Ok(())
    });
    host.finish()
}

#[test]
fn bind_on_the_host_and_names_of_containers_get_along_or_say_so() -> Result<()> {
    let host = boot!("--packages", crate::stock::MANAGERS);
    host.ok("systemctl disable -q --now NetworkManager dhcpcd ufw firewalld 2>&1; nft flush ruleset; systemctl start named")?;
    let p1 = Container::busybox(&host, "p1")?;
    p1.start()?;
    let leader = p1.leader()?;
    let asked = format!("nsenter -t {leader} -a -r -w nslookup p1.ctl.internal | grep 'Address: 10.'");
    host.case("whichever was first, names work or somebody says that they do not", || {
        host.wait_until(SOON, "test -e /run/containerctl-names/status")?;
        host.wait_until(SOON, &format!("{asked} || containerctl network info | grep 'Problem: names'"))
            .map(drop)
    });
    host.case("without it names come", || {
        host.ok("systemctl stop named")?;
        host.wait_until(SOON, "test ! -s /run/containerctl-names/status")?;
        host.ok(&asked).map(drop)
    });
    host.case("once names work, it does not take them", || {
        host.ok("systemctl start named")?;
        host.wait_until(SOON, "journalctl -u named | grep -i 'running'")?;
        for _ in 0..5 {
            host.ok(&asked)?;
        }
        Ok(())
    });
    host.finish()
}

#[test]
fn guests_that_hold_all_connections_keep_nobody_from_names() -> Result<()> {
    let host = boot!();
    let names = ["p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8", "p9"];
    for name in names {
        Container::busybox(&host, name)?.start()?;
    }
    host.wait_until(SOON, "ss -Hlnt 'sport = 53' | grep %ctl0")?;
    let gateway = gateway(&host)?;
    std::fs::write(host.path("/crowd")?, CROWD)?;
    std::fs::write(host.path("/ask")?, ASK)?;
    for name in &names[..8] {
        let leader = Container { host: &host, name }.leader()?;
        host.ok(&format!(
            "systemd-run --quiet --unit=crowd-{name} nsenter -t {leader} -n python3 /crowd {gateway} /run/crowd-{name}"
        ))?;
    }
    host.wait_until(Duration::from_secs(30), "test $(ls /run/crowd-* | wc -l) = 8")?;
    host.case("the ninth is answered by TCP", || {
        let leader = Container { host: &host, name: "p9" }.leader()?;
        let told = host.ok(&format!("nsenter -t {leader} -n python3 /ask {gateway} p1"))?;
        ensure!(told.trim() == "1", "{told}");
        Ok(())
    });
    host.case("nobody else than guests reaches it (SEC-12)", || {
        host.ok(&format!(
            "ip netns add lan && ip link add lan0 type veth peer name eth0 netns lan && ip link set lan0 up &&
            ip addr add 198.51.100.1/24 dev lan0 && ip -n lan link set eth0 up && ip -n lan addr add 198.51.100.2/24 dev eth0 &&
            ip -n lan route add {gateway}/22 via 198.51.100.1 2>/dev/null || ip -n lan route add default via 198.51.100.1"
        ))?;
        host.ok("ip netns exec lan ping -c 1 -W 5 198.51.100.1")?;
        host.fails(&format!("ip netns exec lan timeout 3 python3 /ask {gateway} p1"))?;
        host.fails(&format!("ip netns exec lan busybox nslookup -type=a p1.ctl.internal {gateway}")).map(drop)
    });
    host.finish()
}
