//! Containers that come up with the host.

use std::time::Duration;

use crate::container::Container;
use crate::harness::Result;

#[test]
fn containers_come_up_with_the_host() -> Result<()> {
    let host = boot!();
    let names = ["by-systemctl", "by-us", "by-definition", "by-hand"];
    for name in names {
        Container::busybox(&host, name)?;
    }
    host.ok("systemctl enable container@by-systemctl && systemctl enable machines.target && containerctl enable by-us")?;
    Container { host: &host, name: "by-definition" }.define("[Install]\nWantedBy=machines.target\n")?;
    host.case("info tells who is enabled", || {
        host.ok("containerctl info by-us --json | jq -e .autostart")?;
        host.ok("containerctl info by-hand --json | jq -e '.autostart | not'").map(drop)
    });
    host.reboot()?;
    for name in &names[..3] {
        host.case(&format!("{name} is up after the boot"), || {
            let container = Container { host: &host, name };
            host.wait_until(Duration::from_secs(20), &format!("systemctl is-active {}", container.unit()))?;
            host.ok(&format!("machinectl list --no-legend | grep '^{name} '"))?;
            ensure!(container.property("NRestarts")? == "0", "restarts {}", container.property("NRestarts")?);
            container.says(&format!("{name} is up"))
        });
    }
    host.case("by-hand is not, and starts", || {
        let container = Container { host: &host, name: "by-hand" };
        ensure!(
            container.property("ActiveState")? == "inactive",
            "it is {}",
            container.property("ActiveState")?
        );
        host.ok("machinectl start by-hand")?;
        ensure!(
            container.property("ActiveState")? == "active",
            "it is {}",
            container.property("ActiveState")?
        );
        Ok(())
    });
    host.case("machines.target pulled them in, and is reached after them", || {
        let wants = host.ok("systemctl show -p Wants --value machines.target")?;
        for name in &names[..3] {
            ensure!(wants.contains(&format!("container@{name}.service")), "wants {wants}");
        }
        host.wait_until(Duration::from_secs(20), "systemctl is-active machines.target")?;
        host.ok("systemctl show -p After --value machines.target | grep -q container@by-us.service").map(drop)
    });
    host.case("machinectl knows all images again", || {
        for name in names {
            host.ok(&format!("test $(readlink /run/machines/{name}) = /var/lib/containerctl/{name}/rootfs"))?;
        }
        Ok(())
    });
    host.case("ids stay the same over a boot", || {
        let container = Container { host: &host, name: "by-us" };
        let before = host.ok(&format!("cat /proc/{}/uid_map", container.leader()?))?;
        host.reboot()?;
        host.wait_until(Duration::from_secs(20), "systemctl is-active container@by-us")?;
        let after = host.ok(&format!("cat /proc/{}/uid_map", container.leader()?))?;
        ensure!(before == after, "before {before}, after {after}");
        Ok(())
    });
    host.case("disabled ones stay down", || {
        host.ok("systemctl disable container@by-systemctl && containerctl disable by-us")?;
        Container { host: &host, name: "by-definition" }.define("")?;
        host.reboot()?;
        host.wait_until(Duration::from_secs(20), "systemctl is-active machines.target")?;
        for name in names {
            let state = Container { host: &host, name }.property("ActiveState")?;
            ensure!(state == "inactive", "'{name}' is {state}");
        }
        Ok(())
    });
    host.case("restarting machines.target restarts what runs", || {
        let container = Container { host: &host, name: "by-us" };
        container.start()?;
        host.ok("systemctl stop machines.target")?;
        container.becomes("inactive")?;
        container.is_gone()
    });
    host.finish()
}
