//! Containers in a machine.

use std::time::Duration;

use crate::harness::{Failure, Result};
use crate::machine::Machine;

/// A definition without a link, for whom it is not about the network.
pub const NO_LINK: &str = "[Network]\nVirtualEthernet=no\n";
/// Limit for the boot of an emulated guest with systemd.
const GUEST_BOOT: Duration = Duration::from_secs(180);

/// Writes a container's definition and has systemd read it.
pub fn define(machine: &Machine, name: &str, text: &str) -> Result<()> {
    let write = format!("cat >/etc/containerctl/{name}.conf <<'END'\n{text}\nEND\nsystemctl daemon-reload");
    machine.ok(&write).map(drop)
}

/// Waits until a guest with systemd says that it is up, and compares how.
pub fn await_boot(machine: &Machine, name: &str, expected: &str) -> Result<()> {
    let state = format!("containerctl attach {name} -- systemctl is-system-running");
    machine.wait_until(GUEST_BOOT, &format!("{state} | grep -qxE 'running|degraded'"))?;
    let seen = machine.run(&state)?.stdout;
    if seen.trim() != expected {
        let failed =
            machine.run(&format!("containerctl attach {name} -- systemctl --failed --no-legend --plain"))?;
        let kernel = machine.run("journalctl -k --no-pager -o cat -n 40 | grep DENIED")?;
        let text = format!("'{name}' is {} and not {expected}: {failed}\n{}", seen.trim(), kernel.stdout);
        return Err(Failure::new(text));
    }
    Ok(())
}

/// The name of the AppArmor profile of a process of the machine, and how it is applied.
pub fn label(machine: &Machine, pid: &str) -> Result<String> {
    Ok(machine
        .ok(&format!("cat /proc/{pid}/attr/apparmor/current"))?
        .trim_end_matches(['\n', '\0'])
        .to_owned())
}

/// The host's number of a container's first process.
pub fn leader(machine: &Machine, name: &str) -> Result<String> {
    Ok(machine.ok(&format!("machinectl show --value -p Leader {name}"))?.trim().to_owned())
}
