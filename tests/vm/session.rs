//! The first session on a stock server, with nothing prepared, and what the machine itself promises.

use std::time::Duration;

use crate::container::{self, NO_LINK};
use crate::harness::{Result, rounds};

/// Limit for what takes a moment outside.
const SOON: Duration = Duration::from_secs(60);

#[test]
fn a_first_session_works_on_a_stock_server() -> Result<()> {
    let machine = boot_machine!();
    machine.case("AppArmor is on, networkd is not enabled, nothing has failed", || {
        machine.ok("grep -qx Y /sys/module/apparmor/parameters/enabled")?;
        machine.fails("systemctl is-enabled --quiet systemd-networkd")?;
        let failed = machine.ok("systemctl --failed --no-legend --plain")?;
        ensure!(failed.is_empty(), "{failed}");
        Ok(())
    });
    machine.case("a busybox container is created, started, listed, entered, stopped and destroyed", || {
        machine.ok("containerctl create p1 --template busybox")?;
        machine.ok("systemctl start container@p1")?;
        let list = machine.ok("containerctl list")?;
        ensure!(list.contains("p1") && list.contains("running"), "{list}");
        machine.ok("machinectl list --no-legend | grep -w p1")?;
        ensure!(machine.ok("containerctl attach p1 -- hostname")?.trim() == "p1", "the wrong host name");
        machine.wait_until(SOON, "containerctl attach p1 -- ip -4 route | grep '^default via'")?;
        machine.ok("systemctl stop container@p1")?;
        machine.fails("machinectl show p1")?;
        machine.ok("containerctl destroy p1 && ! test -e /var/lib/containerctl/p1").map(drop)
    });
    machine.case("a Debian with systemd comes up with no failed unit", || {
        machine.ok("containerctl create d1 --from-tar /srv/guests/debian.tar")?;
        machine.ok("systemctl start container@d1")?;
        container::await_boot(&machine, "d1", "running")?;
        machine.ok("containerctl stop d1")?;
        machine.ok("containerctl destroy d1").map(drop)
    });
    machine.case("a container whose start failed is destroyed without a trace", || {
        machine.ok("containerctl create p1 --template busybox")?;
        container::define(&machine, "p1", "[Network]\nBridge=nosuch\n")?;
        machine.fails("systemctl start container@p1")?;
        machine.ok("systemctl is-failed container@p1 && containerctl destroy p1")?;
        let failed = machine.ok("systemctl --failed --no-legend --plain")?;
        ensure!(failed.is_empty(), "{failed}");
        Ok(())
    });
    machine.finish()
}

#[test]
fn a_machine_reboots_and_survives_a_power_cut() -> Result<()> {
    let machine = boot_machine!();
    machine.case("an enabled container is up after a reboot", || {
        machine.ok("containerctl create p1 --template busybox")?;
        container::define(&machine, "p1", NO_LINK)?;
        machine.ok("systemctl enable --quiet --now container@p1")?;
        machine.reboot()?;
        machine.ok("systemctl is-active container@p1 && containerctl attach p1 -- true").map(drop)
    });
    for round in 0..rounds("power cuts", 1, 10) {
        machine.case(&format!("and after power cut {round}"), || {
            machine.ok("touch /var/lib/containerctl/p1/rootfs/kept && sync")?;
            machine.cut()?;
            machine.start()?;
            machine
                .ok("systemctl is-active container@p1 && containerctl attach p1 -- test -e /kept")
                .map(drop)
        });
    }
    machine.finish()
}
