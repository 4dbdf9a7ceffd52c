//! Paths of the host that a definition or a verb names: nobody but root decides where they lead (SEC-3).
//!
//! A volume of the host is shared by two containers, and one of them puts a link where the other's definition names a
//! place (runc CVE-2021-30465, kubernetes CVE-2017-1002101); or a user of the host does so in a directory of his.

use std::fs;
use std::time::Duration;

use crate::container::Container;
use crate::harness::{Failure, Host, Result};

/// The file that the attacks try to reach or change.
const MARKER: &str = "/var/lib/marker";
/// A volume that users of the host do not reach, as set-user-ID files can be made in it.
const VOLUME: &str = "/srv/closed/vol";

/// Makes a marker, and a volume that container `a` has at `/vol`.
fn share(host: &Host) -> Result<Container<'_>> {
    host.ok(&format!(
        "mkdir -m 700 {MARKER} /srv/closed && echo secret >{MARKER}/file && chmod 600 {MARKER}/file &&
            mkdir -p {VOLUME}/data && echo data >{VOLUME}/data/data && echo file >{VOLUME}/file"
    ))?;
    Container::defined(host, "a", &format!("[Files]\nBind={VOLUME}:/vol:idmap\n"))
}

/// The marker as it is, down to its inode and times.
fn marker(host: &Host) -> Result<String> {
    host.ok(&format!("find {MARKER} -printf '%p %i %U:%G %m %s %T@ %C@\\n' | sort; cat {MARKER}/file"))
}

/// The start fails with a sentence that has all of `words`.
fn refused(host: &Host, name: &str, words: &[&str]) -> Result<()> {
    let told = host.fails(&format!("containerctl start {name}"))?.stderr;
    for word in words {
        ensure!(told.contains(word), "'{word}' is not in: {told}");
    }
    Ok(())
}

#[test]
fn sec_3_a_link_made_by_a_container_is_not_followed_for_another() -> Result<()> {
    let host = boot!();
    let a = share(&host)?;
    let before = marker(&host)?;
    let w = Container::busybox(&host, "w")?;
    let attach = |command: &str| host.ok(&format!("containerctl attach a -- sh -c '{command}' </dev/null"));
    let swap = |place: &str, target: &str| {
        attach(&format!("mv /vol/{place} /vol/kept && ln -s {target} /vol/{place}"))
    };
    let back = |place: &str| attach(&format!("rm /vol/{place} && mv /vol/kept /vol/{place}"));
    let binds =
        [("data", "data", MARKER), ("file", "file", "/var/lib/marker/file"), ("data/data", "data", MARKER)];
    a.start()?;
    for (index, (source, swapped, target)) in binds.into_iter().enumerate() {
        for kind in ["Bind", "BindReadOnly"] {
            host.case(&format!("{kind}= of {source}, whose '{swapped}' is swapped"), || {
                w.define(&format!("[Files]\n{kind}={VOLUME}/{source}:/mnt/{index}:idmap\n"))?;
                w.start()?;
                w.stop()?;
                swap(swapped, target)?;
                let link = format!("'{VOLUME}/{swapped}' is a symbolic link");
                let told = refused(&host, "w", &[&link, &format!("container 'a' can write '{VOLUME}'")]);
                back(swapped)?;
                told
            });
        }
    }
    host.case("the same while the one that made the link is stopped", || {
        swap("data", "/etc")?;
        a.stop()?;
        w.define(&format!("[Files]\nBind=-{VOLUME}/data:/mnt/x:idmap\n"))?;
        let told = refused(&host, "w", &["container 'a' can write"]);
        a.start()?;
        back("data")?;
        told
    });
    host.case("a root file system, a socket, a profile and a namespace below what it can write", || {
        swap("data", MARKER)?;
        for definition in [
            format!("[Files]\nRootDirectory={VOLUME}/data/tree\n"),
            format!("[Exec]\nSeccompProfile={VOLUME}/data/file\n"),
            format!("[Network]\nNamespacePath={VOLUME}/data/file\n"),
        ] {
            w.define(&definition)?;
            refused(&host, "w", &["is a symbolic link", "container 'a' can write"])?;
        }
        back("data").map(drop)
    });
    host.case("archives and trees that a verb is given", || {
        swap("data", MARKER)?;
        for source in [format!("--from-tar {VOLUME}/data/file"), format!("--rootfs {VOLUME}/data")] {
            let told = host.fails(&format!("containerctl create n {source}"))?;
            ensure!(told.stderr.contains("symbolic link"), "{told}");
            host.fails("ls -d /etc/containerctl/n.conf /var/lib/containerctl/n")?;
        }
        back("data").map(drop)
    });
    host.case("a link of root's own is followed as ever", || {
        host.ok(&format!("ln -s {VOLUME}/data /srv/alias"))?;
        w.define("[Files]\nBind=/srv/alias:/mnt/x:idmap\n")?;
        w.start()?;
        let read = host.ok("containerctl attach w -- cat /mnt/x/data </dev/null")?;
        ensure!(read.trim() == "data", "{read}");
        w.stop()
    });
    host.case("and the marker is as it was", || {
        ensure!(marker(&host)? == before, "touched: {}", marker(&host)?);
        Ok(())
    });
    host.finish()
}

