//! AppArmor, enforcing: who has which label, who may signal whom, and what a guest without user namespace gets.

use std::time::Duration;

use crate::container::{self, NO_LINK, label, leader};
use crate::harness::Result;
use crate::machine::Machine;

/// Limit for what takes a moment outside.
const SOON: Duration = Duration::from_secs(60);
const ENFORCED: &str = "containerctl_p1 (enforce)";

#[test]
fn every_process_of_a_container_has_its_profile() -> Result<()> {
    let machine = boot_machine!();
    machine.ok("containerctl create p1 --template busybox")?;
    for (what, definition) in [
        ("an init", NO_LINK.to_owned()),
        ("a program alone", format!("{NO_LINK}[Exec]\nBoot=no\nParameters=/bin/sleep 1000\n")),
        (
            "a program below our own init",
            format!("{NO_LINK}[Exec]\nProcessTwo=yes\nParameters=/bin/sleep 1000\n"),
        ),
        ("an init with the host's ids", format!("{NO_LINK}[Exec]\nPrivateUsers=no\n")),
        (
            "an init with ids of its own that are the host's",
            format!("{NO_LINK}[Exec]\nPrivateUsers=identity\n"),
        ),
    ] {
        machine.case(&format!("{what}: payload, children, attached"), || {
            machine.ok("systemctl stop container@p1")?;
            container::define(&machine, "p1", &definition)?;
            machine.ok("systemctl start container@p1")?;
            all_are_confined(&machine)
        });
    }
    machine.case("execute: the command and what it starts", || {
        machine.ok("systemctl stop container@p1")?;
        container::define(&machine, "p1", NO_LINK)?;
        let seen = machine.ok("containerctl execute p1 -- sh -c 'cat /proc/self/attr/apparmor/current; cat /proc/1/attr/apparmor/current'")?;
        let labels: Vec<_> = seen.lines().map(|line| line.trim_matches('\0')).collect();
        ensure!(labels == [ENFORCED, ENFORCED], "{labels:?}");
        let code = machine.run("containerctl execute p1 -- sh -c 'exit 7'")?.code;
        ensure!(code == 7, "exit code {code}");
        Ok(())
    });
    machine.case("a profile that is refused is an error and no container without", || {
        container::define(&machine, "p1", &format!("{NO_LINK}[Exec]\nAppArmorProfile=nosuch\n"))?;
        machine.fails("systemctl start container@p1")?;
        let failed = machine.fails("containerctl execute p1 -- true")?;
        ensure!(failed.stderr.contains("no profile 'nosuch' is loaded"), "{failed}");
        Ok(())
    });
    machine.case("unconfined by request", || {
        container::define(&machine, "p1", &format!("{NO_LINK}[Exec]\nAppArmorProfile=unconfined\n"))?;
        machine.ok("systemctl start container@p1")?;
        let seen = label(&machine, &leader(&machine, "p1")?)?;
        ensure!(seen == "unconfined", "{seen}");
        machine.ok("systemctl stop container@p1").map(drop)
    });
    machine.case("a profile is compiled once, and goes with its container", || {
        let compiled = "/var/cache/containerctl/apparmor/.compiled/*/p1";
        let look = || machine.ok(&format!("stat -c '%y %i' {compiled}"));
        machine.ok("systemctl stop container@p1")?;
        container::define(&machine, "p1", NO_LINK)?;
        machine.ok("systemctl start container@p1 && systemctl stop container@p1")?;
        let first = look()?;
        machine.fails("grep -w containerctl_p1 /sys/kernel/security/apparmor/profiles")?;
        machine.ok("systemctl start container@p1")?;
        let seen = label(&machine, &leader(&machine, "p1")?)?;
        ensure!(seen == ENFORCED && look()? == first, "{seen}, compiled {first} and then {}", look()?);
        container::define(&machine, "p1", &format!("{NO_LINK}[Exec]\nNesting=yes\n"))?;
        machine.ok("systemctl restart container@p1")?;
        ensure!(look()? != first, "a changed profile was not compiled");
        machine.ok(&format!("containerctl destroy --force p1 && ! ls {compiled}")).map(drop)
    });
    machine.finish()
}

