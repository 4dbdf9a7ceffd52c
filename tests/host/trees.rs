//! Root file systems from elsewhere: names, name servers and identity of a container made of them.

use std::time::Duration;

use crate::container::Container;
use crate::harness::Result;

#[test]
fn a_container_of_an_archive_has_names_of_its_own() -> Result<()> {
    let host = boot!();
    let p1 = Container::busybox(&host, "p1")?;
    p1.start()?;
    host.ok("cp -a /var/lib/containerctl/p1/rootfs /srv/tree && echo builder >/srv/tree/etc/hostname")?;
    let link = "ln -sfn ../run/systemd/resolve/stub-resolv.conf";
    for (name, what, make) in [
        ("a", "the builder's name servers", "echo 'nameserver 192.0.2.53' >"),
        ("b", "a link to a resolver that the tree does not have", link),
        ("c", "no resolv.conf at all", "rm -f"),
    ] {
        host.case(what, || {
            host.ok(&format!("rm -f /srv/tree/etc/resolv.conf; {make} /srv/tree/etc/resolv.conf"))?;
            host.ok(&format!("tar -C /srv/tree -cf /srv/{name}.tar ."))?;
            let told = host.run(&format!("containerctl create {name} --from-tar /srv/{name}.tar"))?;
            ensure!(
                told.code == 0 && told.stderr.contains(&format!("'builder' was replaced by '{name}'")),
                "{told}"
            );
            let container = Container { host: &host, name };
            container.start()?;
            ensure!(container.inside("hostname")?.trim() == name, "{}", container.inside("hostname")?);
            for known in [name, "localhost", "p1"] {
                let asks = format!("containerctl attach {name} -- ping -c 1 -W 2 {known} </dev/null");
                host.wait_until(Duration::from_secs(10), &asks)?;
            }
            Ok(())
        });
    }
    host.case("as it is, where that is asked for", || {
        host.ok("containerctl create d --from-tar /srv/a.tar --as-is")?;
        host.ok("cmp /var/lib/containerctl/d/rootfs/etc/hostname /srv/tree/etc/hostname").map(drop)
    });
    host.case("a tree of the user's keeps its names, and that is told", || {
        let told = host.run("chmod 700 /srv/tree && containerctl create e --rootfs /srv/tree")?;
        ensure!(told.code == 0 && told.stderr.contains("'builder' is kept"), "{told}");
        host.ok("grep -x builder /srv/tree/etc/hostname").map(drop)
    });
    host.case("nobody can be called localhost", || {
        let told = host.fails("containerctl create localhost --template busybox")?;
        ensure!(told.code == 78 && told.stderr.contains("cannot be called 'localhost'"), "{told}");
        Ok(())
    });
    host.finish()
}