#[test]
fn sec_3_a_users_directory_leads_nowhere_else() -> Result<()> {
    let host = boot!();
    let w = Container::busybox(&host, "w")?;
    host.ok("useradd -m ann && cp -a /var/lib/containerctl/w/rootfs /home/ann/real &&
        runuser -u ann -- ln -s /var/lib/containerctl/w /home/ann/dir && runuser -u ann -- ln -s real /home/ann/tree")?;
    for path in ["/home/ann/dir/rootfs", "/home/ann/dir/rootfs/usr"] {
        host.case(&format!("RootDirectory={path}"), || {
            w.define(&format!("[Files]\nRootDirectory={path}\n"))?;
            refused(&host, "w", &["'/home/ann/dir' is a symbolic link", "can write '/home/ann'"])
        });
    }
    host.case("a root that is a link itself", || {
        w.define("[Files]\nRootDirectory=/home/ann/tree\n")?;
        refused(&host, "w", &["'/home/ann/tree' is a symbolic link"])
    });
    host.case("a bind of what a user links to", || {
        w.define("[Files]\nBindReadOnly=/home/ann/dir:/mnt/x\n")?;
        refused(&host, "w", &["'/home/ann/dir' is a symbolic link", "name the place itself"])
    });
    host.finish()
}

/// The race, a script because a round is to take no longer than a start.
const RACE: &str = include_str!("host_paths.sh");

/// SEC-3. Some hundred rounds; CONTAINERCTL_RACES=2000 makes it as many (by cargo test, for nextest ends a test that
/// takes minutes).
#[test]
fn sec_3_no_start_of_a_race_ends_outside() -> Result<()> {
    let host = boot!();
    share(&host)?;
    fs::write(host.path("/root/race.sh")?, RACE)?;
    let command = "test -e /mnt/x/file && echo escaped; echo x >/mnt/x/written";
    Container::running(&host, "w", command)?.define(&format!(
        "[Exec]\nBoot=no\nParameters=/bin/sh /script\n[Files]\nBind={VOLUME}/data:/mnt/x:idmap\n"
    ))?;
    let before = marker(&host)?;
    let rounds = std::env::var("CONTAINERCTL_RACES").ok().and_then(|text| text.parse().ok()).unwrap_or(200);
    host.case("no start under a storm of renames reaches what the link names", || {
        let limit = Duration::from_secs(60 + rounds);
        let told = host.run_within(limit, &format!("bash /root/race.sh {VOLUME} {MARKER} {rounds}"))?;
        let (violations, sum) = told.stdout.trim_end().rsplit_once('\n').unwrap_or(("", told.stdout.trim()));
        eprintln!("{sum}");
        ensure!(told.code == 0 && violations.is_empty(), "{told}");
        let numbers: Vec<u64> = sum.split(' ').filter_map(|word| word.parse().ok()).collect();
        let [_, started, refused, exchanged] = numbers[..] else {
            return Err(Failure::new(format!("no sum in '{sum}'")));
        };
        ensure!(started > 0 && refused > 0 && exchanged > 100 * rounds, "no race: {sum}");
        ensure!(marker(&host)? == before, "touched");
        Ok(())
    });
    host.finish()
}
