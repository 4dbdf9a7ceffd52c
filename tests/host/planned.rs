//! The plan: what it prints is what a start then does.

use crate::container::Container;
use crate::harness::{Host, Result};

/// The operations of a plan: the indented lines from the host's on, up to the environment.
fn operations(plan: &str) -> Vec<String> {
    let lines = plan.lines().skip_while(|line| *line != "on the host:");
    let lines = lines.take_while(|line| *line != "environment:");
    lines.filter_map(|line| line.strip_prefix("  ")).map(str::to_owned).collect()
}

/// Starts `p1` and compares what its supervisor did with what was printed before.
fn compare(host: &Host, p1: &Container) -> Result<()> {
    let planned = operations(&host.ok("containerctl plan p1")?);
    p1.start()?;
    let done = host.ok("cat /run/containerctl/p1/trace")?;
    let done: Vec<String> = done.lines().map(str::to_owned).collect();
    ensure!(planned.len() > 30, "few operations: {planned:#?}");
    ensure!(planned == done, "planned {planned:#?}\ndone {done:#?}");
    Ok(())
}

#[test]
fn a_start_does_what_the_plan_says() -> Result<()> {
    let host = boot!();
    let p1 = Container::busybox(&host, "p1")?;
    let id = "11223344556677889900aabbccddeeff";
    host.case("by default", || {
        p1.define(&format!("[Exec]\nMachineID={id}\n"))?;
        compare(&host, &p1)?;
        p1.stop()
    });
    host.case("with the ids of the host, mounts and a device", || {
        p1.define(&format!(
            "[Exec]\nMachineID={id}\nPrivateUsers=no\nPrivileged=yes\nNesting=yes\n[Files]\nBind=/srv:/run/x\nTemporaryFileSystem=/opt\nDeviceAllow=/dev/loop0 rw\n"
        ))?;
        compare(&host, &p1)?;
        p1.stop()
    });
    host.case("the journal of LinkJournal=host is bound, and the plan makes nothing of it", || {
        p1.define(&format!("[Exec]\nMachineID={id}\nLinkJournal=host\n"))?;
        host.ok("mkdir -p /var/log/journal")?;
        let plan = host.ok("containerctl plan p1")?;
        let bind =
            format!("  bind '/var/log/journal/{id}' to '/var/log/journal/{id}' (nosuid,nodev,noexec)\n");
        ensure!(plan.contains(&bind), "no '{bind}' in {plan}");
        host.ok(&format!("test ! -e /var/log/journal/{id}"))?;
        compare(&host, &p1)?;
        p1.inside(&format!("grep -q ' /var/log/journal/{id} ' /proc/self/mountinfo"))?;
        // SEC-28: what root of the container makes there is no program of root's.
        p1.inside(&format!(
            "cp /bin/busybox /var/log/journal/{id}/who && chmod 4755 /var/log/journal/{id}/who"
        ))?;
        host.ok(&format!("test $(stat -c %u /var/log/journal/{id}/who) -ge 65536"))?;
        p1.stop()
    });
    host.case("a link to the guest's journal is one of the operations", || {
        p1.define(&format!("[Exec]\nMachineID={id}\nLinkJournal=guest\n"))?;
        host.ok(&format!("rm -rf /var/log/journal/{id}"))?;
        compare(&host, &p1)?;
        host.ok(&format!("test -L /var/log/journal/{id} && rm /var/log/journal/{id}"))?;
        p1.stop()
    });
    host.case("a journal of somebody else is refused by the plan, and told where it is only tried", || {
        host.ok(&format!("mkdir /var/log/journal/{id} && touch /var/log/journal/{id}/system.journal"))?;
        p1.define(&format!("[Exec]\nMachineID={id}\nLinkJournal=host\n"))?;
        let told = host.fails("containerctl plan p1")?;
        ensure!(told.stderr.contains("is not the journal of 'p1'"), "{told}");
        p1.define(&format!("[Exec]\nMachineID={id}\nLinkJournal=auto\n"))?;
        let told = host.run("containerctl plan p1")?;
        ensure!(told.code == 0 && told.stderr.contains("is not the journal of 'p1'"), "{told}");
        ensure!(!told.stdout.contains("/var/log/journal"), "{told}");
        compare(&host, &p1)?;
        p1.stop()
    });
    host.finish()
}

#[test]
fn a_running_container_is_audited_by_what_it_was_given() -> Result<()> {
    let host = boot!();
    let p1 = Container::busybox(&host, "p1")?;
    host.case("not by what its definition says since", || {
        p1.start()?;
        p1.define("[Exec]\nDropCapability=CAP_CHOWN\nNoNewPrivileges=yes\nSystemCallFilter=bpf\n")?;
        host.ok("containerctl audit p1")?;
        p1.stop()
    });
    host.case("also where a command is executed in a tree without an init", || {
        p1.define("")?;
        host.ok(&format!("rm -f {0}/sbin/init {0}/usr/sbin/init {0}/bin/init", p1.root()))?;
        host.ok("containerctl execute p1 -- sleep 1000 </dev/null >/dev/null 2>&1 & echo $! >/srv/client")?;
        host.wait_until(crate::container::SOON, "pgrep -fx 'sleep 1000'")?;
        host.ok("containerctl audit p1")?;
        host.ok("kill -KILL $(cat /srv/client)").map(drop)
    });
    host.finish()
}
