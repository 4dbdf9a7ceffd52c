//! Attaching: a command's rights, user, streams and end are as asked for, and nothing of it stays.

use std::fs;
use std::time::Duration;

use crate::container::{Container, SOON};
use crate::harness::{Failure, Host, Output, Result};

/// Streams of every kind, which a shell alone cannot make.
const DRIVER: &str = include_str!("attach.py");

/// Waits for a hangup, and leaves marks.
const WAITS: &str = "exec 2>/dev/null; trap 'echo hung up >/tmp/end; exit' HUP; echo >/tmp/begun; while :; do sleep 0.1; done";

/// Runs a command in p1, with plain streams.
fn attach(host: &Host, arguments: &str) -> Result<Output> {
    host.run(&format!("containerctl attach p1 {arguments} </dev/null"))
}

/// The same on a terminal, with things typed.
fn on_terminal(host: &Host, command: &str, typed: &str) -> Result<String> {
    host.ok(&format!("python3 /srv/attach.py terminal '{command}' {typed}"))
}

/// Copies the driver, and a megabyte that holds every byte.
fn prepare(host: &Host, p1: &Container) -> Result<()> {
    fs::write(host.path("/srv/attach.py")?, DRIVER)?;
    host.ok("head -c 1048576 /dev/urandom >/srv/seed")?;
    host.ok(&format!("mkdir -p {0}/tmp && cp /srv/seed {0}/seed", p1.root())).map(drop)
}

fn says(output: &Output, code: i32, words: &str) -> Result<()> {
    let told = format!("{}{}", output.stdout, output.stderr);
    ensure!(output.code == code && told.contains(words), "not {code} and '{words}': {output}");
    Ok(())
}

#[test]
fn commands_run_as_asked() -> Result<()> {
    let host = boot!();
    let p1 = Container::busybox(&host, "p1")?;
    prepare(&host, &p1)?;
    host.case("not in a container that does not run", || {
        says(&attach(&host, "")?, 66, "'p1' is not running; start it with")
    });
    p1.start()?;
    for (command, code, words) in [
        ("true", 0, ""),
        ("sh -c 'exit 255'", 255, ""),
        ("sh -c 'exit 125'", 125, ""),
        ("sh -c 'kill -TERM $$'", 143, ""),
        ("sh -c 'kill -KILL $$'", 137, ""),
        ("nothing", 127, "failed to execute 'nothing': No such file"),
        ("/etc/nothing", 127, "'/etc/nothing'"),
        ("/etc/passwd", 126, "failed to execute '/etc/passwd': Permission denied"),
        ("/etc", 126, "'/etc'"),
        ("''", 127, "''"),
    ] {
        host.case(&format!("{command} ends with {code}"), || {
            says(&attach(&host, &format!("-- {command}"))?, code, words)
        });
    }
    fs::write(
        host.path(p1.root() + "/etc/passwd")?,
        "root:x:0:0::/root:/bin/sh\nann:x:1000:100::/home/ann:/bin/sh\n",
    )?;
    fs::write(host.path(p1.root() + "/etc/group")?, "adm:x:4:bob,ann\nusers:x:100:\n")?;
    host.ok(&format!("mkdir -p {0}/home/ann && chown 1000 {0}/home/ann", p1.root()))?;
    for (arguments, printed) in [
        ("-- id", "uid=0(root) gid=0"),
        ("--user ann -- id", "uid=1000(ann) gid=100(users) groups=4(adm)"),
        (
            "--user ann -- sh -c 'pwd; echo $USER $HOME $LOGNAME $SHELL'",
            "/home/ann\nann /home/ann ann /bin/sh",
        ),
        ("--user 1000 -- id", "uid=1000(ann) gid=100(users)"),
        ("--user ann:adm -- id", "gid=4(adm)\n"),
        ("--user 77 -- id", "uid=77 gid=77\n"),
        ("--cwd /etc -- pwd", "/etc\n"),
        ("--user ann --cwd ../etc -- pwd", "/etc\n"),
        ("--clear-env --env A=b -- env", "container=containerctl\nA=b\n"),
        ("--env A= --env HOME=/x -- sh -c 'echo $A-$HOME'", "-/x\n"),
    ] {
        host.case(arguments, || says(&attach(&host, arguments)?, 0, printed));
    }
    host.case("the container's own getent knows more users", || {
        p1.write(
            "/bin/getent",
            "#!/bin/sh\n[ $1.$2 = passwd.far ] && echo far:x:2000:2001::/far:/bin/sh || exit 2\n",
        )?;
        host.ok(&format!("chmod 755 {}/bin/getent", p1.root()))?;
        says(&attach(&host, "--user far -- id")?, 0, "uid=2000 gid=2001")?;
        p1.write("/bin/getent", "#!/bin/sh\nsleep 1000\n")?;
        says(&attach(&host, "--user far -- id")?, 66, "no user 'far'")
    });
    for (arguments, code, words) in [
        ("--user nobody-there -- id", 66, "the container has no user 'nobody-there'"),
        ("--user root:none -- id", 66, "the container has no group 'none'"),
        ("--user 70000 -- id", 78, "70000"),
        ("--user 0x0 -- id", 78, "'0x0' is not a user"),
        ("--user 1: -- id", 78, "'1:' is not a user"),
        ("--user -- id", 2, "--user"),
        ("--cwd /nowhere -- pwd", 1, "'/nowhere': No such file"),
        ("--env A -- env", 78, "'A' sets no variable; write it as NAME=VALUE"),
        ("--env =b -- env", 78, "'' is no name of a variable"),
        ("--keep-env --clear-env -- env", 2, "--clear-env"),
        ("--namespaces net -- ip link", 78, "elevated"),
        ("--elevated --namespaces time -- id", 78, "'time' is no namespace; there are mnt"),
    ] {
        host.case(arguments, || says(&attach(&host, arguments)?, code, words));
    }
    host.case("some namespaces only", || {
        let output = attach(
            &host,
            "--elevated --namespaces net,uts -- sh -c 'hostname; ls -d /var/lib/containerctl'",
        )?;
        says(&output, 0, "p1\n/var/lib/containerctl")
    });
    host.case("nobody else may", || {
        let nobody = "setpriv --reuid nobody --regid nogroup --clear-groups";
        says(&host.run(&format!("{nobody} containerctl attach p1 -- true"))?, 77, "only root may")?;
        says(&host.run("containerctl attach nosuch")?, 66, "'nosuch'")
    });
    host.case("not in a frozen one", || {
        host.ok("systemctl freeze machine-p1.scope")?;
        let output = attach(&host, "-- true");
        host.ok("systemctl thaw machine-p1.scope")?;
        says(&output?, 75, "'p1' is frozen; thaw it")
    });
    host.case("the end of the container is the command's", || {
        let output =
            host.run("(sleep 1; systemctl stop container@p1) & containerctl attach p1 -- sleep 1000")?;
        // By its init's SIGTERM, or by the kill after it.
        ensure!([143, 137].contains(&output.code), "{output}");
        Ok(())
    });
    host.finish()
}

