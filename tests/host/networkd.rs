//! A guest that looks after its links itself: systemd-networkd inside, as Debian's and other images have it.

use std::time::Duration;

use crate::container::{Container, SOON};
use crate::harness::Result;

/// More than a boot needs here.
const BOOT: Duration = Duration::from_secs(60);

#[test]
fn networkd_in_a_guest_agrees_with_what_was_set_from_outside() -> Result<()> {
    let host = boot!("--guest");
    host.ok("containerctl create d1 --from-tar /srv/guests/debian.tar")?;
    let d1 = Container { host: &host, name: "d1" };
    let neighbour = Container::busybox(&host, "neighbour")?;
    neighbour.start()?;
    // One that an image brings along is left alone; this one is of the machine that the image was made on.
    host.ok(&format!("rm -f {}/etc/resolv.conf", d1.root()))?;
    host.ok(&format!("systemctl --root={} enable systemd-networkd 2>&1", d1.root()))?;
    d1.start()?;
    let address = || host.ok("containerctl info d1 --json | jq -r '.addresses[]' | grep '^10[.]'");
    let before = address()?;
    host.case("it configures the link, by the file that systemd ships for containers", || {
        host.wait_until(BOOT, "systemctl -M d1 is-active systemd-networkd")?;
        let status = "containerctl attach d1 -- networkctl status eth0";
        host.wait_until(BOOT, &format!("{status} | grep -E 'State: routable .configured'"))?;
        host.ok(&format!("{status} | grep 80-container-host0.network")).map(drop)
    });
    host.case("by DHCP it is given the address that it has, and no other", || {
        let theirs = "containerctl attach d1 -- networkctl status eth0 | grep -oE '10[.][0-9.]+ .DHCPv4'";
        host.wait_until(SOON, theirs)?;
        let given = host.ok(theirs)?;
        ensure!(given.trim() == format!("{} (DHCPv4", before.trim()), "{given}, not {before}");
        ensure!(address()? == before, "info shows another address than {before}");
        Ok(())
    });
    host.case("it reaches its neighbour by name, and the neighbour reaches it", || {
        host.wait_until(SOON, "containerctl attach d1 -- getent hosts neighbour")?;
        neighbour.inside(&format!("ping -c 1 -W 5 {}", before.trim()))?;
        neighbour.inside("ping -c 1 -W 5 d1").map(drop)
    });
    host.case("a restart of networkd inside changes nothing", || {
        host.ok("systemctl -M d1 restart systemd-networkd")?;
        host.wait_until(BOOT, "containerctl attach d1 -- networkctl status eth0 | grep 'State: routable'")?;
        ensure!(address()? == before, "another address than {before}");
        neighbour.inside(&format!("ping -c 1 -W 5 {}", before.trim())).map(drop)
    });
    d1.stop()?;
    d1.is_gone()?;
    neighbour.stop()?;
    host.finish()
}
