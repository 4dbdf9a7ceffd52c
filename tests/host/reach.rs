//! What root of a container leaves where users of the host come by: no program of root's, and no way for root of a
//! container to become root of the host unasked (SEC-28).

use crate::container::Container;
use crate::harness::{Host, Result};

/// The start fails with a sentence that has all of `words`.
fn refused(host: &Host, name: &str, words: &[&str]) -> Result<()> {
    let told = host.fails(&format!("containerctl start {name}"))?;
    ensure!(told.code == 78, "{told}");
    for word in words {
        ensure!(told.stderr.contains(word), "'{word}' is not in: {told}");
    }
    Ok(())
}

/// Root of the container makes a set-user-ID program at `inside`, which the host has at `outside`; `ann` runs it.
fn attack(p1: &Container, inside: &str, outside: &str) -> Result<()> {
    p1.start()?;
    p1.inside(&format!("cp /bin/busybox {inside}/who && chmod 4755 {inside}/who"))?;
    // The container can open up its own tree, too.
    p1.inside(&format!("chmod 777 {inside}"))?;
    let told = p1.host.run(&format!("runuser -u ann -- {outside}/who id -u"))?;
    p1.stop()?;
    ensure!(!told.stdout.starts_with('0'), "a user of the host is root: {told}");
    Ok(())
}

#[test]
fn no_user_of_the_host_runs_a_containers_programs_as_root() -> Result<()> {
    let host = boot!();
    let p1 = Container::busybox(&host, "p1")?;
    host.ok("useradd -m ann && mkdir -p /srv/vol && cp -a /var/lib/containerctl/p1/rootfs /srv/tree && chmod 755 /srv")?;
    host.ok("mkdir /home/ann/closed && chown ann: /home/ann/closed && chmod 700 /home/ann/closed && touch /srv/file")?;
    for (definition, place) in [
        ("[Files]\nBind=/srv/vol:/mnt:idmap\n", "/srv/vol"),
        ("[Files]\nBind=/srv/file:/opt/file:idmap\n", "/srv/file"),
        ("[Files]\nRootDirectory=/srv/tree\n", "/srv/tree"),
        ("[Exec]\nPrivateUsers=identity\n[Files]\nRootDirectory=/srv/tree\n", "/srv/tree"),
        ("[Files]\nBind=/home/ann/closed:/mnt:idmap\n", "/home/ann/closed"),
    ] {
        host.case(&format!("{place} is within reach: {definition:?}"), || {
            p1.define(definition)?;
            refused(
                &host,
                "p1",
                &[&format!("users of the host can reach '{place}'"), "mount --bind -o nosuid"],
            )?;
            let told = host.run("containerctl check")?;
            ensure!(told.stdout.contains("files of 'p1' out of reach"), "{told}");
            Ok(())
        });
    }
    host.case("a volume that cannot be written, or whose owners are not mapped, may lie anywhere", || {
        p1.define("[Files]\nBindReadOnly=/srv/vol:/mnt/a:idmap\nBind=/srv/vol:/mnt/b\n")?;
        p1.start()?;
        p1.stop()
    });
    host.case("below a directory of mode 0700 a volume and a tree start, and ann gets nothing", || {
        host.ok("mkdir -m 700 /srv/closed && mv /srv/tree /srv/vol /srv/closed")?;
        p1.define("[Files]\nRootDirectory=/srv/closed/tree\nBind=/srv/closed/vol:/mnt:idmap\n")?;
        attack(&p1, "/mnt", "/srv/closed/vol")?;
        attack(&p1, "/bin", "/srv/closed/tree/bin")
    });
    host.case(
        "so they do where the command of the hint has made the mount nosuid, and a guest keeps its su",
        || {
            host.ok("mv /srv/closed/tree /srv/closed/vol /srv")?;
            host.ok("for d in /srv/tree /srv/vol; do mount --bind -o nosuid $d $d || exit; done")?;
            p1.define("[Files]\nRootDirectory=/srv/tree\nBind=/srv/vol:/mnt:idmap\n")?;
            attack(&p1, "/mnt", "/srv/vol")?;
            attack(&p1, "/bin", "/srv/tree/bin")?;
            p1.start()?;
            let root = p1.inside("grep ' / / ' /proc/self/mountinfo; grep ' / ' /proc/self/mounts")?;
            ensure!(!root.contains("nosuid"), "{root}");
            p1.stop()
        },
    );
    host.case("what an earlier version left among the journals is told", || {
        host.ok("mkdir -p /var/log/journal/0a && touch /var/log/journal/0a/who && chmod 4755 /var/log/journal/0a/who")?;
        let told = host.run("containerctl check")?.stdout;
        ensure!(told.contains("'/var/log/journal/0a/who' is a set-user-ID program"), "{told}");
        Ok(())
    });
    host.finish()
}

#[test]
fn root_of_the_host_is_given_to_a_container_by_two_words() -> Result<()> {
    let host = boot!();
    let p1 = Container::busybox(&host, "p1")?;
    if host.run("test -e /sys/kernel/security/apparmor/.replace && type apparmor_parser")?.code == 0 {
        skip!("AppArmor confines containers here");
    }
    host.case("one is not enough, and the hint has the other", || {
        p1.define("[Exec]\nPrivateUsers=no\n")?;
        refused(&host, "p1", &["p1.conf:2", "would be root of the host", "Privileged=yes"])?;
        let told = host.fails("containerctl plan p1")?;
        ensure!(told.stderr.contains("Privileged=yes"), "{told}");
        Ok(())
    });
    host.case("both are, and the doctor lists the container", || {
        p1.define("[Exec]\nPrivateUsers=no\nPrivileged=yes\n")?;
        p1.start()?;
        host.ok("containerctl audit p1")?;
        let told = host.run("containerctl doctor")?.stdout;
        ensure!(told.contains("PrivateUsers= of p1"), "{told}");
        host.ok("containerctl doctor --json | jq -e 'map(select(.container == \"p1\")) | length == 1'")?;
        p1.stop()
    });
    host.case("without PrivateUsers=no the word means nothing", || {
        p1.define("[Exec]\nPrivileged=yes\n")?;
        p1.start()?;
        host.fails("containerctl doctor | grep 'of p1'")?;
        p1.stop()
    });
    host.case("definitions are for root and its group", || {
        host.ok("test $(stat -c %a /etc/containerctl/p1.conf) = 640")?;
        host.ok(
            "containerctl config set p1 Hostname=x && test $(stat -c %a /etc/containerctl/p1.conf) = 640",
        )?;
        host.ok("useradd ann && runuser -u ann -- containerctl list | grep p1").map(drop)
    });
    host.finish()
}
