//! The managed network beyond what comes by itself: an address of one's choice, a container's own port, names by TCP.

use std::fs;

use crate::container::{Container, SOON};
use crate::harness::Result;

/// Asks for a name by TCP or UDP, and says how many answers there were and whether there is more; then whether many
/// clients of one address are let in.
const ASK: &str = r#"import socket, struct, sys, time
how, server, name = sys.argv[1:4]
kind = int(sys.argv[4]) if len(sys.argv) > 4 else 1
q = struct.pack('>6H', 7, 0x100, 1, 0, 0, 0) + b''.join(bytes([len(l)]) + l.encode() for l in name.split('.')) + struct.pack('>BHH', 0, kind, 1)
def whole(s):
    n = struct.unpack('>H', s.recv(2, socket.MSG_WAITALL))[0]
    return s.recv(n, socket.MSG_WAITALL)
if how == 'udp':
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(5); s.sendto(q, (server, 53)); a = s.recv(4096)
else:
    s = socket.create_connection((server, 53), 5); s.sendall(struct.pack('>H', len(q)) + q); a = whole(s)
    s.sendall(struct.pack('>H', len(q)) + q); assert whole(s) == a
print(struct.unpack('>H', a[6:8])[0], 'cut' if a[2] & 2 else 'whole', 'code', a[3] & 15)
if how == 'crowd':
    s.close(); many = [socket.create_connection((server, 53), 5) for i in range(20)]
    def open_(s):
        s.setblocking(False)
        try: return s.recv(1) != b''
        except BlockingIOError: return True
        except ConnectionError: return False
    time.sleep(1)
    print(sum(open_(s) for s in many))
"#;

/// A name server beyond the host that has 60 addresses for any name, by TCP, and by UDP says so.
const SERVER: &str = r#"import socket, struct, threading
def answer(q, n, flags): return q[:2] + struct.pack('>5H', 0x8180 | flags, 1, n, 0, 0) + q[12:] + b''.join(b'\xc0\x0c' + struct.pack('>HHIH4B', 1, 1, 1, 4, 198, 51, 100, i) for i in range(n))
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(('127.0.0.9', 53))
t = socket.create_server(('127.0.0.9', 53))
def udp():
    while True:
        q, a = u.recvfrom(4096); u.sendto(answer(q, 0, 0x200), a)
threading.Thread(target=udp, daemon=True).start()
while True:
    s, a = t.accept(); n = struct.unpack('>H', s.recv(2))[0]; r = answer(s.recv(n), 60, 0); s.sendall(struct.pack('>H', len(r)) + r); s.close()
"#;

