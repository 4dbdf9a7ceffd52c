//! The harness itself: what every other host test relies on.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::harness::{Host, Result};

/// A busybox tree in the host that systemd-nspawn boots, with an init that ends on request.
const BUSYBOX_ROOT: &str = "set -e; root=/var/lib/machines/bb
    mkdir -p $root/bin $root/sbin $root/etc $root/proc $root/sys $root/dev $root/run $root/tmp $root/usr
    cp /bin/busybox $root/bin/
    chroot $root /bin/busybox --install -s /bin
    ln -s /bin/busybox $root/sbin/init
    echo 'ID=busybox' >$root/etc/os-release
    printf '%s\\n' '::sysinit:/bin/true' '::respawn:/bin/sleep 1000' >$root/etc/inittab";

#[test]
fn a_host_is_a_systemd_machine() -> Result<()> {
    let host = boot!();
    host.case("it runs", || {
        let state = host.ok("systemctl is-system-running")?;
        ensure!(state.trim() == "running", "state is '{state}': {}", host.ok("systemctl --failed")?);
        Ok(())
    });
    host.case("the product is installed", || {
        host.ok("test -x /usr/bin/containerctl && test -x /usr/lib/systemd/system-generators/containerctl-generator")?;
        Ok(())
    });
    host.case("machined answers", || {
        let machines = host.ok("machinectl list")?;
        ensure!(machines.contains("No machines"), "machines: {machines}");
        Ok(())
    });
    host.case("commands keep their exit code and their output", || {
        let output = host.run("echo out; echo err >&2; exit 7")?;
        ensure!(output.code == 7 && output.stdout == "out\n" && output.stderr == "err\n", "{output}");
        host.fails("false")?;
        Ok(())
    });
    host.case("a command that hangs is ended", || {
        ensure!(host.run_within(Duration::from_secs(1), "sleep 77 & wait").is_err(), "it was not");
        host.fails("pgrep -fx 'sleep 77'")?;
        Ok(())
    });
    host.case("a background child holds nobody up", || {
        host.run_within(Duration::from_secs(5), "setsid sleep 78 & true").map(drop)
    });
    host.case("a systemd-nspawn container with user namespace runs", || {
        host.ok(BUSYBOX_ROOT)?;
        host.ok("systemctl start systemd-nspawn@bb")?;
        host.wait_until(Duration::from_secs(10), "machinectl --value -p State show bb | grep -x running")?;
        let leader = host.ok("machinectl --value -p Leader show bb")?;
        let map = host.ok(&format!("cat /proc/{}/uid_map", leader.trim()))?;
        ensure!(!map.trim_start().starts_with("0          0"), "no user namespace: {map}");
        host.ok("machinectl terminate bb")?;
        Ok(())
    });
    host.case("idmapped mounts work where containers live", || {
        host.ok("mkdir -p /var/lib/containerctl/probe /run/probe &&
            mount --bind -o X-mount.idmap=b:0:100000:65536 /var/lib/containerctl/probe /run/probe && umount /run/probe")?;
        Ok(())
    });
    host.case("its files are seen from outside", || {
        host.ok("echo inside >/run/seen")?;
        ensure!(fs::read_to_string(host.path("/run/seen")?)? == "inside\n", "other content");
        Ok(())
    });
    host.finish()
}

#[test]
fn a_reboot_keeps_the_disk() -> Result<()> {
    let host = boot!();
    let boot_id = host.ok("cat /proc/sys/kernel/random/boot_id")?;
    host.ok("echo kept >/etc/kept; mkdir /var/lib/kept; touch /run/lost; cp /etc/machine-id /etc/machine-id.before")?;
    host.reboot()?;
    host.case("/etc and /var stay", || host.ok("grep -x kept /etc/kept && test -d /var/lib/kept").map(drop));
    host.case("/run is new", || host.ok("test ! -e /run/lost").map(drop));
    host.case("it is the same machine", || host.ok("cmp /etc/machine-id /etc/machine-id.before").map(drop));
    host.case("it is another boot", || {
        ensure!(host.ok("cat /proc/sys/kernel/random/boot_id")? != boot_id, "same boot id");
        ensure!(
            host.ok("journalctl --list-boots -o json | jq length")?.trim() == "2",
            "not two boots in the journal"
        );
        Ok(())
    });
    host.finish()
}

#[test]
fn nothing_is_left_of_a_host() -> Result<()> {
    let host = boot!();
    host.ok("setsid sleep 1000 >/dev/null 2>&1 & mount -t tmpfs testbed-left /mnt; systemd-run sleep 1000")?;
    let name = host.name().to_owned();
    let dir = host.dir().to_owned();
    let cgroup = fs::read_to_string(dir.join("cgroup"))?;
    let init = host.init_pid()?;
    host.finish()?;
    drop::<Host>(host);
    ensure!(!dir.exists(), "'{}' is left", dir.display());
    ensure!(!Path::new(cgroup.trim()).exists(), "cgroup '{}' is left", cgroup.trim());
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    ensure!(!mounts.contains(&name) && !mounts.contains("testbed-left"), "mounts are left: {mounts}");
    let state = fs::read_to_string(format!("/proc/{init}/stat")).unwrap_or_default();
    ensure!(state.is_empty() || state.contains(") Z "), "its init is left: {state}");
    for process in fs::read_dir("/proc")?.flatten() {
        let command = fs::read_to_string(process.path().join("cmdline")).unwrap_or_default();
        ensure!(!command.contains(&name), "process '{command}' is left");
    }
    Ok(())
}