/// Payload, what it has started, and an attached process, as the host sees them.
fn all_are_confined(machine: &Machine) -> Result<()> {
    let leader = leader(machine, "p1")?;
    let first = label(machine, &leader)?;
    ensure!(first == ENFORCED, "the leader has '{first}'");
    let attached = machine.ok("containerctl attach p1 -- cat /proc/self/attr/apparmor/current")?;
    ensure!(attached.trim_matches(['\n', '\0']) == ENFORCED, "an attached process has '{attached}'");
    machine.ok("systemd-run --quiet --collect --unit=attached containerctl attach p1 -- sleep 77")?;
    machine.wait_until(SOON, "pgrep -x -f 'sleep 77'")?;
    // Everything in the container's cgroups and its PID namespace, seen from outside.
    let others = machine.ok(
        "for g in $(find /sys/fs/cgroup/machine.slice/machine-p1.slice -name cgroup.procs); do \
         for p in $(cat $g); do [ $(grep ^NSpid: /proc/$p/status | wc -w) -gt 2 ] || continue; \
         tr '\\0\\n' '  ' </proc/$p/attr/apparmor/current; echo; done; done | sort -u",
    )?;
    machine.ok("systemctl stop attached")?;
    ensure!(others.trim() == ENFORCED, "processes of the container have '{others}'");
    Ok(())
}

#[test]
fn signals_reach_a_confined_container() -> Result<()> {
    let machine = boot_machine!();
    machine.ok("containerctl create p1 --template busybox")?;
    container::define(&machine, "p1", NO_LINK)?;
    machine.ok("systemctl start container@p1")?;
    machine.case("kill reaches the first process", || {
        // busybox powers off.
        machine.ok("containerctl kill p1 --signal USR2")?;
        machine.wait_until(SOON, "! systemctl is-active --quiet container@p1")?;
        machine.ok("systemctl start container@p1").map(drop)
    });
    machine.case("and everybody", || {
        machine.ok("systemd-run --quiet --collect --unit=victim containerctl attach p1 -- sleep 1000")?;
        machine.wait_until(SOON, "pgrep -x -f 'sleep 1000'")?;
        machine.ok("containerctl kill p1 --signal HUP --whom all")?;
        gone(&machine, "sleep 1000")
    });
    machine.case("a signal to attach reaches the command", || {
        let output = machine.run_within(
            Duration::from_secs(60),
            "timeout -s TERM 5 containerctl attach p1 -- sleep 1001; echo $?",
        )?;
        ensure!(output.stdout.trim() == "124", "{output}");
        gone(&machine, "sleep 1001")
    });
    machine.case("an attach that hung up leaves nothing", || {
        machine.ok("systemd-run --quiet --collect --unit=caller -p KillSignal=SIGHUP script -qec 'containerctl attach p1 -- sleep 1002' /dev/null")?;
        machine.wait_until(SOON, "pgrep -x -f 'sleep 1002'")?;
        machine.ok("systemctl stop caller")?;
        gone(&machine, "sleep 1002")
    });
    machine.case("nobody was refused a signal", || {
        let refused = machine.ok("journalctl -k --no-pager -o cat | grep 'apparmor=\"DENIED\"' | grep -E 'operation=\"(signal|ptrace|connect|sendmsg)\"' || true")?;
        ensure!(refused.is_empty(), "{refused}");
        Ok(())
    });
    machine.finish()
}

fn gone(machine: &Machine, command: &str) -> Result<()> {
    machine.wait_until(SOON, &format!("! pgrep -x -f '{command}'"))
}

#[test]
fn a_guest_with_the_hosts_ids_comes_up() -> Result<()> {
    let machine = boot_machine!();
    machine.ok("containerctl create p1 --from-tar /srv/guests/debian.tar")?;
    machine.case("identity: the kernel holds its mounts, and nothing is refused", || {
        container::define(&machine, "p1", &format!("{NO_LINK}[Exec]\nPrivateUsers=identity\n"))?;
        machine.ok("systemctl start container@p1")?;
        container::await_boot(&machine, "p1", "running")?;
        for refused in
            ["mount -t proc proc /mnt", "mount --bind /proc /mnt", "mount -o remount,bind,rw /proc/sys"]
        {
            machine.fails(&format!("containerctl attach p1 -- {refused}"))?;
        }
        machine.fails("containerctl attach p1 -- sh -c 'echo x >/proc/sys/kernel/core_pattern'")?;
        machine.ok("systemctl stop container@p1").map(drop)
    });
    machine.case("no user namespace: what fails is what was warned of", || {
        container::define(&machine, "p1", &format!("{NO_LINK}[Exec]\nPrivateUsers=no\n"))?;
        let plan = machine.ok("containerctl plan p1 2>&1")?;
        ensure!(plan.contains("services of the guest that systemd sandboxes will fail"), "{plan}");
        machine.ok("systemctl start container@p1")?;
        machine.ok(
            "journalctl -u container@p1 --no-pager -o cat | grep 'AppArmor refuses copies of the mount tree'",
        )?;
        container::await_boot(&machine, "p1", "degraded")?;
        let failed =
            machine.ok("containerctl attach p1 -- systemctl --failed --no-legend --plain | cut -d' ' -f1")?;
        ensure!(failed.trim() == "systemd-logind.service", "{failed}");
        machine.ok("systemctl stop container@p1").map(drop)
    });
    machine.finish()
}
