//! The first day with a container: made, started, looked at, stopped, destroyed.

use crate::container::Container;
use crate::harness::Result;

#[test]
fn a_container_lives_from_create_to_destroy() -> Result<()> {
    let host = boot!();
    let p1 = Container { host: &host, name: "p1" };
    host.case("create says nothing and starts nothing", || {
        let said = host.ok("containerctl create p1 --template busybox 2>&1")?;
        ensure!(said.is_empty(), "said: {said}");
        ensure!(p1.property("ActiveState")? == "inactive", "it is {}", p1.property("ActiveState")?);
        p1.is_gone()
    });
    host.case("plan shows a start and does none of it", || {
        let mounts = host.ok("cat /proc/self/mountinfo")?;
        let text = host.ok("containerctl plan p1")?;
        ensure!(text.starts_with("machine p1 in machine-p1.scope below machine-p1.slice\n"), "{text}");
        ensure!(text.contains("run: /usr/sbin/init") || text.contains("run: /sbin/init"), "{text}");
        host.ok("containerctl plan p1 --json | jq -e '.machine == \"p1\" and (.outside | length) > 20'")?;
        ensure!(host.ok("cat /proc/self/mountinfo")? == mounts, "mounts changed");
        host.fails("grep -s p1 /var/lib/containerctl/.ids")?;
        p1.is_gone()
    });
    host.case("systemd starts it", || {
        p1.start()?;
        ensure!(p1.property("ActiveState")? == "active", "it is {}", p1.property("ActiveState")?);
        ensure!(
            p1.property("StatusText")? == "Container running.",
            "status '{}'",
            p1.property("StatusText")?
        );
        p1.says("p1 is up")
    });
    host.case("machined lists it", || {
        let list = host.ok("machinectl list --no-legend")?;
        let words: Vec<&str> = list.split_whitespace().collect();
        ensure!(words.starts_with(&["p1", "container", "containerctl", "busybox"]), "{list}");
        let status = host.ok("machinectl status p1 --no-pager")?;
        for part in [
            "class container",
            "OS: BusyBox",
            "Unit: machine-p1.scope",
            &format!("Leader: {} (init)", p1.leader()?),
        ] {
            ensure!(status.contains(part), "no '{part}' in: {status}");
        }
        Ok(())
    });
    host.case("the payload is below its limits, and its supervisor beside them", || {
        let slice = host.ok("systemctl show -p Slice --value container@p1 machine-p1.scope")?;
        let slices: Vec<&str> = slice.split_whitespace().collect();
        ensure!(slices == ["machine.slice", "machine-p1.slice"], "slices: {slice}");
        host.ok("systemctl is-active machine-p1.slice")?;
        host.ok("systemctl status machine-p1.slice --no-pager | grep -q 'init'").map(drop)
    });
    host.case("the journal has the console, by unit and by container", || {
        let json = "journalctl -u container@p1 -o json | jq -s -e";
        host.ok(&format!(
            "{json} 'any(.MESSAGE == \"p1 is up\" and .CONTAINER_NAME == \"p1\" and .CONTAINER_ORIGIN == \"console\")'"
        ))?;
        host.ok("journalctl CONTAINER_NAME=p1 -o cat | grep -x 'p1 is up'").map(drop)
    });
    host.case("list and info tell people and programs", || {
        let list = host.ok("containerctl list")?;
        let row = list.lines().nth(1).unwrap_or_default();
        ensure!(list.starts_with("NAME") && row.starts_with("p1") && row.contains("  running  "), "{list}");
        let leader = p1.leader()?;
        host.ok(&format!(
            "containerctl list --json | jq -e '.[0].name == \"p1\" and .[0].leader == {leader}'"
        ))?;
        let info = host.ok("containerctl info p1")?;
        ensure!(info.contains("State: running") && info.contains("Unit: container@p1.service"), "{info}");
        host.ok(&format!(
            "containerctl info p1 --json | jq -e '.leader == {leader} and .scope == \"machine-p1.scope\"'"
        ))
        .map(drop)
    });
    host.case("destroy of a running one is refused", || {
        let refused = host.fails("containerctl destroy p1")?;
        ensure!(refused.code == 75 && refused.stderr.contains("'p1' is running"), "{refused}");
        Ok(())
    });
    host.case("stop lets the guest shut down, and nothing of it runs on", || {
        host.ok("containerctl stop p1")?;
        ensure!(p1.property("Result")? == "success", "result {}", p1.property("Result")?);
        ensure!(p1.property("ActiveState")? == "inactive", "it is {}", p1.property("ActiveState")?);
        host.ok("journalctl CONTAINER_NAME=p1 -o cat | grep 'p1 is going down'")?;
        p1.is_gone()
    });
    host.case("stop of a stopped one is no error, start and stop work again", || {
        host.ok("containerctl stop p1 && containerctl start p1 --timings && containerctl stop p1")?;
        p1.is_gone()
    });
    host.case("destroy leaves nothing", || {
        host.ok("systemctl enable container@p1 && containerctl destroy p1")?;
        host.fails("ls -d /etc/containerctl/p1* /var/lib/containerctl/p1 /var/lib/containerctl/.[pt]* /run/machines/p1")?;
        host.fails("grep p1 /var/lib/containerctl/.ids")?;
        host.fails("find /etc/systemd /run/systemd/generator* -name '*p1*' | grep .")?;
        ensure!(host.ok("containerctl list --json")?.trim() == "[]", "it is listed");
        p1.is_gone()
    });
    host.finish()
}