#[test]
fn the_managed_network_gives_what_is_chosen() -> Result<()> {
    let host = boot!();
    let p1 = Container::busybox(&host, "p1")?;
    let p2 = Container::busybox(&host, "p2")?;
    p1.start()?;
    let gateway = host.ok("ip -4 -o addr show dev ctl0 | sed 's/.*inet //; s,/.*,,'")?.trim().to_owned();
    let net = gateway.rsplit_once('.').map(|(net, _)| net.to_owned()).unwrap_or_default();
    let (a, b, c) = {
        let mut parts = net.split('.').map(|part| part.parse::<u32>().unwrap_or_default());
        (parts.next().unwrap_or_default(), parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
    };
    let chosen = format!("{a}.{b}.{}.9", c + 2);
    host.case("an address of one's choice", || {
        p2.define(&format!("[Interface eth0]\nAddress={chosen}\n"))?;
        p2.start()?;
        p2.inside(&format!(
            "ip -4 addr show dev eth0 | grep 'inet {chosen}/22' && ping -c 1 -W 5 {gateway}"
        ))?;
        host.ok(&format!("grep '^lease p2 eth0 .* {chosen}$' /var/lib/containerctl/.network"))?;
        p1.inside(&format!("ping -c 1 -W 5 {chosen}"))?;
        let found = host.ok("getent ahostsv4 p2")?;
        ensure!(found.contains(&chosen), "{found}");
        p2.stop()
    });
    let taken = host.ok("sed -n 's/^lease p1 eth0 .* //p' /var/lib/containerctl/.network")?.trim().to_owned();
    for (address, words) in [
        (taken.clone(), format!("Address=: {taken} is that of 'eth0' in container 'p1'")),
        (gateway.clone(), format!("Address=: {gateway} is the host's own")),
        (format!("{net}.20"), "is left to who asks by DHCP".to_string()),
        ("192.0.2.1".to_string(), format!("192.0.2.1 is no address in {gateway}/22")),
        ("fd00::9/64".to_string(), "IPv6 addresses follow from MAC addresses".to_string()),
    ] {
        host.case(&format!("but not {address}"), || {
            p2.define(&format!("[Interface eth0]\nAddress={address}\n"))?;
            let refused = host.fails("containerctl start p2")?;
            let told = refused.stderr.contains("p2.conf:2") && refused.stderr.contains(&words);
            ensure!(told && [75, 78].contains(&refused.code), "{refused}");
            host.run("systemctl reset-failed container@p2")?;
            p2.is_gone()
        });
    }
    host.case("a container reaches itself by the host's port, bridged packets filtered or not", || {
        host.ok("ip addr add 198.51.100.1/24 dev lo; ip addr add 2001:db8::1/64 dev lo nodad")?;
        p1.inside("mkdir -p /www && echo first >/www/index.html && httpd -p 80 -h /www")?;
        let told = host.ok("containerctl port add p1 8080:80")?;
        ensure!(told.contains("only those of IPv4"), "{told}");
        let reaches = || -> Result<()> {
            for address in ["198.51.100.1", "[2001:db8::1]", &gateway] {
                p1.inside(&format!("wget -T 5 -q -O - http://{address}:8080/ | grep -x first"))?;
            }
            Ok(())
        };
        reaches()?;
        let path = "/proc/sys/net/bridge/bridge-nf-call";
        for value in ["0", "1"] {
            if host.run(&format!("echo {value} >{path}-iptables && echo {value} >{path}-ip6tables"))?.code
                == 0
            {
                host.ok("containerctl port add p1 8080:80")?;
                reaches()?;
            }
        }
        host.fails("busybox wget -T 2 -q -O - http://[::1]:8080/")?;
        host.ok("containerctl port remove p1 8080").map(drop)
    });
    fs::write(host.path("/srv/ask.py")?, ASK)?;
    fs::write(host.path("/srv/server.py")?, SERVER)?;
    let ask = |how: &str, name: &str| {
        host.ok(&format!("nsenter -t {} -n python3 /srv/ask.py {how} {gateway} {name}", p1.leader()?))
    };
    host.case("names by TCP, question after question", || {
        host.wait_until(SOON, "systemctl is-active containerctl-names")?;
        for how in ["udp", "tcp"] {
            ensure!(ask(how, "p1")?.trim() == "1 whole code 0", "{how}: {}", ask(how, "p1")?);
            ensure!(ask(how, "nosuch")?.trim() == "0 whole code 3", "{how}: {}", ask(how, "nosuch")?);
        }
        Ok(())
    });
    host.case("what does not fit is passed on by TCP", || {
        host.ok("rm -f /etc/resolv.conf; echo nameserver 127.0.0.9 >/etc/resolv.conf; systemd-run -q --unit=upstream python3 /srv/server.py")?;
        host.wait_until(SOON, "ss -ltn | grep 127.0.0.9:53")?;
        ensure!(ask("udp", "debian.org")?.trim() == "0 cut code 0", "{}", ask("udp", "debian.org")?);
        ensure!(ask("tcp", "debian.org")?.trim() == "60 whole code 0", "{}", ask("tcp", "debian.org")?);
        host.ok("systemctl stop upstream").map(drop)
    });
    host.case("a crowd of one address is not let in, and nobody else suffers", || {
        let told = ask("crowd", "p1")?;
        ensure!(told.lines().nth(1) == Some("8"), "{told}");
        ensure!(ask("tcp", "p1")?.trim() == "1 whole code 0", "{}", ask("tcp", "p1")?);
        Ok(())
    });
    host.finish()
}
