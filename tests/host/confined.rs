//! What holds a container, as its user can check it himself.

use crate::container::Container;
use crate::harness::Result;

#[test]
fn promises_are_kept_and_broken_ones_are_seen() -> Result<()> {
    let host = boot!();
    let p1 = Container::busybox(&host, "p1")?;
    host.case("a default container is held as promised", || {
        p1.start()?;
        host.ok("containerctl audit p1").map(drop)
    });
    host.case("an audit leaves nothing behind", || {
        let leaves = host.ok("find /sys/fs/cgroup -type d -name audit")?;
        ensure!(leaves.is_empty(), "{leaves}");
        Ok(())
    });
    host.case("a promise that is broken is named and fails", || {
        let leader = p1.leader()?;
        host.ok(&format!("nsenter -t {leader} -m mount --bind /etc/os-release /proc/kallsyms"))?;
        let told = host.fails("containerctl audit --broken p1")?;
        ensure!(told.code == 1 && told.stdout.contains("read /proc/kallsyms"), "{told:?}");
        host.ok(&format!("nsenter -t {leader} -m umount /proc/kallsyms"))?;
        host.ok("containerctl audit p1").map(drop)
    });
    host.case("a definition that has changed since promises nothing to what runs", || {
        p1.define("[Exec]\nNesting=yes\n")?;
        host.ok("containerctl audit p1").map(drop)
    });
    host.case("nesting gives what inner containers need", || {
        p1.stop()?;
        p1.start()?;
        host.ok("containerctl audit p1")?;
        p1.inside("unshare -Urmpf --mount-proc true").map(drop)
    });
    host.case("without a user namespace the rest still holds", || {
        p1.stop()?;
        p1.define("[Exec]\nPrivateUsers=no\nPrivileged=yes\n")?;
        p1.start()?;
        host.ok("containerctl audit p1").map(drop)
    });
    host.case("a stopped container is not audited", || {
        p1.stop()?;
        let told = host.fails("containerctl audit p1")?;
        ensure!(told.code == 66 && told.stderr.contains("not running"), "{told:?}");
        Ok(())
    });
    host.finish()
}

#[test]
fn devices_and_rights_are_given_as_asked() -> Result<()> {
    let host = boot!();
    let p1 = Container::defined(&host, "p1", "[Files]\nDeviceAllow=/dev/loop0 rw\n")?;
    host.case("a device of the host is there and can be opened", || {
        p1.start()?;
        p1.inside("test -b /dev/loop0 && test $(stat -c %u /dev/loop0) = 0 && : < /dev/loop0")?;
        p1.stop()
    });
    host.case("one that was not asked for is not", || {
        p1.define("")?;
        p1.start()?;
        p1.inside("test ! -e /dev/loop0")?;
        p1.stop()
    });
    host.case("one that the host lacks is refused by name", || {
        p1.define("[Files]\nDeviceAllow=/dev/nothing\n")?;
        let told = host.fails("containerctl start p1")?;
        ensure!(told.code == 78 && told.stderr.contains("/dev/nothing"), "{told:?}");
        host.ok("test ! -e /run/containerctl/p1").map(drop)
    });
    host.case("ambient capabilities reach programs that are not root's", || {
        p1.define("[Exec]\nAmbientCapability=CAP_NET_BIND_SERVICE\n")?;
        p1.start()?;
        host.ok(&format!("grep -x 'CapAmb:.0000000000000400' /proc/{}/status", p1.leader()?))?;
        p1.stop()
    });
    host.finish()
}

/// SEC-23: what an image asks for that is not its to have, and what it may say.
const ADVICE: &str = "[Exec]\nHostname=its\nEnvironment=A=b\nPrivateUsers=no\nCapability=all\nNesting=yes\n\
    SystemCallFilter=bpf\n[Files]\nBind=/etc:/host-etc\nDeviceAllow=/dev/loop0\n[Network]\nPrivate=no\n\
    [Resources]\nMemoryMax=infinity\n[Unit]\nAfter=other.service\n";
const ADVICE_PLACE: &str = "/usr/lib/containerctl/image.conf";

#[test]
fn an_images_own_definition_is_advice() -> Result<()> {
    let host = boot!();
    let p1 = Container::defined(&host, "p1", "[Exec]\nHostname=mine\n")?;
    host.ok(&format!("mkdir -p {}/usr/lib/containerctl", p1.root()))?;
    host.case("what is harmless counts, what is not is named, and the host's definition wins", || {
        p1.write(ADVICE_PLACE, ADVICE)?;
        p1.start()?;
        let seen = p1.inside("tr '\\0' '\\n' </proc/1/environ; ls -d /host-etc /dev/loop0 2>/dev/null; ls /sys/class/net; true")?;
        let lines: Vec<&str> = seen.lines().collect();
        ensure!(lines.contains(&"A=b"), "{seen}");
        ensure!(!seen.contains("/host-etc") && !seen.contains("/dev/loop0"), "{seen}");
        host.ok("containerctl audit p1")?;
        let warnings = host.ok("journalctl -q CONTAINER_NAME=p1 -p warning -o cat")?;
        for (line, key) in [
            (4, "PrivateUsers"), (5, "Capability"), (6, "Nesting"), (7, "SystemCallFilter"), (9, "Bind"),
            (10, "DeviceAllow"), (12, "Private"), (14, "MemoryMax"), (16, "After"),
        ] {
            let told = format!("{}{ADVICE_PLACE}:{line}: '{key}=' is not an image's to set, ignored", p1.root());
            ensure!(warnings.contains(&told), "no '{told}' in {warnings}");
        }
        let planned = host.run("containerctl plan p1")?;
        ensure!(planned.stderr.lines().count() == 9 && planned.stdout.contains("A=b"), "{planned}");
        ensure!(planned.stdout.contains("host name: mine"), "{planned}");
        p1.stop()
    });
    host.case("it says what runs in the image, and create says what it may not", || {
        p1.write(
            ADVICE_PLACE,
            "[Exec]\nBoot=no\nParameters=/bin/sleep 1000\nKillSignal=KILL\n[Files]\nBind=/etc\n",
        )?;
        host.ok(&format!("rm {0}/sbin/init {0}/bin/init; tar -C {0} -cf /srv/image.tar .", p1.root()))?;
        let told = host.run("containerctl create p2 --from-tar /srv/image.tar")?;
        let place = format!("/srv/image.tar{ADVICE_PLACE}:6: 'Bind='");
        ensure!(told.code == 0 && told.stderr.contains(&place), "{told}");
        let p2 = Container { host: &host, name: "p2" };
        p2.start()?;
        ensure!(p2.inside("cat /proc/1/comm")?.trim() == "sleep", "something else runs");
        p2.stop()
    });
    host.case("what is no file is passed over with a warning, and nothing waits for it", || {
        host.ok(&format!("cd {}/usr/lib/containerctl && rm image.conf && mkfifo image.conf", p1.root()))?;
        p1.define("[Exec]\nBoot=no\nParameters=/bin/sleep 1000\nKillSignal=KILL\n")?;
        p1.start()?;
        p1.says(": not a regular file, ignored")?;
        p1.stop()
    });
    host.finish()
}
