//! A guest that has used up its tasks or is throttled starves nobody but itself (REL-7).

use std::time::Duration;

use crate::container::{self, NO_LINK};
use crate::harness::Result;

/// Has processes left in the container, and lowers its limit to as many as there are.
const USE_UP: &str = "containerctl limit p1 TasksMax=100 && systemctl start container@p1 &&
containerctl attach p1 -- sh -c 'for i in 1 2 3 4 5; do sleep 1000 & done' </dev/null &&
containerctl limit p1 TasksMax=$(cat /sys/fs/cgroup/machine.slice/machine-p1.slice/pids.current)";

#[test]
fn a_guest_that_uses_up_its_limits_starves_nobody_else() -> Result<()> {
    let machine = boot_machine!();
    machine.ok("containerctl create p1 --template busybox")?;
    container::define(&machine, "p1", NO_LINK)?;
    machine.case("attach names the limit and the verb that raises it", || {
        machine.ok(USE_UP)?;
        let output = machine.fails("timeout 60 containerctl attach p1 -- true </dev/null")?;
        ensure!(output.code == 75 && output.stderr.contains("is used up"), "{output}");
        ensure!(output.stderr.contains("'containerctl limit p1 TasksMax="), "{output}");
        machine
            .ok("containerctl limit p1 TasksMax=40 && timeout 60 containerctl attach p1 -- true </dev/null")
            .map(drop)
    });
    machine.case("it is reloaded, and adopted by a restarted supervisor", || {
        machine.ok(USE_UP)?;
        let leader = container::leader(&machine, "p1")?;
        machine.ok("systemctl reload container@p1")?;
        machine.ok("systemctl kill -s KILL --kill-whom=main container@p1")?;
        machine.wait_until(Duration::from_secs(60), "systemctl is-active container@p1")?;
        ensure!(container::leader(&machine, "p1")? == leader, "another leader");
        Ok(())
    });
    for stop in
        ["containerctl stop p1 --timeout 20", "containerctl stop p1 --kill", "systemctl stop container@p1"]
    {
        machine.case(stop, || {
            machine.ok(USE_UP)?;
            machine.ok(&format!("timeout 170 {stop}"))?;
            machine.fails("ls -d /sys/fs/cgroup/machine.slice/machine-p1.slice/machine-p1.scope")?;
            machine.ok("containerctl list | grep -E '^p1 +stopped '").map(drop)
        });
    }
    machine.case("limits that are changed or taken back hold at once", || {
        let holds = |tasks: &str| {
            let pids = machine.ok("cat /sys/fs/cgroup/machine.slice/machine-p1.slice/pids.max")?;
            ensure!(pids.trim() == tasks, "{} and not {tasks}", pids.trim());
            Ok(())
        };
        machine.ok("systemctl start container@p1 && containerctl config set p1 TasksMax=60")?;
        machine.ok("containerctl limit p1 TasksMax=50")?;
        holds("50")?;
        machine.ok("containerctl limit p1 TasksMax=")?;
        holds("60")?;
        machine.ok("containerctl config set p1 TasksMax=61")?;
        holds("61")?;
        machine.ok("systemctl show -p NeedDaemonReload machine-p1.slice | grep -x NeedDaemonReload=no")?;
        machine.fails("ls /run/systemd/system.control/machine-p1.slice.d/* | grep .").map(drop)
    });
    container::define(&machine, "p1", &format!("{NO_LINK}[Resources]\nMemoryHigh=1M\n"))?;
    machine.ok("containerctl enable p1")?;
    machine.reboot()?;
    machine.case("throttled at its MemoryHigh=, it does not hold up the boot", || {
        machine
            .ok("timeout 170 systemctl is-system-running --wait; systemctl is-active multi-user.target")
            .map(drop)
    });
    machine.case("throttled, it is stopped", || {
        machine.ok("timeout 170 containerctl stop p1 --timeout 20")?;
        machine.ok("containerctl list | grep -E '^p1 +stopped '").map(drop)
    });
    machine.finish()
}
