//! Kinds of links and limits, for which other tiers lack the kernel.

use crate::container::{self, NO_LINK};
use crate::harness::Result;

/// Another host on a switch, as a namespace: a card of ours, a bridge, and the far end.
const LAN: &str = "set -e; ip netns add far; ip link add nic type veth peer name eth0 netns far
ip link set nic up; ip -n far link set eth0 up; ip -n far link set lo up; ip -n far addr add 192.168.77.1/24 dev eth0
ip link add lan type bridge; ip link set lan up
ip link add far0 master lan up type veth peer name eth1 netns far
ip -n far link set eth1 up; ip -n far addr add 192.168.78.1/24 dev eth1";

#[test]
fn links_of_every_kind_carry_packets() -> Result<()> {
    let machine = boot_machine!();
    machine.ok(LAN)?;
    machine.ok("containerctl create p1 --template busybox")?;
    let address = "Address=192.168.77.9/24\n";
    for (what, link, before) in [
        ("macvlan", "Type=macvlan\nParent=nic\n", ""),
        ("ipvlan", "Type=ipvlan\nParent=nic\n", ""),
        (
            "ipvlan, l3s: routed by the host",
            "Type=ipvlan\nMode=l3s\nParent=nic\n",
            "ip addr add 192.168.77.2/24 dev nic; ip -n far route add 192.168.77.9 via 192.168.77.2",
        ),
        (
            "vlan",
            "Type=vlan\nParent=nic\nVLAN=7\n",
            "ip addr flush dev nic; ip -n far link add link eth0 name v7 type vlan id 7; ip -n far addr flush dev eth0; \
             ip -n far link set v7 up; ip -n far addr add 192.168.77.1/24 dev v7",
        ),
    ] {
        machine.case(what, || {
            if !before.is_empty() {
                machine.ok(before)?;
            }
            machine.ok("systemctl stop container@p1")?;
            container::define(&machine, "p1", &format!("[Interface eth0]\n{link}{address}"))?;
            machine.ok("systemctl start container@p1")?;
            machine.ok("containerctl attach p1 -- ping -c 1 -W 20 192.168.77.1").map(drop)
        });
    }
    machine.case("a vlan of a bridge's port, and no other", || {
        machine.ok("systemctl stop container@p1")?;
        machine.ok(
            "ip link set lan type bridge vlan_filtering 1; bridge vlan add dev far0 vid 7 pvid untagged",
        )?;
        container::define(&machine, "p1", "[Interface eth0]\nBridge=lan\nVLAN=7\nAddress=192.168.78.9/24\n")?;
        machine.ok("systemctl start container@p1")?;
        machine.ok("containerctl attach p1 -- ping -c 1 -W 20 192.168.78.1")?;
        let vlans = machine.ok("bridge -j vlan show dev vb-p1 | jq -c '[.[].vlans[].vlan]'")?;
        ensure!(vlans.trim() == "[7]", "the port is in VLANs {vlans}");
        machine.ok("systemctl stop container@p1").map(drop)
    });
    machine.finish()
}

#[test]
fn limits_bite() -> Result<()> {
    let machine = boot_machine!();
    machine.ok("containerctl create p1 --template busybox")?;
    let limits = "[Resources]\nMemoryMax=64M\nMemorySwapMax=0\nTasksMax=40\nCPUQuota=50%\n";
    container::define(&machine, "p1", &format!("{NO_LINK}{limits}"))?;
    machine.ok("systemctl start container@p1")?;
    machine.case("memory", || {
        let output =
            machine.run("containerctl attach p1 -- sh -c 'head -c 200m /dev/zero | tail -c 190m | wc -c'")?;
        ensure!(output.stdout.trim() != "199229440", "all of it was had: {output}");
        machine
            .ok("grep -E '^oom_kill [1-9]' /sys/fs/cgroup/machine.slice/machine-p1.slice/memory.events")?;
        machine.ok("systemctl is-active container@p1").map(drop)
    });
    machine.case("tasks", || {
        let output = machine
            .run("containerctl attach p1 -- sh -c 'for i in $(seq 60); do sleep 5 & done; echo all'")?;
        ensure!(!output.stdout.contains("all"), "{output}");
        machine.ok("grep -E '^max [1-9]' /sys/fs/cgroup/machine.slice/machine-p1.slice/pids.events").map(drop)
    });
    machine.case("cpu", || {
        machine.ok("timeout 5 containerctl attach p1 -- sh -c 'while :; do :; done' || true")?;
        machine
            .ok("grep -E '^nr_throttled [1-9]' /sys/fs/cgroup/machine.slice/machine-p1.slice/cpu.stat")
            .map(drop)
    });
    machine.finish()
}