/// Lines of `/proc/self/status` of a command.
fn rights(host: &Host, options: &str) -> Result<String> {
    host.ok(&format!(
        "containerctl attach p1 {options} -- grep -E '^(Cap|NoNewPrivs|Seccomp)' /proc/self/status </dev/null"
    ))
}

#[test]
fn commands_have_the_rights_of_the_container_as_it_was_started() -> Result<()> {
    let host = boot!();
    let p1 = Container::busybox(&host, "p1")?;
    p1.start()?;
    let leaders = |fields: &str| host.ok(&format!("grep -E '^({fields})' /proc/{}/status", p1.leader()?));
    host.case("all that holds the first process holds the command", || {
        let (command, leader) = (rights(&host, "")?, leaders("Cap|NoNewPrivs|Seccomp")?);
        ensure!(command == leader, "{command}\n{leader}");
        for line in
            ["CapInh:\t0000000000000000", "CapAmb:\t0000000000000000", "Seccomp:\t2", "NoNewPrivs:\t0"]
        {
            ensure!(command.contains(line), "no {line} in {command}");
        }
        Ok(())
    });
    host.case("a user who is not root has none", || {
        let command = rights(&host, "--user 1000")?;
        ensure!(
            command.contains("CapEff:\t0000000000000000") && command.contains("Seccomp:\t2"),
            "{command}"
        );
        Ok(())
    });
    host.case("namespaces, cgroup, limits and OOM score are the container's", || {
        let leader = p1.leader()?;
        let (ours, theirs) = (
            attach(&host, "-- sh -c 'for n in /proc/self/ns/*; do readlink $n; done; ulimit -Hn; cat /proc/self/oom_score_adj'")?.stdout,
            host.ok(&format!("cd /proc/{leader}/ns && for n in *; do readlink $n; done; awk '/open files/ {{ print $5 }}' ../limits; cat ../oom_score_adj"))?,
        );
        ensure!(ours == theirs, "{ours}\n{theirs}");
        let cgroup = attach(&host, "-- cat /proc/self/cgroup")?.stdout;
        ensure!(cgroup.contains("0::/.containerctl"), "{cgroup}");
        Ok(())
    });
    host.case("a definition that was changed since changes nothing", || {
        let before = rights(&host, "")?;
        p1.define("[Exec]\nCapability=CAP_SYS_TIME\nNoNewPrivileges=yes\nSystemCallFilter=~mkdir\n")?;
        ensure!(rights(&host, "")? == before, "{before}\n{}", rights(&host, "")?);
        p1.stop()?;
        p1.start()?;
        let (command, leader) = (rights(&host, "")?, leaders("Cap|NoNewPrivs|Seccomp")?);
        ensure!(command == leader && command != before, "{command}\n{leader}");
        says(&attach(&host, "-- mkdir /tmp/x")?, 1, "Operation not permitted")
    });
    host.case("one whose rights are not known is not entered", || {
        host.ok("mv /run/containerctl/p1/rights /run/rights && echo '{}' >/run/containerctl/p1/rights")?;
        let output = attach(&host, "-- true");
        host.ok("mv /run/rights /run/containerctl/p1/rights")?;
        says(&output?, 1, "it is not known what the processes of 'p1' may do")
    });
    host.case("only an elevated one has more", || {
        let command = rights(&host, "--elevated")?;
        ensure!(
            command.contains("Seccomp:\t0") && command.contains("CapInh:\t0000000000000000"),
            "{command}"
        );
        Ok(())
    });
    host.finish()
}

