//! What is made for a container or handed in belongs to the ids that it knows.

use crate::container::Container;
use crate::harness::Result;

#[test]
fn pipes_of_an_attach_belong_to_its_user() -> Result<()> {
    let host = boot!();
    let p1 = Container::busybox(&host, "p1")?;
    let mut passwd = p1.read("/etc/passwd")?;
    passwd.push_str("tester:x:1234:1234::/:/bin/sh\n");
    p1.write("/etc/passwd", &passwd)?;
    p1.start()?;
    for user in ["root", "tester"] {
        let attach = format!("timeout 20 containerctl attach p1 --user {user} --");
        host.case(&format!("{user} writes to /dev/stdout and /dev/stderr, and reads /dev/stdin"), || {
            let output = host
                .run(&format!("{attach} sh -c 'echo out >/dev/stdout; echo err >/dev/stderr' </dev/null"))?;
            ensure!(output.stdout == "out\n" && output.stderr == "err\n", "{output}");
            host.ok(&format!("echo in | {attach} cat /dev/stdin | grep -x in"))?;
            host.ok(&format!("echo a | {attach} tee /dev/stderr 2>&1 >/dev/null | grep -x a")).map(drop)
        });
    }
    host.case("that may give nothing away, they can be opened all the same", || {
        p1.stop()?;
        p1.define("[Exec]\nDropCapability=CAP_CHOWN\n")?;
        p1.start()?;
        let output = host.run(
            "timeout 20 containerctl attach p1 --user tester -- sh -c 'echo out >/dev/stdout' </dev/null",
        )?;
        ensure!(output.stdout == "out\n", "{output}");
        p1.stop()
    });
    host.case("the same by execute", || {
        let output =
            host.run("timeout 30 containerctl execute p1 -- sh -c 'echo out >/dev/stdout' </dev/null")?;
        ensure!(output.stdout == "out\n", "{output}");
        Ok(())
    });
    host.finish()
}

#[test]
fn nothing_made_for_a_container_belongs_to_nobody() -> Result<()> {
    let host = boot!();
    let p1 = Container::busybox(&host, "p1")?;
    let attach = "timeout 20 containerctl attach p1 --";
    for options in ["size=1M", "mode=0755", "mode=0700", "mode=0750,size=1M"] {
        host.case(&format!("a tmpfs with {options} is the container's root's"), || {
            let lines = ["/scratch", "/var/cache/x", "/run/x"]
                .map(|path| format!("TemporaryFileSystem={path}:{options}\n"));
            p1.define(&format!("[Files]\n{}", lines.concat()))?;
            p1.start()?;
            for path in ["/scratch", "/var/cache/x", "/run/x"] {
                let owner = host.ok(&format!("{attach} stat -c %u:%g {path} </dev/null"))?;
                ensure!(owner.trim() == "0:0", "{path} belongs to {owner}");
                host.ok(&format!("{attach} sh -c 'touch {path}/f && chown 1:1 {path}' </dev/null"))?;
            }
            p1.stop()
        });
    }
    host.case("the audit finds nothing, and would find it", || {
        p1.define("")?;
        p1.start()?;
        host.ok("containerctl audit p1")?;
        host.ok("echo /run/containerctl/p1/host/os-release | xargs chown 0:0")?;
        let output = host.fails("containerctl audit p1")?;
        ensure!(output.stdout.lines().any(|line| line.starts_with("own /run/host/os-release ")), "{output}");
        Ok(())
    });
    host.finish()
}
