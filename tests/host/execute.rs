//! Application containers: one command in a container of its own, with an init of ours.

use crate::container::{Container, SOON, private_users};
use crate::harness::{Host, Output, Result};

fn execute(host: &Host, arguments: &str) -> Result<Output> {
    host.run(&format!("containerctl execute p1 {arguments} </dev/null"))
}

fn says(output: &Output, code: i32, words: &str) -> Result<()> {
    let told = format!("{}{}", output.stdout, output.stderr);
    ensure!(output.code == code && told.contains(words), "not {code} and '{words}': {output}");
    Ok(())
}

#[test]
fn one_command_has_a_container_of_its_own() -> Result<()> {
    let host = boot!();
    let p1 = Container::busybox(&host, "p1")?;
    // Its own init is a trap: it must not be needed.
    p1.write("/bin/trap", "#!/bin/sh\necho trapped\n")?;
    host.ok(&format!(
        "chmod 755 {0}/bin/trap; rm -f {0}/sbin/init {0}/usr/sbin/init; ln -s trap {0}/bin/init",
        p1.root()
    ))?;
    for (arguments, code, words) in [
        ("-- true", 0, ""),
        ("-- sh -c 'echo out; echo err >&2; exit 7'", 7, "out\nerr\n"),
        ("-- sh -c 'kill -KILL $$'", 137, ""),
        ("-- nothing", 127, "'nothing'"),
        ("--user 1000 --cwd /etc --env A=b -- sh -c 'id -u; pwd; echo $A'", 0, "1000\n/etc\nb\n"),
        ("-- hostname", 0, "p1\n"),
        ("-- ls /proc/1/fd", 1, "Permission denied"),
    ] {
        host.case(arguments, || {
            says(&execute(&host, arguments)?, code, words)?;
            ensure!(p1.property("ActiveState")? == "inactive", "it is {}", p1.property("ActiveState")?);
            p1.is_gone()
        });
    }
    host.case("bytes go through, and the exit code is kept", || {
        let summed = host.ok("head -c 1048576 /dev/urandom >/srv/in; containerctl execute p1 -- sh -c 'cat; exit 3' </srv/in >/srv/out; echo $?; cmp /srv/in /srv/out")?;
        ensure!(summed == "3\n", "{summed}");
        Ok(())
    });
    host.case("it is a unit with a machine, and its init is ours", || {
        host.ok("containerctl execute p1 -- sleep 1000 </dev/null >/dev/null 2>&1 & echo $! >/srv/client")?;
        host.wait_until(SOON, "machinectl list --no-legend | grep p1 && pgrep -fx 'sleep 1000'")?;
        let leader = p1.leader()?;
        let seen = host.ok(&format!("readlink /proc/{leader}/exe; ls /proc/{leader}/fd; grep -E 'CapInh|CapAmb|Seccomp:|CapBnd' /proc/{leader}/status"))?;
        for part in [
            "/usr/lib/containerctl/containerctl-supervisor\n0\n1\n2\n",
            "CapInh:\t0000000000000000",
            "CapAmb:\t0000000000000000",
            "CapBnd:\t00000000acecb5ff",
            "Seccomp:\t2",
        ] {
            ensure!(seen.contains(part), "no {part} in {seen}");
        }
        says(&execute(&host, "-- true")?, 75, "'p1' is running; run commands in it with 'containerctl attach p1'")?;
        host.ok("containerctl attach p1 -- true </dev/null && kill -0 $(cat /srv/client)").map(drop)
    });
    host.case("a caller that is killed ends it", || {
        host.ok("kill -KILL $(cat /srv/client)")?;
        p1.becomes("inactive")?;
        p1.is_gone()
    });
    host.case("orphans are reaped, and signals passed on", || {
        says(&execute(&host, "-- sh -c '(sleep 0.1 &); sleep 0.5; cat /proc/[0-9]*/status | grep -c ^State:.*zombie'")?, 1, "0\n")?;
        let stopped = "sh -c 'trap \"echo asked; exit 9\" TERM; echo up; while :; do sleep 0.1; done'";
        let output = host.run(&format!("containerctl execute p1 -- {stopped} </dev/null >/srv/said & client=$!
            until grep -q up /srv/said; do sleep 0.1; done; systemctl stop container@p1; wait $client; code=$?; cat /srv/said; exit $code"))?;
        says(&output, 9, "up\nasked\n")?;
        p1.is_gone()
    });
    host.case("what does not listen is killed", || {
        let output = host.run("containerctl execute p1 -- sh -c 'trap : TERM; while :; do sleep 0.1; done' </dev/null & client=$!
            sleep 1; systemctl stop container@p1; wait $client")?;
        says(&output, 137, "")?;
        p1.is_gone()
    });
    host.case("a supervisor that is killed meanwhile changes nothing", || {
        let output = host.run(
            "containerctl execute p1 -- sh -c 'sleep 2; exit 5' </dev/null & client=$!
            sleep 1; systemctl kill -s KILL --kill-whom=main container@p1; wait $client",
        )?;
        says(&output, 5, "")?;
        p1.is_gone()
    });
    host.case("a reboot inside is the end, and nothing is booted", || {
        execute(&host, "-- reboot -f")?;
        p1.becomes("inactive")?;
        p1.is_gone()?;
        host.fails("journalctl -q CONTAINER_NAME=p1 -o cat | grep trapped").map(drop)
    });
    host.finish()
}

#[test]
fn an_ephemeral_one_leaves_nothing() -> Result<()> {
    let host = boot!();
    let p1 = Container::busybox(&host, "p1")?;
    let listed = || host.ok(&format!("find {} -printf '%P %y %m %U %s %T@\\n' | sort", p1.root()));
    for users in ["pick", "no"] {
        host.case(&format!("PrivateUsers={users}"), || {
            p1.define(&format!("[Exec]\n{}", private_users(users)))?;
            says(&execute(&host, "-- true")?, 0, "")?;
            let before = listed()?;
            let script = "echo x >>/etc/passwd; rm -r /usr/sbin; mkdir /new; chown 1:1 /root; touch /bin/new; test -d /new && test ! -e /usr/sbin && echo done";
            says(&execute(&host, &format!("--ephemeral -- sh -c '{script}'"))?, 0, "done\n")?;
            ensure!(listed()? == before, "{before}\n{}", listed()?);
            says(&execute(&host, "-- sh -c 'echo kept >/kept'")?, 0, "")?;
            host.ok(&format!("grep kept {0}/kept && rm {0}/kept", p1.root())).map(drop)
        });
    }
    host.case("root of the host's ids finds no file of the host by our init", || {
        let script = "grep -v \"\\[\" /proc/1/maps | grep /; for f in /proc/1/map_files/*; do readlink $f; done; readlink /proc/1/exe";
        let seen = execute(&host, &format!("-- sh -c '{script}'"))?;
        says(&seen, 0, "/memfd:containerctl (deleted)\n")?;
        ensure!(seen.stdout.lines().count() == 1, "{seen}");
        Ok(())
    });
    host.finish()
}

#[test]
fn mistakes_are_told_and_leave_nothing() -> Result<()> {
    let host = boot!();
    let p1 = Container::busybox(&host, "p1")?;
    host.case("what cannot be", || {
        says(&execute(&host, "")?, 2, "COMMAND")?;
        says(&host.run("containerctl execute nosuch -- true")?, 66, "'nosuch'")?;
        let nobody = "setpriv --reuid nobody --regid nogroup --clear-groups";
        says(&host.run(&format!("{nobody} containerctl execute p1 -- true"))?, 77, "only root may")?;
        says(&execute(&host, "--user nobody-there -- true")?, 66, "no user 'nobody-there'")?;
        p1.is_gone()
    });
    host.case("a definition that is wrong", || {
        p1.define("[Exec]\nBoot=perhaps\n")?;
        says(&execute(&host, "-- true")?, 78, "p1.conf:2:6")?;
        host.ok("systemctl reset-failed container@p1")?;
        p1.is_gone()?;
        p1.define("")
    });
    host.case("a note of somebody who is gone boots the container as ever", || {
        host.ok(
            "mkdir -p -m 700 /run/containerctl/p1 && echo 'ephemeral 1 2' >/run/containerctl/p1/execute",
        )?;
        p1.start()?;
        p1.says("p1 is up")
    });
    host.case("not beside a container that runs", || {
        says(&execute(&host, "-- true")?, 75, "'p1' is running")?;
        ensure!(p1.property("ActiveState")? == "active", "it was stopped");
        host.ok("test ! -s /run/containerctl/p1/execute || grep 'ephemeral 1 2' /run/containerctl/p1/execute")
            .map(drop)
    });
    host.finish()
}
