//! Which containers start at boot, in what order, and groups of them.

use crate::container::Container;
use crate::harness::{Failure, Host, Result};

/// A container that is up at once, with this definition beside its command.
fn quick<'a>(host: &'a Host, name: &'a str, definition: &str) -> Result<Container<'a>> {
    let container = Container::running(host, name, "trap 'exit 0' TERM; while :; do sleep 0.1; done")?;
    container.define(&format!("[Exec]\nBoot=no\nParameters=/bin/sh /script\n{definition}"))?;
    Ok(container)
}

/// When a container came up, in microseconds since boot.
fn up(container: &Container) -> Result<u64> {
    let text = container.property("ActiveEnterTimestampMonotonic")?;
    text.parse().map_err(|_| Failure::new(format!("'{}' came up at '{text}'", container.name)))
}

#[test]
fn containers_start_in_order_and_in_groups() -> Result<()> {
    let host = boot!();
    let web = quick(
        &host,
        "web",
        "[Container]\nStartPriority=10\nStartDelay=1500ms\nGroups=shop\n[Unit]\nAfter=container@db.service\n",
    )?;
    let db = quick(&host, "db", "[Container]\nGroups=shop data\n")?;
    let other = quick(&host, "other", "[Container]\nGroups=data\n")?;
    let in_order = || -> Result<()> {
        let (db, web, other) = (up(&db)?, up(&web)?, up(&other)?);
        ensure!(db <= web && web + 1_500_000 <= other, "up at: db {db}, web {web}, other {other}");
        Ok(())
    };
    let names = |filter: &str| {
        host.ok(&format!("containerctl list {filter} --json | jq -r 'map(.name) | join(\" \")'"))
    };
    host.case(
        "a higher priority is first, with what it waits for, and the others wait for the delay",
        || {
            host.ok("containerctl start --all")?;
            in_order()?;
            host.ok("containerctl stop --all")?;
            [&db, &web, &other].into_iter().try_for_each(|one| one.is_gone())
        },
    );
    host.case("one by itself waits for nobody", || {
        host.ok("containerctl start other && systemctl show -p ActiveState container@web | grep inactive")?;
        host.ok("containerctl stop other").map(drop)
    });
    host.case("groups are started, listed and stopped", || {
        host.ok("containerctl start --group shop")?;
        ensure!(names("--state running")?.trim() == "db web", "{}", names("--state running")?);
        ensure!(names("--group data")?.trim() == "db other", "{}", names("--group data")?);
        host.ok("containerctl restart --group data && containerctl stop --group shop --group data --kill")?;
        ensure!(names("--state stopped")?.trim() == "db other web", "{}", names("--state stopped")?);
        let output = host.fails("containerctl start --group nosuch")?;
        ensure!(output.code == 66 && output.stderr.contains("group 'nosuch'"), "{output}");
        ensure!(host.fails("containerctl start")?.code == 2, "nobody was named");
        Ok(())
    });
    host.case("enable takes several, now and at boot; autostart shows the order", || {
        let output = host.fails("containerctl enable --now db nosuch")?;
        ensure!(output.code == 66 && output.stderr.lines().count() == 1, "{output}");
        ensure!(names("--state running")?.trim() == "db", "{}", names("--state running")?);
        host.ok("containerctl enable --all")?;
        let seen = host.ok(
            "containerctl autostart list --json | jq -r 'map(\"\\(.name) \\(.priority)\") | join(\", \")'",
        )?;
        ensure!(seen.trim() == "db 10, web 10, other 0", "{seen}");
        host.ok("containerctl autostart list | grep -E '^web +10 +1.5s +shop$'").map(drop)
    });
    host.case("at boot it is the same", || {
        host.reboot()?;
        host.ok("containerctl wait other --timeout 20")?;
        in_order()
    });
    host.case("an order of the administrator's is not contradicted", || {
        host.ok("mkdir -p /etc/systemd/system/container@web.service.d &&
            printf '[Unit]\\nAfter=container@other.service\\n' >/etc/systemd/system/container@web.service.d/after.conf &&
            systemctl daemon-reload && containerctl stop --all && containerctl start --all")?;
        let (web, other) = (up(&web)?, up(&other)?);
        ensure!(other <= web, "up at: other {other}, web {web}");
        host.fails("journalctl -b -o cat | grep -i 'ordering cycle'").map(drop)
    });
    host.case("disable --now stops them and takes them from the list", || {
        host.ok("containerctl disable --now --all")?;
        ensure!(host.ok("containerctl autostart list --json")?.trim() == "[]", "still there");
        ensure!(names("--state stopped")?.trim() == "db other web", "{}", names("--state stopped")?);
        Ok(())
    });
    host.case("values that are none", || {
        for (line, words) in [
            ("StartPriority=high", "StartPriority=: 'high' is not a number"),
            ("StartDelay=soon", "StartDelay=: 'soon' is not a time span"),
            ("Groups=a b/c", "Groups=: 'b/c' is not a group's name"),
        ] {
            other.define(&format!("[Container]\n{line}\n"))?;
            let output =
                host.fails("containerctl start other; systemctl reset-failed container@other; exit 1")?;
            ensure!(output.stderr.contains(words), "{line}: {output}");
        }
        Ok(())
    });
    host.finish()
}
