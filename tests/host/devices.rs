//! Devices given to containers that run, and what their processes do: device, ps, top.

use crate::container::{Container, SOON};
use crate::harness::Result;
use crate::looking::refused;

#[test]
fn devices_are_given_and_taken_back() -> Result<()> {
    let host = boot!();
    let p1 = Container::busybox(&host, "p1")?;
    p1.start()?;
    // In the container's cgroup, whose device policy counts.
    let opens = |path: &str| host.ok(&format!("containerctl attach p1 -- /bin/sh -c 'exec 3<{path}'"));
    host.case("a device is there at once, owned by the container's root", || {
        host.ok("containerctl device add p1 /dev/fuse")?;
        ensure!(p1.inside("stat -c '%u %F' /dev/fuse")?.trim() == "0 character special file", "another node");
        opens("/dev/fuse")?;
        host.ok("containerctl device list p1 | grep -xE '/dev/fuse +rwm +-'")?;
        host.ok("systemctl daemon-reload")?;
        opens("/dev/fuse").map(drop)
    });
    host.case("one that is taken back cannot be used, by whatever name", || {
        p1.inside("ln /dev/fuse /dev/kept")?;
        host.ok("containerctl device remove p1 /dev/fuse")?;
        p1.inside("test ! -e /dev/fuse && test -e /dev/kept")?;
        ensure!(opens("/dev/kept").is_err(), "it is open");
        ensure!(opens("/dev/null").is_ok(), "the others are gone, too");
        refused(&host, "containerctl device remove p1 /dev/fuse", 66, "'p1' was not given '/dev/fuse'")
    });
    host.case("it may have another place, and fewer rights", || {
        host.ok("containerctl device add p1 /dev/net/tun /dev/a/b/tun7 --access rw")?;
        opens("/dev/a/b/tun7")?;
        host.ok(
            "containerctl device list p1 --json | jq -e '.[0] == {device: \"/dev/net/tun\", access: \"rw\"}'",
        )?;
        host.ok("containerctl device remove p1 /dev/net/tun /dev/a/b/tun7")?;
        p1.inside("test ! -e /dev/a/b/tun7").map(drop)
    });
    host.case("one that is kept is there after a restart, and gone for good when it is taken back", || {
        host.ok("containerctl device add p1 /dev/fuse --persist --access rw")?;
        host.ok("systemctl restart container@p1 && containerctl config get p1 DeviceAllow | grep -x '/dev/fuse rw'")?;
        opens("/dev/fuse")?;
        host.ok("containerctl device remove p1 /dev/fuse --persist")?;
        ensure!(opens("/dev/fuse").is_err(), "it is there still");
        p1.stop()?;
        host.ok("containerctl device add p1 /dev/fuse --persist && containerctl config get p1 DeviceAllow")?;
        host.ok("containerctl device remove p1 /dev/fuse --persist && ! containerctl config get p1 DeviceAllow 2>&1")?;
        refused(&host, "containerctl device add p1 /dev/fuse", 66, "container 'p1' is not running")?;
        p1.start()
    });
    host.case("mistakes are told and change nothing", || {
        host.ok("mknod /root/null c 1 3; ln -sfn /dev/fuse /dev/fuselink; touch /dev/plain")?;
        for (arguments, code, words) in [
            ("p1 /dev/plain", 78, "/dev/plain: it is no device node"),
            ("p1 /dev/nowhere", 78, "/dev/nowhere: No such file or directory"),
            ("p1 /root/null", 78, "'/root/null' is not a path below /dev"),
            ("p1 /dev/fuse /etc/fuse", 78, "'/etc/fuse' is not a path below /dev"),
            ("p1 /dev/fuse /dev/../etc/fuse", 78, "is not a path below /dev"),
            ("p1 /dev/fuse --access rx", 78, "'rx' is not made of r, w and m"),
            ("p1 /dev/fuse /dev/x --persist", 78, "'/dev/fuse' cannot be kept as '/dev/x'"),
            ("nobody /dev/fuse", 66, "there is no container 'nobody'"),
        ] {
            refused(&host, &format!("containerctl device add {arguments}"), code, words)?;
        }
        host.ok("containerctl device list p1 --json | jq -e '. == []'").map(drop)
    });
    host.case("a hostile /dev gets nothing, and nothing of the host's is touched", || {
        p1.inside("ln -s /etc /dev/link; mkdir /dev/mount /dev/busy; mount --bind /etc /dev/mount; echo x >/dev/file")?;
        let add = |path: &str| format!("containerctl device add p1 /dev/fuse {path}");
        refused(&host, &add("/dev/link/fuse"), 1, "failed to make '/dev/link/fuse' in 'p1'")?;
        refused(&host, &add("/dev/mount/fuse"), 1, "failed to make '/dev/mount/fuse' in 'p1'")?;
        refused(&host, &add("/dev/file"), 75, "failed to make '/dev/file' in 'p1': File exists; choose another")?;
        refused(&host, &add("/dev/file/fuse"), 1, "failed to make '/dev/file/fuse'")?;
        host.ok("containerctl device list p1 --json | jq -e '. == []'")?;
        host.ok("containerctl device add p1 /dev/fuse")?;
        p1.inside("mount -t tmpfs none /dev && mkdir -p /dev/x && touch /dev/null")?;
        refused(&host, &add("/dev/other"), 77, "'/dev' in 'p1' is not the one it was started with")?;
        let removed = host.run("containerctl device remove p1 /dev/fuse")?;
        ensure!(removed.code == 0 && removed.stderr.contains("it can no longer be used"), "{removed}");
        p1.inside("test ! -e /etc/fuse && test ! -e /dev/other")?;
        host.ok("test ! -e /etc/fuse && containerctl device list p1 --json | jq -e '. == []'").map(drop)
    });
    host.finish()
}

