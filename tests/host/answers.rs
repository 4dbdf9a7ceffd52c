//! System calls that a program outside answers: LXC's seccomp profiles with `notify`.

use std::fs;

use crate::container::{Container, SOON};
use crate::harness::{Host, Result};

/// As LXD writes it: directories of any kind, and of the devices those that are character devices.
const PROFILE: &str = "2\ndenylist\n[all]\nmkdir notify\nmkdirat notify\n\
                       mknod notify [1,8192,SCMP_CMP_MASKED_EQ,61440]\n\
                       mknodat notify [2,8192,SCMP_CMP_MASKED_EQ,61440]\n";
/// Runs what is put into `/tasks`, as the payload's own.
const WORKER: &str = "mkdir /made-first; echo works\n\
                      while :; do for task in /tasks/*.sh; do\n\
                      if [ -f $task ]; then mv $task $task.ran; (sh $task.ran >$task.said 2>&1; mv $task.said $task.end) & fi\n\
                      done; sleep 0.05; done\n";
/// What a call says that nobody answers.
const ABSENT: &str = "Function not implemented";

fn start_proxy(host: &Host) -> Result<()> {
    host.ok("systemctl reset-failed proxy 2>/dev/null
        systemd-run -q --unit=proxy python3 /srv/proxy.py /run/proxy /srv/log")?;
    host.wait_until(SOON, "grep -q /run/proxy /proc/net/unix")
}

fn definition(name: &str) -> String {
    format!(
        "[Exec]\nBoot=no\nParameters=/bin/sh /script\nSeccompProfile=/srv/calls.profile\n\
         SeccompNotifyProxy=/run/proxy\nSeccompNotifyCookie=/var/lib/containerctl/{name}/rootfs\n"
    )
}

/// A container whose payload does what it is told.
fn worker<'a>(host: &'a Host, name: &'a str) -> Result<Container<'a>> {
    let container = Container::defined(host, name, &definition(name))?;
    container.write("/script", WORKER)?;
    host.ok(&format!("mkdir {}/tasks", container.root()))?;
    Ok(container)
}

/// Lets the payload run `line`, from now on.
fn begin(container: &Container, task: &str, line: &str) -> Result<()> {
    container.write(&format!("/tasks/{task}"), line)?;
    let (from, to) = (format!("/tasks/{task}"), format!("/tasks/{task}.sh"));
    let path = |path| container.host.path(container.root() + path);
    Ok(fs::rename(path(&from)?, path(&to)?)?)
}

/// What that said, once it has ended.
fn end(container: &Container, task: &str) -> Result<String> {
    let end = format!("/tasks/{task}.sh.end");
    container.host.wait_until(SOON, &format!("test -e {}{end}", container.root()))?;
    container.read(&end)
}

fn does(container: &Container, task: &str, line: &str) -> Result<String> {
    begin(container, task, line)?;
    end(container, task)
}

fn asked(host: &Host, name: &str) -> Result<()> {
    host.wait_until(SOON, &format!("grep -q '^{name} ' /srv/log"))
}

#[test]
fn a_program_outside_answers_calls() -> Result<()> {
    let host = boot!();
    fs::write(host.path("/srv/proxy.py")?, include_str!("proxy.py"))?;
    fs::write(host.path("/srv/calls.profile")?, PROFILE)?;
    let p1 = worker(&host, "p1")?;
    host.case("without a program that listens, it is not started", || {
        let told = host.fails("containerctl start p1")?;
        let words = "/etc/containerctl/p1.conf:5: SeccompNotifyProxy= nobody listens at '/run/proxy'";
        ensure!(told.code == 66 && told.stderr.contains(words), "{told}");
        p1.is_gone()
    });
    start_proxy(&host)?;
    host.case("its first call is answered", || {
        host.ok("systemctl reset-failed; containerctl start p1")?;
        p1.says("works")?;
        ensure!(host.ok(&format!("ls {}", p1.root()))?.contains("made-first"), "nothing was made");
        let log = host.ok("grep '^made-first ' /srv/log")?;
        let expected = format!("made-first {} {} sound\n", p1.property("MainPID")?, p1.leader()?);
        ensure!(log == expected, "asked with: {log}, not: {expected}");
        Ok(())
    });
    host.case("an answer is a value, an error, or leave to go on", || {
        for (name, says, made) in
            [("made", "", true), ("denied", "Disk quota exceeded", false), ("through", "", true)]
        {
            let said = does(&p1, name, &format!("mkdir /{name}"))?;
            let there = host.run(&format!("test -d {}/{name}", p1.root()))?.code == 0;
            ensure!(
                said.contains(says) && said.is_empty() == says.is_empty() && there == made,
                "{name}: {said}"
            );
        }
        // Who made it is told by its owner: root of the container, or root of the tree.
        host.ok(&format!("test $(stat -c %u {}/through) = 0", p1.root())).map(drop)
    });
    host.case("a condition on an argument decides who is asked", || {
        let said = does(&p1, "device", "mknod /zero c 1 5; mkfifo /fifo; mknod /disk b 8 0")?;
        ensure!(said == "mknod: /disk: Operation not permitted\n", "{said}");
        host.ok(&format!("test -c {0}/zero -a -p {0}/fifo", p1.root())).map(drop)
    });
    host.case("what is no answer is an error at once", || {
        for name in ["other", "odd"] {
            let said = does(&p1, name, &format!("mkdir /{name}"))?;
            ensure!(said.contains(ABSENT), "{name}: {said}");
        }
        Ok(())
    });
    host.case("calls wait beside each other, not for each other", || {
        begin(&p1, "slow-1", "mkdir /slow-1 && echo done")?;
        asked(&host, "slow-1")?;
        ensure!(does(&p1, "made-2", "mkdir /made-2 && echo done")? == "done\n", "it was not made");
        host.fails(&format!("test -e {}/tasks/slow-1.sh.end", p1.root()))?;
        ensure!(end(&p1, "slow-1")? == "done\n", "it has no answer");
        Ok(())
    });
    host.case("an attached process is answered, too", || {
        let attach = "containerctl attach p1 --";
        host.ok(&format!("{attach} mkdir /made-3; test -d {}/made-3", p1.root()))?;
        let told = host.fails(&format!("{attach} mkdir /denied-3"))?;
        ensure!(told.stderr.contains("Disk quota exceeded"), "{told}");
        host.wait_until(SOON, "test $(systemctl show --value -p NFileDescriptorStore container@p1) = 9")
    });
    let killed = || -> Result<()> {
        host.ok("systemctl kill -s KILL --kill-whom=main container@p1")?;
        p1.becomes("active")?;
        host.wait_until(SOON, "journalctl -u container@p1 | grep -q 'took the running container over'")
    };
    host.case("a supervisor that is killed leaves no call waiting, and the next one has calls answered", || {
        let leader = p1.leader()?;
        host.ok(
            "containerctl attach p1 -- sh -c 'echo $$ >/there; while ! test -e /go; do sleep 0.1; done; mkdir /made-4' &
             for try in $(seq 100); do test -s /var/lib/containerctl/p1/rootfs/there && exit 0; sleep 0.1; done; exit 1",
        )?;
        begin(&p1, "slow-2", "mkdir /slow-2")?;
        asked(&host, "slow-2")?;
        killed()?;
        let said = end(&p1, "slow-2")?;
        ensure!(said.contains(ABSENT), "{said}");
        ensure!(does(&p1, "made-5", "mkdir /made-5 && echo done")? == "done\n", "it has no answer");
        ensure!(p1.leader()? == leader, "another payload");
        // Who was attached before is still heard.
        p1.write("/go", "")?;
        host.wait_until(SOON, &format!("test -d {}/made-4", p1.root()))
    });
    host.case("a reload waits for answers, and takes another cookie over", || {
        let (leader, pid) = (p1.leader()?, p1.property("MainPID")?);
        begin(&p1, "slow-3", "mkdir /slow-3 && echo done")?;
        asked(&host, "slow-3")?;
        host.ok(&format!("mkdir {0}/below", p1.root()))?;
        fs::write(
            host.path("/etc/containerctl/p1.conf")?,
            definition("p1").replace("rootfs\n", "rootfs/below\n"),
        )?;
        host.ok("systemctl daemon-reload; systemctl reload container@p1")?;
        ensure!(end(&p1, "slow-3")? == "done\n", "it has no answer");
        ensure!(does(&p1, "made-6", "mkdir /made-6 && echo done")? == "done\n", "it has no answer");
        host.ok(&format!("test -d {}/below/made-6", p1.root()))?;
        ensure!((p1.leader()?, p1.property("MainPID")?) == (leader, pid), "it was restarted");
        Ok(())
    });
    host.case("a program that dies costs the calls that it had, and is found again", || {
        for name in ["short", "dies", "made-gone"] {
            let said = does(&p1, name, &format!("mkdir /{name}"))?;
            ensure!(said.contains(ABSENT), "{name}: {said}");
        }
        host.ok("journalctl -u container@p1 -o cat | grep -q \"ENOSYS: nobody listens at '/run/proxy'\"")?;
        start_proxy(&host)?;
        let said = does(&p1, "made-7", "mkdir /made-7 && echo done")?;
        ensure!(said == "done\n", "{said}");
        Ok(())
    });
    host.case("it ends as any other, and leaves nothing", || {
        p1.stop()?;
        ensure!(p1.property("NFileDescriptorStore")? == "0", "something is kept");
        p1.is_gone()
    });
    host.case("every call of a payload can be asked about, from its exec on", || {
        fs::write(host.path("/srv/calls.profile")?, "2\nallowlist notify\n[all]\nsendmsg\n")?;
        let p2 = Container::defined(&host, "p2", &definition("p2"))?;
        p2.write("/script", "echo asked; exec sleep 1000\n")?;
        p2.start()?;
        p2.says("asked")?;
        let said = host.ok("containerctl attach p2 -- echo attached")?;
        ensure!(said == "attached\n", "{said}");
        p2.stop()
    });
    host.finish()
}
