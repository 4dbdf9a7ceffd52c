//! Guests whose init is not systemd.

use std::time::Duration;

use crate::container::Container;
use crate::harness::{Host, Result};

/// More than a boot needs here.
const BOOT: Duration = Duration::from_secs(60);

/// Waits until OpenRC has reached its default run level, which System V's init has it do.
fn reaches_default(host: &Host, container: &Container) -> Result<()> {
    host.wait_until(
        BOOT,
        &format!(
            "l=$(machinectl show -p Leader --value {}) && nsenter -t $l -a -r -w sh -c \
             'rc-status -r | grep -x default && ! rc-status default | grep -v -e started -e Runlevel' >&2",
            container.name
        ),
    )
}

#[test]
fn a_debian_with_sysvinit_and_openrc_lives_as_on_a_machine() -> Result<()> {
    let host = boot!("--rc-guest");
    host.ok("containerctl create g1 --from-tar /srv/guests/openrc.tar")?;
    let g1 = Container { host: &host, name: "g1" };
    host.case("its own init is run, whatever else is installed", || {
        g1.start()?;
        ensure!(g1.inside("cat /proc/1/comm")?.trim() == "init", "another init");
        host.ok("containerctl plan g1 | grep -x 'run: /usr/sbin/init'").map(drop)
    });
    host.case("it boots to its default run level, and no service has failed", || {
        reaches_default(&host, &g1)?;
        let services = g1.inside("rc-status -a; rc-status --crashed || true")?;
        ensure!(!services.contains("crashed") && services.contains("cron"), "{services}");
        g1.inside("pgrep -x cron").map(drop)
    });
    host.case("what it says reaches the journal", || g1.says("OpenRC"));
    host.case("mount(8) remounts what is the container's own", || {
        host.ok("containerctl attach g1 -- mount -o remount,hidepid=invisible /proc")?;
        g1.inside("grep ' /proc proc.*hidepid=invisible' /proc/mounts")?;
        host.fails("containerctl attach g1 -- mount -o remount,rw /sys")?;
        host.fails("containerctl attach g1 -- mount -o remount,rw,bind /proc/sys").map(drop)
    });
    host.case("it is held as promised", || host.ok("containerctl audit g1").map(drop));
    host.case("a reboot inside starts it again", || {
        let leader = g1.leader()?;
        g1.inside("reboot")?;
        host.wait_until(BOOT, &format!("l=$(machinectl show -p Leader --value g1) && test $l -ne {leader}"))?;
        reaches_default(&host, &g1)
    });
    host.case("a stop lets it shut down", || {
        g1.stop()?;
        ensure!(g1.property("Result")? == "success", "result {}", g1.property("Result")?);
        g1.says("Will now halt")?;
        g1.is_gone()
    });
    host.case("so does one after its supervisor was killed, by SIGPWR where no init listens", || {
        g1.start()?;
        reaches_default(&host, &g1)?;
        g1.inside(
            "sed -i '/^pf:/d' /etc/inittab; echo 'pf::powerwait:/sbin/init 0' >>/etc/inittab
             kill -HUP 1; sleep 1; rm /run/initctl; mkfifo /run/initctl",
        )?;
        host.ok("systemctl kill -s KILL --kill-whom=main container@g1; sleep 0.5")?;
        host.wait_until(BOOT, "systemctl is-active container@g1")?;
        g1.stop()?;
        ensure!(g1.property("Result")? == "success", "result {}", g1.property("Result")?);
        g1.is_gone()
    });
    host.case("a power-off inside ends it as success", || {
        g1.start()?;
        reaches_default(&host, &g1)?;
        g1.inside("poweroff")?;
        g1.becomes("inactive")?;
        ensure!(g1.property("Result")? == "success", "result {}", g1.property("Result")?);
        g1.is_gone()
    });
    host.finish()
}