/// A cable between the host and an interface that can be given away.
const CABLE: &str = "ip link add nic type veth peer name far && ip link set far up && ip link set nic up &&
    ip addr add 192.168.77.1/24 dev far";

#[test]
fn interfaces_of_the_host_are_given_and_had_back() -> Result<()> {
    let host = boot!();
    let p1 = Container::busybox(&host, "p1")?;
    let p2 = Container::busybox(&host, "p2")?;
    host.ok(CABLE)?;
    p1.start()?;
    p2.start()?;
    // What is back is as it was, but down.
    let is_back =
        || host.ok("ip link set nic up && test \"$(cat /sys/class/net/nic/ifalias)\" = ''").map(drop);
    host.case("it goes in under another name, carries traffic, and comes back under its own", || {
        host.ok("containerctl device add p1 nic lan0")?;
        host.fails("ip link show nic")?;
        host.ok("containerctl device list p1 | grep -xE 'nic +- +lan0'")?;
        host.ok("containerctl device list p1 --json | jq -e '. == [{device: \"nic\", inside: \"lan0\"}]'")?;
        p1.inside("ip link show lan0 | grep -w UP && ip addr add 192.168.77.2/24 dev lan0")?;
        p1.inside("ping -c 1 -W 5 192.168.77.1")?;
        host.ok("containerctl device remove p1 nic")?;
        is_back()?;
        p1.inside("! ip link show lan0 2>&1")?;
        host.ok("containerctl device list p1 --json | jq -e '. == []'").map(drop)
    });
    host.case("it comes back when the container ends, whatever it calls it by then", || {
        host.ok("containerctl device add p1 nic")?;
        let ip = format!("nsenter -t {} -n ip link set", p1.leader()?);
        host.ok(&format!("{ip} nic down && {ip} nic name mine && {ip} mine alias nonsense"))?;
        p1.stop()?;
        is_back()?;
        p1.start()
    });
    host.case("for good", || {
        host.ok("containerctl device add p1 nic lan0 --persist")?;
        host.ok("systemctl restart container@p1 && containerctl config get p1 Network.Interface | grep -x nic:lan0")?;
        p1.inside("ip link show lan0 && ip link show eth0")?;
        host.ok("containerctl device remove p1 nic --persist && ! containerctl config get p1 Network.Interface 2>&1")?;
        is_back()?;
        p1.stop()?;
        host.ok("containerctl device add p1 nic --persist && containerctl device remove p1 nic --persist")?;
        refused(&host, "containerctl device add p1 nic", 66, "container 'p1' is not running")?;
        p1.start()?;
        p1.inside("ip link show eth0 && ! ip link show nic 2>&1").map(drop)
    });
    host.case("mistakes are told and change nothing", || {
        // There is no radio here; where sysfs shows one, an interface is taken for wireless.
        host.ok("ip link add radio type veth peer name air && mount -t tmpfs none /sys/devices/virtual/net/radio && mkdir /sys/devices/virtual/net/radio/phy80211")?;
        for (arguments, code, words) in [
            ("add p1 nosuch", 66, "the host has no interface 'nosuch'"),
            ("add p1 lo", 78, "'lo' cannot be moved into a container: it is the loopback interface"),
            ("add p1 vb-p2", 78, "it is the host's end of a link of container 'p2'"),
            ("add p1 ctl0", 78, "it is a bridge of ours"),
            ("add p1 radio", 78, "it is wireless"),
            ("add p1 nic eth0", 75, "container 'p1' has an interface 'eth0' already"),
            ("add p1 nic lo", 75, "container 'p1' has an interface 'lo' already"),
            ("add p1 nic /dev/nic", 78, "'/dev/nic' is not the name of an interface"),
            ("add p1 nic --access rw", 78, "'nic' is a network interface"),
            ("add p1 'a b'", 78, "'a b' is not the name of an interface"),
            ("add nobody nic", 66, "there is no container 'nobody'"),
            ("remove p1 nic", 66, "'p1' was not given 'nic'"),
            ("remove p1 eth0", 66, "'p1' was not given 'eth0'"),
        ] {
            refused(&host, &format!("containerctl device {arguments}"), code, words)?;
        }
        host.ok("umount /sys/devices/virtual/net/radio && containerctl device list p1 --json | jq -e '. == []'")?;
        host.ok("ip link show nic && ip link show radio").map(drop)
    });
    host.finish()
}

