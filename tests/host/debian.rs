//! A guest with a systemd of its own: the other half of what the container interface promises.

use std::time::Duration;

use crate::container::Container;
use crate::harness::{Host, Result};

/// More than a boot needs here.
const BOOT: Duration = Duration::from_secs(60);

fn reaches_running(host: &Host, name: &str) -> Result<()> {
    host.wait_until(BOOT, &format!("systemctl -M {name} is-system-running | grep -x running"))
}

#[test]
fn a_debian_guest_lives_as_on_a_machine() -> Result<()> {
    let host = boot!("--guest");
    host.ok("containerctl create d1 --from-tar /srv/guests/debian.tar")?;
    let d1 = Container { host: &host, name: "d1" };
    d1.start()?;
    host.case("it reaches 'running', and no unit has failed", || {
        reaches_running(&host, "d1")?;
        let failed = host.ok("systemctl -M d1 --failed --no-legend")?;
        ensure!(failed.trim().is_empty(), "failed: {failed}");
        Ok(())
    });
    host.case("machined knows its OS", || {
        host.ok("machinectl list --no-legend | grep -E '^d1 +container +containerctl +debian +13'").map(drop)
    });
    host.case("its journal is read from the host", || {
        host.ok("journalctl -M d1 -o cat | grep -q 'Startup finished'")?;
        host.ok("journalctl -m -o json _HOSTNAME=d1 | head -n 1 | jq -e '._HOSTNAME == \"d1\"'")?;
        let id = host.ok("machinectl show -p Id --value d1")?;
        host.ok(&format!("journalctl -D /var/log/journal/{} -n 1 -q | grep .", id.trim())).map(drop)
    });
    host.case("SEC-28: its journal is a directory of the host's, which is nobody's there", || {
        let id = host.ok("machinectl show -p Id --value d1")?;
        let (id, base) = (id.trim(), host.ok("cut -d: -f2 /var/lib/containerctl/.ids")?);
        let link = host.ok(&format!("readlink /var/log/journal/{id}"))?;
        ensure!(link.trim() == "/var/lib/containerctl/d1/journal", "a link to {link}");
        let owner = host.ok(&format!("stat -c %u {}", link.trim()))?;
        ensure!(owner == base, "the directory is of {owner}, root of the container is {base}");
        let mount = d1.inside(&format!("grep ' /var/log/journal/{id} ' /proc/self/mountinfo"))?;
        ensure!(["nosuid", "nodev", "noexec"].iter().all(|flag| mount.contains(flag)), "{mount}");
        // A hostile guest turns its directory into a link: nothing on the host goes through it.
        d1.inside("umount /var/log/journal/* 2>/dev/null; mv /var/log/journal /var/log/kept; ln -s /etc /var/log/journal; true")?;
        host.ok(&format!("test -d /var/log/journal/{id}/. && ! test -e /var/log/journal/{id}/passwd"))?;
        d1.inside("test -L /var/log/journal && rm /var/log/journal && mv /var/log/kept /var/log/journal; true").map(drop)
    });
    host.case("its boot is on the console, as text", || {
        // Of what comes after the login prompt systemd writes nothing on a console that is in use.
        d1.says("Reached target basic.target")?;
        host.fails("journalctl CONTAINER_NAME=d1 -o export | grep -P '\\x1b'").map(drop)
    });
    host.case("its status reaches the unit's", || {
        host.wait_until(
            Duration::from_secs(10),
            &format!("systemctl show -p StatusText {} | grep 'Container running: '", d1.unit()),
        )
    });
    host.case("machinectl shell runs commands in it", || {
        let output = host.run("script -qec \"machinectl shell d1 /bin/sh -c 'echo shell-of; cat /proc/sys/kernel/hostname'\" /dev/null")?;
        ensure!(output.stdout.contains("shell-of\r\nd1"), "{output}");
        Ok(())
    });
    host.case("systemd-run -M runs services in it", || {
        ensure!(
            host.ok("systemd-run -q -M d1 --pipe cat /proc/sys/kernel/hostname")?.trim() == "d1",
            "other host name"
        );
        host.ok(
            "systemd-run -q -M d1 --wait -p PrivateTmp=yes -p ProtectSystem=strict -p DynamicUser=yes true",
        )
        .map(drop)
    });
    host.case("machinectl reboot restarts it", || {
        let leader = d1.leader()?;
        host.ok("machinectl reboot d1")?;
        host.wait_until(BOOT, &format!("l=$(machinectl show -p Leader --value d1) && test $l -ne {leader}"))?;
        reaches_running(&host, "d1")
    });
    host.case("a reboot is seen even after adoption", || {
        let leader = d1.leader()?;
        host.ok("systemctl kill -s KILL --kill-whom=main container@d1; sleep 0.5")?;
        host.wait_until(BOOT, "systemctl is-active container@d1")?;
        ensure!(d1.leader()? == leader, "the leader changed");
        host.ok("machinectl reboot d1")?;
        host.wait_until(BOOT, &format!("l=$(machinectl show -p Leader --value d1) && test $l -ne {leader}"))?;
        reaches_running(&host, "d1")
    });
    host.case("stop lets it shut down, and its journal says so", || {
        d1.stop()?;
        ensure!(d1.property("Result")? == "success", "result {}", d1.property("Result")?);
        let journal = host.ok("journalctl -D /var/lib/containerctl/d1/journal -o cat -n 100")?;
        ensure!(journal.contains("Reached target") && journal.contains("Power Off"), "{journal}");
        ensure!(journal.contains("Journal stopped"), "{journal}");
        d1.is_gone()
    });
    host.case("stopped while it boots it shuts down, too", || {
        for millis in [0, 100, 300, 600] {
            host.ok(&format!("systemctl start container@d1; sleep {}", f64::from(millis) / 1000.0))?;
            d1.stop()?;
            ensure!(d1.property("Result")? == "success", "after {millis} ms: {}", d1.property("Result")?);
            d1.is_gone()?;
        }
        Ok(())
    });
    host.case("machinectl poweroff ends it as success", || {
        d1.start()?;
        reaches_running(&host, "d1")?;
        host.ok("machinectl poweroff d1")?;
        host.wait_until(BOOT, "systemctl show -p ActiveState container@d1 | grep -x ActiveState=inactive")?;
        ensure!(d1.property("Result")? == "success", "result {}", d1.property("Result")?);
        d1.is_gone()
    });
    host.case("with NotifyReady=yes the unit is up when the guest is", || {
        d1.define("[Exec]\nNotifyReady=yes\n")?;
        d1.start()?;
        let state = host.run("systemctl -M d1 is-system-running")?.stdout;
        ensure!(state.trim() == "running", "guest is '{state}' when its unit is up");
        d1.stop()?;
        d1.is_gone()
    });
    host.case("destroy removes its journal and the link to it, too", || {
        host.ok("containerctl destroy d1")?;
        host.fails("find /var/log/journal -type l | grep .").map(drop)
    });
    host.finish()
}

#[test]
fn the_debian_template_works_offline() -> Result<()> {
    let host = boot!("--mirror");
    host.case("mmdebstrap builds it from a mirror, with more packages", || {
        let output = host.run_within(
            Duration::from_secs(150),
            "containerctl create d1 --template debian --packages hello --mirror 'deb [trusted=yes] copy:/srv/mirror trixie main'",
        )?;
        ensure!(output.code == 0, "{output}");
        host.ok("containerctl start d1")?;
        reaches_running(&host, "d1")?;
        ensure!(host.ok("systemd-run -q -M d1 --pipe hello")?.contains("Hello"), "no hello");
        host.ok("containerctl stop d1 && containerctl destroy d1").map(drop)
    });
    host.case("a mirror that is not there leaves nothing, and is named", || {
        let output = host.fails("containerctl create d2 --template debian --mirror 'deb [trusted=yes] copy:/srv/nowhere trixie main'")?;
        ensure!(output.code == 1 && output.stderr.contains("mmdebstrap"), "{output}");
        host.fails("ls -A /var/lib/containerctl | grep -E 'd2|partial|trash'")?;
        host.fails("ls /etc/containerctl/d2.conf").map(drop)
    });
    host.finish()
}