#[test]
fn streams_of_every_kind_pass() -> Result<()> {
    let host = boot!();
    let p1 = Container::busybox(&host, "p1")?;
    prepare(&host, &p1)?;
    p1.start()?;
    host.case("a megabyte through each, and nobody waits for who holds on", || {
        let told = host.run_within(Duration::from_secs(120), "python3 /srv/attach.py")?;
        says(&told, 0, "bad combinations: 0\n")?;
        host.ok("containerctl attach p1 -- killall sleep </dev/null").map(drop)
    });
    host.case("a reader that goes away ends a command that writes", || {
        let codes = host.ok("bash -c 'containerctl attach p1 -- yes | head -n 1; echo ${PIPESTATUS[*]}'")?;
        ensure!(codes == "y\n141 0\n", "{codes}");
        Ok(())
    });
    host.case("a directory or device of the caller's is never passed", || {
        for stream in ["</etc", "</dev/kmsg", "2<>/dev/null"] {
            let command = "containerctl attach p1 -- ls -l /proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2";
            let seen = host.ok(&format!("{command} {stream}"))?;
            ensure!(seen.matches("pipe:[").count() == 3, "{stream}: {seen}");
        }
        Ok(())
    });
    host.case("signals of the caller reach the command", || {
        for (signal, code) in [("INT", 130), ("TERM", 143), ("QUIT", 131)] {
            let ended = "(exec containerctl attach p1 -- sleep 1000 </dev/null >/dev/null 2>&1) & sleep 0.5";
            host.ok(&format!("{ended}; kill -{signal} $!; wait $!; test $? = {code}"))?;
        }
        Ok(())
    });
    host.case("a caller that is killed ends the command by a hangup", || {
        p1.write("/wait", WAITS)?;
        host.ok(
            "(exec containerctl attach p1 -- sh /wait </dev/null >/dev/null 2>&1) & echo $! >/srv/client",
        )?;
        host.wait_until(SOON, &format!("test -e {}/tmp/begun", p1.root()))?;
        host.ok("kill -KILL $(cat /srv/client)")?;
        host.wait_until(SOON, &format!("grep 'hung up' {}/tmp/end", p1.root()))
    });
    host.finish()
}

