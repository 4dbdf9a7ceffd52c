//! A container under another name, its logs, and what is said of the host: rename, logs, check, doctor.

use crate::container::Container;
use crate::harness::Result;
use crate::looking::refused;

#[test]
fn containers_are_renamed_and_their_words_found() -> Result<()> {
    let host = boot!();
    let old = Container::busybox(&host, "old")?;
    Container::busybox(&host, "web-1")?;
    Container::defined(&host, "other", "[Unit]\nAfter=container@old.service\n")?;
    old.start()?;
    old.says("old is up")?;
    host.case("logs are systemd's, the supervisor's and the console's", || {
        let logs = host.ok("containerctl logs old")?;
        ensure!(logs.contains("Started container@old.service") && logs.contains("old is up"), "{logs}");
        let console = host.ok("containerctl logs old --console -- -o cat")?;
        ensure!(console.contains("old is up") && !console.contains("container@old"), "{console}");
        let last = host.ok("containerctl logs old -n 1 -- -o cat")?;
        ensure!(last.lines().count() == 1, "{last}");
        refused(&host, "containerctl logs nobody", 66, "there is no container 'nobody'")
    });
    host.case("logs follow, and tell of the last start alone", || {
        host.ok(
            "containerctl logs old -f -n 0 -- -o cat >/tmp/followed 2>&1 & echo $! >/tmp/follower; sleep 0.5",
        )?;
        old.stop()?;
        host.wait_until(crate::container::SOON, "grep -F 'old is going down' /tmp/followed")?;
        host.ok("kill $(cat /tmp/follower)")?;
        let stopped = host.ok("containerctl logs old --boot -- -o cat")?;
        ensure!(stopped.contains("old is going down"), "{stopped}");
        // The journal's times are told to the second.
        host.ok("sleep 1.1; systemctl start container@old")?;
        let said = "containerctl logs old --boot --console -- -o cat | grep -cx 'old is up'";
        host.wait_until(crate::container::SOON, said)?;
        ensure!(host.ok(said)?.trim() == "1", "two starts");
        Ok(())
    });
    host.case("a container that runs keeps its name, and a name that is taken its owner", || {
        refused(&host, "containerctl rename old new", 75, "'old' is running; 'containerctl stop old' first")?;
        old.stop()?;
        refused(&host, "containerctl rename old web-1", 75, "'web-1' exists already")?;
        refused(&host, "containerctl rename old old", 75, "'old' exists already")?;
        refused(&host, "containerctl rename old 'a b'", 78, "'a b' is not a machine name")?;
        refused(&host, "containerctl rename nobody new", 66, "there is no container 'nobody'")?;
        host.ok("mkdir -p /usr/lib/containerctl && touch /usr/lib/containerctl/packaged.conf")?;
        refused(&host, "containerctl rename packaged new", 75, "belongs to a package")?;
        host.ok("rm /usr/lib/containerctl/packaged.conf")?;
        host.fails("ls -d /run/containerctl/new /var/lib/containerctl/new /etc/containerctl/new.conf")
            .map(drop)
    });
    host.case("a renamed container starts with its limits, ids and links", || {
        host.ok("systemctl enable container@old && containerctl limit old TasksMax=55 && containerctl config set old OOMScoreAdjust=5")?;
        let ids = host.ok("grep ^old: /var/lib/containerctl/.ids")?;
        let renamed = host.run("containerctl rename old new-1")?;
        ensure!(renamed.code == 0 && renamed.stderr.contains("other.conf:2: After= names 'container@old.service' still"), "{renamed}");
        let new = Container { host: &host, name: "new-1" };
        host.ok("systemctl is-enabled container@new-1")?;
        ensure!(host.ok("grep ^new-1: /var/lib/containerctl/.ids")? == ids.replace("old", "new-1"), "other ids");
        new.start()?;
        host.ok("machinectl status new-1 --no-pager | grep -F 'Root: /var/lib/containerctl/new-1/rootfs'")?;
        host.ok(r"systemctl show -p TasksMax 'machine-new\x2d1.slice' | grep -x TasksMax=55")?;
        ensure!(new.inside("cat /proc/1/oom_score_adj")?.trim() == "5", "another definition");
        host.fails("find /etc/systemd /etc/containerctl /run/systemd/generator /run/machines /var/lib/containerctl -maxdepth 2 -name '*old*' | grep .")?;
        new.stop()
    });
    host.case("a rename that was cut short is finished by the next operation", || {
        host.ok("printf p2 >/var/lib/containerctl/.rename-web-1 && mv /var/lib/containerctl/web-1 /var/lib/containerctl/p2")?;
        let created = host.run("containerctl create p3 --template busybox")?;
        ensure!(created.code == 0 && created.stderr.contains("'web-1' is called 'p2' now"), "{created}");
        host.ok("containerctl start p2 && containerctl stop p2 && containerctl destroy p3").map(drop)
    });
    host.case("a host that can run containers passes, one that cannot does not", || {
        host.ok("containerctl check | grep -E '^systemd 257 +ok +[0-9]'")?;
        host.ok("containerctl check | grep -E '^idmapped mounts of the store +ok'")?;
        host.ok("containerctl check --json | jq -e 'all(.only_for != null or .found.ok != null)'")?;
        host.ok("mv /usr/lib/containerctl/containerctl-supervisor /root/")?;
        let without = host.run("containerctl check --missing")?;
        host.ok("mv /root/containerctl-supervisor /usr/lib/containerctl/")?;
        ensure!(without.code == 69, "{without}");
        ensure!(
            without.stdout.contains("containerctl-supervisor  missing")
                && !without.stdout.contains("systemd 257"),
            "{without}"
        );
        Ok(())
    });
    host.case("the doctor tells and changes nothing", || {
        let sysctls = "sysctl fs.inotify kernel.keys dev.tty fs.protected_fifos vm.max_map_count";
        let before = host.ok(sysctls)?;
        host.ok("containerctl doctor --all | grep -E '^kernel.keys.maxkeys +[0-9]+ +2000 or more'")?;
        host.ok("containerctl doctor | grep -qx 'kernel.keys.maxkeys = 2000' || test $(sysctl -n kernel.keys.maxkeys) -ge 2000")?;
        host.ok("containerctl doctor --json --all | jq -e 'map(select(.name == \"kernel.pty.max\")) | .[0].value > 0'")?;
        let hurts = host.ok("containerctl doctor --json --all | jq 'any(.hurts)'")?.trim() == "true";
        ensure!((host.run("containerctl doctor")?.code == 1) == hurts, "another exit code");
        ensure!(host.ok(sysctls)? == before, "changed");
        Ok(())
    });
    host.finish()
}