#[test]
fn processes_are_listed_and_their_load_is_shown() -> Result<()> {
    let host = boot!();
    let calm = Container::busybox(&host, "calm")?;
    let busy = Container::running(&host, "busy", "while :; do :; done\n")?;
    Container::busybox(&host, "stopped")?;
    calm.start()?;
    busy.start()?;
    host.case("ps tells both numbers, the user inside and the command", || {
        let leader = calm.leader()?;
        host.ok(&format!("containerctl ps calm | grep -xE 'calm +{leader} +1 +0 +init'"))?;
        host.ok(&format!(
            "containerctl ps calm --json | jq -e 'any(.pid == {leader} and .inside == 1 and .user == 0)'"
        ))?;
        host.ok("containerctl ps | awk 'NR > 1 { print $1 }' | sort -u | xargs | grep -x 'busy calm'")?;
        refused(&host, "containerctl ps stopped", 66, "container 'stopped' is not running")?;
        refused(&host, "containerctl ps calm nobody", 66, "there is no container 'nobody'")
    });
    host.case("what a process calls itself reaches no terminal", || {
        calm.write("/etc/inittab", "::respawn:/bin/sh -c 'sleep 99; read x' evil\u{1b}[2J\n")?;
        host.ok("systemctl restart container@calm")?;
        host.wait_until(SOON, "containerctl ps calm | grep -F evil")?;
        let shown = host.ok("containerctl ps calm")?;
        ensure!(!shown.contains('\u{1b}') && shown.contains("\\u{1b}[2J"), "{shown:?}");
        Ok(())
    });
    host.case("top has the busiest first, or another order", || {
        let first = |arguments: &str| {
            host.ok(&format!("containerctl top --once -d 1 {arguments} | awk 'NR == 2 {{ print $1 }}'"))
        };
        ensure!(first("")?.trim() == "busy", "{}", first("")?);
        host.ok(
            "containerctl top --once -d 1 --json | jq -e '.[0].name == \"busy\" and .[0].cpu_percent > 10'",
        )?;
        host.ok("containerctl top --once -d 1 'c*' --json | jq -e 'map(.name) == [\"calm\"]'")?;
        let tables = host.ok("containerctl top --batch -d 1 -s name | grep --line-buffered -m 2 ^NAME")?;
        ensure!(tables.lines().count() == 2, "{tables}");
        ensure!(host.fails("containerctl top --once -s nonsense")?.code == 2, "taken");
        Ok(())
    });
    host.case("on a terminal it takes keys, and leaves the screen as it was", || {
        let shown = host.ok("(sleep 1.5; printf n; sleep 0.5; printf q; sleep 1) | timeout 10 script -qec 'containerctl top -d 1' /dev/null")?;
        ensure!(shown.contains("\u{1b}[?1049h") && shown.trim_end().ends_with("\u{1b}[?1049l"), "{shown:?}");
        ensure!(shown.contains("q quit") && shown.contains("busy"), "{shown:?}");
        Ok(())
    });
    host.finish()
}
