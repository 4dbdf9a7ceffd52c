//! SEC-32: the packet filter: what a container cannot send, who reaches a forwarded port, and whose rules are left alone.

use crate::container::{Container, SOON};
use crate::harness::{Host, Result};
use std::fs;

/// What a container may send; everything else that `frames.py` sends is forged.
const MAY: [&str; 5] = ["may-advertise", "may-arp", "may-udp4", "may-udp6", "may-udp6-global"];

pub struct Ends {
    pub mac: String,
    pub v4: String,
    pub v6: String,
}

pub fn ends(container: &Container) -> Result<Ends> {
    let field = |command: &str| container.inside(command).map(|text| text.trim().to_owned());
    let address = |family| {
        field(&format!(
            "ip -{family} -o addr show dev eth0 scope global | head -n 1 | sed 's/.*inet6* //; s,/.*,,'"
        ))
    };
    Ok(Ends { mac: field("cat /sys/class/net/eth0/address")?, v4: address("4")?, v6: address("6")? })
}

/// What is seen of the frames that `from` sends in the name of `other`: at `places`, each a prefix that enters a
/// network namespace and an interface there.
fn seen(host: &Host, from: &Container, other: &Ends, places: &[(String, &str)]) -> Result<Vec<Vec<String>>> {
    let own = ends(from)?;
    let mut script = "cd /tmp; rm -f seen.*\n".to_string();
    for (number, (enter, interface)) in places.iter().enumerate() {
        script += &format!("{enter} python3 /srv/frames.py watch {interface} 3 >seen.{number} &\n");
    }
    for number in 0..places.len() {
        script += &format!("until grep -q watching seen.{number}; do sleep 0.05; done\n");
    }
    let Ends { mac, v4, v6 } = own;
    let leader = from.leader()?;
    script += &format!(
        "nsenter -t {leader} -n python3 /srv/frames.py send eth0 {mac} {v4} {v6} {} {} {}; wait",
        other.mac, other.v4, other.v6
    );
    let sent = host.ok(&script)?;
    ensure!(sent.lines().count() > 25, "{sent}");
    let read = |number: usize| {
        let text = host.ok(&format!("grep -v watching /tmp/seen.{number}; true"))?;
        Ok(text.lines().map(str::to_owned).collect())
    };
    (0..places.len()).map(read).collect()
}