#[test]
fn people_attach_on_terminals() -> Result<()> {
    let host = boot!();
    let p1 = Container::busybox(&host, "p1")?;
    prepare(&host, &p1)?;
    p1.start()?;
    let shell = "containerctl attach p1";
    host.case("a login shell on a terminal of the container's, in the caller's size", || {
        let printed = on_terminal(
            &host,
            shell,
            "'echo $0 $TERM-$(tty)\\r' 'stty size\\r' resize 'stty size\\r' 'exit 7\\r'",
        )?;
        for words in ["-sh xterm-/dev/pts/", "33 101", "44 77", "ended with 7"] {
            ensure!(printed.contains(words), "no {words} in {printed}");
        }
        Ok(())
    });
    host.case("Ctrl-C and Ctrl-Z are the command's", || {
        let printed = on_terminal(
            &host,
            shell,
            "'sleep 1000\\r' '\\x03' 'echo after $?\\r' 'cat\\r' '\\x1a' 'kill %%; exit 3\\r' 'exit 3\\r'",
        )?;
        ensure!(printed.contains("\nafter 130") && printed.contains("Stopped"), "{printed}");
        ensure!(printed.contains("ended with 3"), "{printed}");
        Ok(())
    });
    host.case("the last words are all there, though somebody else keeps the terminal", || {
        let command = "containerctl attach p1 -- sh -c \"trap : HUP; sleep 1000 & seq 20000; exit 4\"";
        let printed = on_terminal(&host, command, "")?;
        ensure!(printed.contains("\n19999\r\n20000\r\n") && printed.contains("ended with 4"), "{printed}");
        Ok(())
    });
    host.case("the terminal is put in order, and no screen is left that was not entered", || {
        let screen = |script: &str| on_terminal(&host, &format!("{shell} -- printf \"{script}\""), "");
        let (plain, full) = (screen("text")?, screen("\\033[?1049htext")?);
        ensure!(plain.contains("\x1b[0m\x1b[?25h") && !plain.contains("1049l"), "{plain:?}");
        ensure!(full.contains("\x1b[?1049l"), "{full:?}");
        Ok(())
    });
    for (how, end) in [("kill", "-9"), ("hang-up", "129")] {
        host.case(&format!("a {how} is a hangup inside"), || {
            host.ok(&format!("rm -f {}/tmp/end", p1.root()))?;
            p1.write("/wait", WAITS)?;
            let printed = on_terminal(&host, "containerctl attach p1 -- sh /wait", how)?;
            ensure!(printed.contains(&format!("ended with {end}")), "{printed}");
            host.wait_until(SOON, &format!("grep 'hung up' {}/tmp/end", p1.root()))
        });
    }
    host.case("what is no devpts is refused, and does not hold anybody up", || {
        p1.inside("mount -t tmpfs none /dev/pts && mkfifo /dev/pts/ptmx")?;
        let printed = on_terminal(&host, shell, "")?;
        ensure!(printed.contains("no devpts") && printed.contains("ended with 1"), "{printed}");
        says(&attach(&host, "-- echo plain")?, 0, "plain")?;
        p1.inside("umount /dev/pts && mount --bind /dev/null /dev/pts/ptmx")?;
        let printed = on_terminal(&host, shell, "")?;
        ensure!(printed.contains("no devpts") && printed.contains("ended with 1"), "{printed}");
        p1.inside("umount /dev/pts/ptmx").map(drop)
    });
    host.finish()
}

/// What must be as before once nobody is attached any more.
fn remains(host: &Host, p1: &Container) -> Result<String> {
    host.ok(&format!(
        "ls -A {}/payload/.containerctl; cat /proc/self/mountinfo | wc -l; ls /proc/sys/fs/binfmt_misc 2>/dev/null | wc -l;
        nsenter -t {} -m ls /dev/pts; pgrep -fc containerctl/containerctl-enter; ps -eo stat | grep -c Z; ls /proc/$(pgrep -f 'containerctl-supervisor run p1$')/fd | wc -l; true",
        host.ok("systemctl show -p ControlGroup --value machine-p1.scope | sed 's:^:/sys/fs/cgroup:'")?.trim(),
        p1.leader()?,
    ))
}

/// REL-19: a thousand attaches in a row, fifty at once.
#[test]
fn many_attaches_leave_nothing() -> Result<()> {
    let host = boot!();
    let p1 = Container::busybox(&host, "p1")?;
    p1.start()?;
    host.ok("containerctl attach p1 -- true </dev/null")?;
    let before = remains(&host, &p1)?;
    let empty = "cat /sys/fs/cgroup/machine.slice/machine-p1.slice/machine-p1.scope/payload/.containerctl/cgroup.procs | wc -l | grep -x 0";
    host.case("a thousand in a row, each with its own exit code", || {
        host.run_within(
            Duration::from_secs(200),
            "for i in $(seq 1000); do containerctl attach p1 -- sh -c \"exit $((i % 250))\" </dev/null; test $? = $((i % 250)) || exit 1; done",
        )
        .and_then(|output| if output.code == 0 { Ok(()) } else { Err(Failure::new(output.to_string())) })?;
        ensure!(remains(&host, &p1)? == before, "{before}\n{}", remains(&host, &p1)?);
        host.ok(empty).map(drop)
    });
    host.case("fifty at once", || {
        host.ok("for i in $(seq 50); do (containerctl attach p1 -- sh -c \"sleep 1; echo $i; exit $i\" </dev/null >/tmp/out-$i; test $? = $i && grep -qx $i /tmp/out-$i && echo fine >>/tmp/fine) & done; wait; test $(wc -l </tmp/fine) = 50")?;
        host.wait_until(SOON, empty)?;
        ensure!(remains(&host, &p1)? == before, "{before}\n{}", remains(&host, &p1)?);
        Ok(())
    });
    host.finish()
}