#[test]
fn containers_come_in_many_ways() -> Result<()> {
    let host = boot!();
    host.case("a dash and a dot in the name", || {
        for name in ["web-1", "a.b", "a-b.c-d"] {
            let container = Container::busybox(&host, name)?;
            container.start()?;
            container.says(&format!("{name} is up"))?;
            let unit = host.ok(&format!("machinectl show -p Unit --value {name}"))?;
            ensure!(unit.trim() == container.scope()?, "unit {unit}");
            ensure!(container.inside("hostname")?.trim() == name, "other host name");
            container.stop()?;
            container.is_gone()?;
            host.ok(&format!("containerctl destroy {name}"))?;
        }
        Ok(())
    });
    host.case("machinectl start is ours, and so is its enable", || {
        let p2 = Container::busybox(&host, "p2")?;
        host.ok("machinectl start p2")?;
        ensure!(p2.property("ActiveState")? == "active", "container@p2 is {}", p2.property("ActiveState")?);
        host.ok("machinectl enable p2 && systemctl is-enabled container@p2")?;
        p2.stop()?;
        p2.is_gone()
    });
    host.case("a definition by hand and daemon-reload are enough", || {
        host.ok("mkdir -m 700 /srv/closed && cp -a /var/lib/containerctl/p2/rootfs /srv/closed/hand")?;
        let hand = Container { host: &host, name: "hand" };
        hand.define("[Files]\nRootDirectory=/srv/closed/hand\n")?;
        hand.start()?;
        host.ok("machinectl status hand --no-pager | grep -F 'Root: /srv/closed/hand'")?;
        hand.stop()?;
        hand.is_gone()?;
        host.ok("containerctl destroy hand && test -d /srv/closed/hand/bin").map(drop)
    });
    host.case("a tree is used in place", || {
        host.ok("containerctl create tree --rootfs /srv/closed/hand && containerctl start tree && containerctl stop tree")?;
        host.ok("containerctl destroy tree && test -x /srv/closed/hand/bin/busybox").map(drop)
    });
    host.case("an archive is unpacked", || {
        for (option, name) in [("", "plain"), ("--gzip", "gz"), ("--zstd", "zst")] {
            host.ok(&format!("tar {option} -C /srv/closed/hand -cf /srv/{name}.tar . && containerctl create {name} --from-tar /srv/{name}.tar"))?;
            let container = Container { host: &host, name };
            container.start()?;
            container.stop()?;
        }
        host.ok("containerctl create piped --from-tar - </srv/plain.tar && containerctl start piped").map(drop)
    });
    host.case("a command runs in place of an init", || {
        let run = Container { host: &host, name: "run" };
        host.ok("containerctl create run --template busybox -- /bin/sh -c 'echo \"it  runs\"; sleep 1000'")?;
        run.start()?;
        run.says("it  runs")
    });
    host.case("ten start at once", || {
        host.ok("for i in 0 1 2 3 4 5 6 7 8 9; do containerctl create m$i --rootfs /srv/closed/hand; done")?;
        host.ok("systemctl start container@m0 container@m1 container@m2 container@m3 container@m4 container@m5 container@m6 container@m7 container@m8 container@m9")?;
        ensure!(host.ok("machinectl list --no-legend | grep -c '^m'")?.trim() == "10", "not ten");
        host.ok("systemctl stop 'container@m*'")?;
        host.fails("machinectl list --no-legend | grep '^m'").map(drop)
    });
    host.finish()
}