/// SEC-32: forged addresses in frames of all kinds.
#[test]
fn nobody_speaks_in_anothers_name() -> Result<()> {
    let host = boot!();
    fs::write(host.path("/srv/frames.py")?, include_str!("frames.py"))?;
    let [evil, victim, apart] = ["evil", "victim", "apart"].map(|name| Container::busybox(&host, name));
    let (evil, victim, apart) = (evil?, victim?, apart?);
    apart.define("[Interface eth0]\nIsolated=yes\n")?;
    for container in [&evil, &victim, &apart] {
        container.start()?;
    }
    let inside = format!("nsenter -t {} -n", victim.leader()?);
    let places: [(String, &str); 2] = [(inside, "eth0"), (String::new(), "ctl0")];
    host.case("frames in the name of a neighbour reach neither it nor the host", || {
        for seen in seen(&host, &evil, &ends(&victim)?, &places)? {
            ensure!(seen == MAY, "seen: {seen:?}");
        }
        Ok(())
    });
    host.case("nor do frames in the name of the router", || {
        let gateway = |family| {
            host.ok(&format!(
                "ip -{family} -o addr show dev ctl0 scope global | head -n 1 | sed 's/.*inet6* //; s,/.*,,'"
            ))
        };
        let mac = host.ok("cat /sys/class/net/ctl0/address")?.trim().to_owned();
        let router = Ends { mac, v4: gateway("4")?.trim().to_owned(), v6: gateway("6")?.trim().to_owned() };
        for seen in seen(&host, &evil, &router, &places[..1])? {
            ensure!(seen == MAY, "seen: {seen:?}");
        }
        Ok(())
    });
    host.case("without the filter they would: the watcher sees them", || {
        host.ok("nft delete table netdev containerctl")?;
        let all = seen(&host, &evil, &ends(&victim)?, &places[..1])?;
        ensure!(all[0].len() > 20, "seen: {all:?}");
        // The next start of anything puts back what somebody flushed.
        let p4 = Container::busybox(&host, "p4")?;
        p4.start()?;
        let seen = seen(&host, &evil, &ends(&victim)?, &places[..1])?;
        ensure!(seen[0] == MAY, "seen: {seen:?}");
        p4.stop()
    });
    host.case("an address that was not given out leads nowhere", || {
        let taken =
            host.ok("sed -n 's,^range \\(10[0-9.]*\\)[.][0-9]*/22,\\1,p' /var/lib/containerctl/.network")?;
        let address = format!("{}.77", taken.trim());
        evil.inside(&format!("ip addr add {address}/22 dev eth0"))?;
        host.fails(&format!("ping -c 1 -W 1 {address}"))?;
        evil.inside(&format!("ip addr del {address}/22 dev eth0")).map(drop)
    });
    host.case("isolated: the host and beyond, and no neighbour", || {
        let (own, other) = (ends(&apart)?, ends(&victim)?);
        let gateway = apart.inside("ip route | sed -n 's/^default via \\([0-9.]*\\).*/\\1/p'")?;
        apart.inside(&format!("ping -c 1 -W 5 {}", gateway.trim()))?;
        host.ok(&format!("ping -c 1 -W 5 {}", own.v4))?;
        for address in [&other.v4, &other.v6] {
            host.fails(&format!("nsenter -t {} -n ping -c 1 -W 1 {address}", apart.leader()?))?;
        }
        host.fails(&format!("nsenter -t {} -n ping -c 1 -W 1 {}", victim.leader()?, own.v4))?;
        // By way of the host, which routes.
        let way = format!("ip route add {}/32 via {} dev eth0", other.v4, gateway.trim());
        apart.inside(&way)?;
        host.fails(&format!("nsenter -t {} -n ping -c 1 -W 1 {}", apart.leader()?, other.v4)).map(drop)
    });
    host.case("limits of bandwidth are limits", || {
        apart.stop()?;
        apart.define("[Interface eth0]\nRateIn=8M\nRateOut=8M\n")?;
        apart.start()?;
        host.ok("nft list table netdev containerctl | grep -c 'limit rate over' | grep -x 2")?;
        let to = ends(&apart)?.v4;
        // 1 MB/s: of eight packets of 60 KB each in a moment, more than the burst of 256 KB does not come through.
        let leader = apart.leader()?;
        host.ok(&format!("nsenter -t {leader} -n python3 -c 'import socket; s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.bind((\"0.0.0.0\",9)); s.settimeout(2); n=0\ntry:\n  while s.recv(65535): n+=1\nexcept TimeoutError: print(n)' >/tmp/came & sleep 0.5;
            python3 -c 'import socket; s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); [s.sendto(b\"x\"*1000,(\"{to}\",9)) for i in range(3000)]'; wait; n=$(cat /tmp/came); test $n -gt 100 && test $n -lt 1500 || {{ echo $n; exit 1; }}"))?;
        apart.stop()?;
        host.fails("nft list table netdev containerctl | grep limit").map(drop)
    });
    host.case("and with them all of their rules go", || {
        host.ok("systemctl stop container@evil container@victim")?;
        host.fails("nft list ruleset | grep -E 'chain port_|vb(-|_2d)(evil|victim)'").map(drop)
    });
    host.finish()
}

/// A web server in the container that answers with a word.
fn serve(container: &Container, word: &str) -> Result<()> {
    container
        .inside(&format!("mkdir -p /www && echo {word} >/www/index.html && httpd -p 80 -h /www"))
        .map(drop)
}

const WORLD: &str = "ip netns add world && ip link add up0 type veth peer name eth0 netns world && ip link set up0 up &&
    ip addr add 198.51.100.1/24 dev up0 && ip addr add 2001:db8::1/64 dev up0 nodad && ip -n world link set eth0 up &&
    ip -n world addr add 198.51.100.2/24 dev eth0 && ip -n world addr add 2001:db8::2/64 dev eth0 nodad";

/// What a firewall of the host's own looks like: Docker's policy, and rules of ufw's and firewalld's kind.
const OTHERS: &str = "table ip filter {
    chain FORWARD { type filter hook forward priority 0; policy accept; counter jump DOCKER-USER; }
    chain DOCKER-USER { counter return; }
}
table inet firewalld {
    chain filter_INPUT { type filter hook input priority 10; policy accept; ct state established accept; }
}";

#[test]
fn ports_lead_into_containers_from_all_sides() -> Result<()> {
    let host = boot!();
    host.ok(WORLD)?;
    fs::write(host.path("/srv/others.nft")?, OTHERS)?;
    host.ok("nft -f /srv/others.nft")?;
    let others = host.ok("nft list table ip filter; nft list table inet firewalld")?;
    let p1 = Container::defined(&host, "p1", "[Network]\nPort=8080:80\nPort=udp:5353:53\n")?;
    let p2 = Container::busybox(&host, "p2")?;
    p1.start()?;
    p2.start()?;
    serve(&p1, "first")?;
    let gateway = host.ok("ip -4 -o addr show dev ctl0 | sed 's/.*inet //; s,/.*,,'")?.trim().to_owned();
    let world = |address: &str| {
        format!("ip netns exec world busybox wget -T 5 -q -O - http://{address}/ | grep -x first")
    };
    host.case("from outside", || {
        host.ok(&world("198.51.100.1:8080"))?;
        host.ok(&world("[2001:db8::1]:8080")).map(drop)
    });
    host.case("from the host itself", || {
        for address in ["198.51.100.1", "127.0.0.1", "[2001:db8::1]", &gateway] {
            host.ok(&format!("busybox wget -T 5 -q -O - http://{address}:8080/ | grep -x first"))?;
        }
        Ok(())
    });
    host.case("from a neighbour", || {
        for address in ["198.51.100.1", "[2001:db8::1]", &gateway] {
            p2.inside(&format!("wget -T 5 -q -O - http://{address}:8080/ | grep -x first"))?;
        }
        Ok(())
    });
    host.case("nothing else of the host's is reached by it", || {
        host.fails(&world("198.51.100.1:8081"))?;
        // The host's loopback addresses stay the host's.
        host.ok("busybox httpd -p 127.0.0.1:7000 -h /srv")?;
        p2.inside(&format!("ip route add 127.0.0.1/32 via {gateway} table local 2>/dev/null; wget -T 1 -q -O - http://127.0.0.1:7000/others.nft && exit 1 || true")).map(drop)
    });
    host.case("a port that is taken", || {
        p2.stop()?;
        for (port, words) in [
            ("8080:80", "p2.conf:2: Port=: tcp port 8080 of the host leads into container 'p1' already"),
            ("udp:5353", "udp port 5353 of the host leads into container 'p1' already"),
            ("7000", "a program of the host uses tcp port 7000"),
            ("0", "p2.conf:2:6: Port=: '0' is not a port from 1 to 65535"),
        ] {
            p2.define(&format!("[Network]\nPort={port}\n"))?;
            host.run("systemctl reset-failed container@p2")?;
            host.fails("systemctl start container@p2")?;
            let status = p2.property("StatusText")?;
            ensure!(status.contains(words), "{status}");
            p2.is_gone()?;
        }
        Ok(())
    });
    host.case("somebody else's rules are as they were", || {
        let now = host.ok("nft list table ip filter; nft list table inet firewalld")?;
        let plain = |text: &str| {
            let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
            words
                .split(|word| word == "packets")
                .map(|part| part.iter().skip(3).cloned().collect::<Vec<_>>())
                .collect::<Vec<_>>()
        };
        ensure!(plain(&now) == plain(&others), "before\n{others}\nafter\n{now}");
        Ok(())
    });
    host.case("a policy that drops what is forwarded is told", || {
        host.fails("containerctl check | grep 'dropped by'")?;
        host.ok("nft chain ip filter FORWARD '{ policy drop; }'")?;
        host.fails(&world("198.51.100.1:8080"))?;
        host.ok("containerctl check | grep -F 'dropped by ip filter FORWARD'")?;
        host.ok("nft add rule ip filter DOCKER-USER iifname ctl0 accept && nft insert rule ip filter DOCKER-USER oifname ctl0 accept &&
            nft insert rule ip filter DOCKER-USER iifname ctl0 accept")?;
        host.ok(&world("198.51.100.1:8080"))?;
        host.ok("nft chain ip filter FORWARD '{ policy accept; }'").map(drop)
    });
    host.case("a start leaves alone what all have in common, and makes anew what an older version left", || {
        // Handles are given once.
        let common = "nft -a list ruleset | sed -n '/^table .* containerctl/,/^}/p' | grep 'base [0-9a-f]*'";
        let before = host.ok(common)?;
        ensure!(before.lines().count() == 34, "{before}");
        p2.define("")?;
        p2.start()?;
        p2.stop()?;
        ensure!(host.ok(common)? == before, "{}", host.ok(common)?);
        // Who is isolated costs everybody something.
        for family in ["bridge", "inet"] {
            host.fails(&format!("nft list chain {family} containerctl forward"))?;
        }
        host.ok("nft flush chain inet containerctl postrouting; nft 'add rule inet containerctl postrouting accept comment \"base 0\"'")?;
        p2.start()?;
        let after = host.ok(common)?;
        ensure!(after != before && after.lines().count() == before.lines().count() && !after.contains("base 0"), "{after}");
        p2.stop()
    });
    host.case("stopped, it leads nowhere, and started, there again", || {
        p1.stop()?;
        host.fails("nft list ruleset | grep 8080")?;
        host.fails(&world("198.51.100.1:8080"))?;
        p1.start()?;
        serve(&p1, "first")?;
        host.ok(&world("198.51.100.1:8080")).map(drop)
    });
    host.case("killed with its supervisor, too", || {
        host.ok("kill -9 $(systemctl show --value -p MainPID container@p1) $(machinectl show --value -p Leader p1)")?;
        // Who came first of systemd and the kernel decides whether it is started again.
        host.ok("sleep 1; systemctl stop container@p1")?;
        host.wait_until(SOON, "! nft list ruleset | grep 8080")
    });
    host.finish()
}
