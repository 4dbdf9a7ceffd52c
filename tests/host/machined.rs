//! What machinectl's users are used to, and what systemd does not let through.

use std::time::Duration;

use crate::container::{Container, SOON};
use crate::harness::Result;

/// More than a boot needs here.
const BOOT: Duration = Duration::from_secs(60);

#[test]
fn machinectl_and_its_friends_know_a_container() -> Result<()> {
    let host = boot!("--guest");
    host.ok("containerctl create d1 --from-tar /srv/guests/debian.tar")?;
    let d1 = Container { host: &host, name: "d1" };
    host.case("one that does not run is an image, and is started by its name", || {
        host.ok("machinectl list-images --no-legend | grep -E '^d1 +directory +no '")?;
        let shown = host.ok("machinectl image-status d1")?;
        ensure!(shown.contains("Debian GNU/Linux 13") && shown.contains("writable"), "{shown}");
        host.ok("machinectl show-image d1 -p Path --value | grep -x /run/machines/d1")?;
        host.ok("machinectl start d1")?;
        host.wait_until(BOOT, "systemctl -M d1 is-system-running | grep -x running")
    });
    host.case("one that runs is a machine with unit, leader, addresses, ids and system", || {
        let status = host.ok("machinectl status d1 --no-pager")?;
        for part in ["Unit: machine-d1.scope", "Iface: vb-d1", "OS: Debian GNU/Linux 13", "UID Shift: "] {
            ensure!(status.contains(part), "no '{part}' in {status}");
        }
        host.ok("machinectl show d1 -p State --value | grep -x running").map(drop)
    });
    host.case("getent finds its addresses", || {
        let address = host.ok("containerctl info d1 --json | jq -r '.addresses[0]'")?;
        host.ok(&format!("getent ahosts d1 | grep -F '{}'", address.trim()))?;
        host.ok("getent hosts d1 | grep -w d1").map(drop)
    });
    host.case("login gives a prompt, and the session is seen from the host", || {
        let login = "(sleep 2; echo; sleep 1; printf '\\035\\035\\035') | script -qec 'machinectl login d1' /dev/null";
        let shown = host.run(login)?.stdout;
        ensure!(shown.contains("login:"), "{shown}");
        // A root shell has a session of logind's, as long as it is there.
        let shell = "timeout 10 script -qec 'machinectl shell d1 /bin/sleep 8' /dev/null >/dev/null 2>&1 &";
        host.ok(shell)?;
        host.wait_until(SOON, "loginctl -M d1 list-sessions --no-legend | grep -w root")
    });
    for (what, command) in [
        ("systemctl", "systemctl -M d1 is-active multi-user.target"),
        ("journalctl", "journalctl -M d1 -n 1 -q --no-pager | grep ."),
        ("hostnamectl", "hostnamectl -M d1 | grep 'Debian GNU/Linux 13'"),
        ("busctl", "busctl -M d1 list --no-legend | grep org.freedesktop.login1"),
        ("systemd-cgls", "systemd-cgls -M d1 --no-pager | grep init.scope"),
        ("systemd-run", "systemd-run -q -M d1 --wait --pipe true"),
    ] {
        host.case(&format!("{what} reaches in"), || host.ok(command).map(drop));
    }
    host.case("a signal goes to the leader, a file comes out", || {
        host.ok("machinectl kill d1 --kill-whom=leader --signal=SIGCONT")?;
        host.ok("machinectl copy-from d1 /etc/debian_version /tmp/version && grep '^13' /tmp/version")
            .map(drop)
    });
    host.case("what the man page says is refused is refused, and changes nothing", || {
        let refused =
            ["copy-to d1 /etc/hostname /root/f", "bind d1 /srv /mnt/srv --mkdir", "read-only d1 yes"];
        for command in refused.into_iter().chain(["set-limit d1 1G", "clone d1 d2"]) {
            host.fails(&format!("machinectl {command}"))?;
        }
        host.fails(&format!("test -e {}/root/f", d1.root()))?;
        host.ok("machinectl list-images --no-legend | wc -l | grep -x 1").map(drop)
    });
    host.case("remove takes the entry away, and nothing of the container", || {
        host.ok("machinectl remove d1")?;
        host.ok("machinectl show d1 -p State --value | grep -x running")?;
        d1.stop()?;
        host.ok(&format!("test -x {}/usr/bin/apt && containerctl images link", d1.root()))?;
        host.ok("machinectl list-images --no-legend | grep '^d1 '").map(drop)
    });
    host.case("enable and disable are those of the service", || {
        host.ok("machinectl enable d1 && systemctl is-enabled container@d1")?;
        host.ok("machinectl disable d1 && ! systemctl is-enabled container@d1").map(drop)
    });
    d1.is_gone()?;
    host.finish()
}
