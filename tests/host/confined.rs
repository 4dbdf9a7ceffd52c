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
        // The running container was not made for nesting, so what this promises is not so.
        p1.define("[Exec]\nNesting=yes\n")?;
        let told = host.fails("containerctl audit --broken p1")?;
        ensure!(told.code == 1 && told.stdout.contains("mount a fresh proc"), "{told:?}");
        Ok(())
    });
    host.case("nesting gives what inner containers need", || {
        p1.stop()?;
        p1.start()?;
        host.ok("containerctl audit p1")?;
        p1.inside("unshare -Urmpf --mount-proc true").map(drop)
    });
    host.case("without a user namespace the rest still holds", || {
        p1.stop()?;
        p1.define("[Exec]\nPrivateUsers=no\n")?;
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
