//! What is told of containers, and what is changed while they are there: list, info, limit.

use crate::container::Container;
use crate::harness::{Host, Result};

/// Fails unless the command fails with this code and one line that holds these words.
pub fn refused(host: &Host, command_line: &str, code: i32, words: &str) -> Result<()> {
    let output = host.fails(command_line)?;
    let one_line = output.stderr.lines().count() == 1;
    ensure!(output.code == code && one_line && output.stderr.contains(words), "not '{words}': {output}");
    Ok(())
}

#[test]
fn containers_are_looked_at_and_limited() -> Result<()> {
    let host = boot!();
    let p1 = Container::busybox(&host, "p1")?;
    let web = Container::busybox(&host, "web-1")?;
    let root = Container::defined(&host, "root", "[Exec]\nPrivateUsers=no\nPrivileged=yes\n")?;
    host.ok("systemctl start container@p1 container@root && systemctl enable container@p1")?;
    host.case("list chooses by name and state, and which columns", || {
        let names =
            |arguments: &str| host.ok(&format!("containerctl list -F name {arguments} | tail -n +2 | xargs"));
        ensure!(names("")?.trim() == "p1 root web-1", "all: {}", names("")?);
        ensure!(names("'w*' r??t")?.trim() == "root web-1", "{}", names("'w*' r??t")?);
        ensure!(names("--state stopped")?.trim() == "web-1", "{}", names("--state stopped")?);
        ensure!(names("--state running,failed 'p*'")?.trim() == "p1", "not p1 alone");
        ensure!(names("nobody")?.trim().is_empty(), "somebody");
        let head = host.ok("containerctl list --columns all | head -n 1")?;
        ensure!(head.split_whitespace().count() == 14, "{head}");
        host.ok("containerctl list -F name,autostart,unit p1 | grep -xE 'p1 +yes +container@p1.service'")?;
        refused(&host, "containerctl list 'a b'", 78, "'a b' is not a pattern")?;
        ensure!(host.fails("containerctl list -F nonsense")?.code == 2, "taken");
        ensure!(host.fails("containerctl list --state nonsense")?.code == 2, "taken");
        Ok(())
    });
    host.case("a container's use of the processor is counted, and its time", || {
        host.ok("containerctl list p1 --json | jq -e '.[0] | .cpu_usec > 0 and .uptime_seconds >= 0 and .autostart'")?;
        host.ok("containerctl list web-1 --json | jq -e '.[0] | .cpu_usec == null and .uptime_seconds == null'").map(drop)
    });
    host.case("addresses are those of the container's own network", || {
        let ip = format!("nsenter -t {} -n ip", p1.leader()?);
        host.ok(&format!(
            "{ip} link add d0 type veth peer name d1 && {ip} link set d0 up && {ip} link set d1 up"
        ))?;
        host.ok(&format!(
            "{ip} address add 192.0.2.7/24 dev d0 && {ip} address add 2001:db8::7/64 dev d0 nodad"
        ))?;
        host.ok("containerctl list p1 -F addresses | grep -F 192.0.2.7 | grep -F 2001:db8::7")?;
        host.ok("containerctl info p1 --json | jq -e '[\"192.0.2.7\", \"2001:db8::7\"] - .addresses == []'")
            .map(drop)
    });
    host.case("info calls what is no user namespace what it is", || {
        host.ok(
            "containerctl info root | grep -F 'Users: PrivateUsers=no: root inside is root on the host'",
        )?;
        host.ok("containerctl info root --json | jq -e '.private_users == \"host\"'")?;
        host.ok("containerctl info p1 --json | jq -e '.private_users == \"private\" and .uids[1] == 65536'")
            .map(drop)
    });
    host.case("a limit holds at once, for good, and until it is taken back", || {
        host.ok("containerctl limit p1 MemoryMax=1G CPUQuota=50%")?;
        let property = |name: &str| host.ok(&format!("systemctl show --value -p {name} machine-p1.slice"));
        ensure!(property("MemoryMax")?.trim() == "1073741824", "{}", property("MemoryMax")?);
        host.ok("grep -x '50000 100000' /sys/fs/cgroup/machine.slice/machine-p1.slice/cpu.max || test ! -e /sys/fs/cgroup/machine.slice/machine-p1.slice/cpu.max")?;
        host.ok("systemctl daemon-reload")?;
        ensure!(property("CPUQuotaPerSecUSec")?.trim() == "500ms", "{}", property("CPUQuotaPerSecUSec")?);
        host.ok("containerctl limit p1 | grep -xE 'MemoryMax +1G +[^ ]+ +set'")?;
        host.ok("containerctl info p1 | grep -F 'Limits: MemoryMax=1G, CPUQuota=50%'")?;
        host.ok("containerctl limit p1 MemoryMax= CPUQuota=")?;
        ensure!(property("MemoryMax")?.trim() == "infinity", "{}", property("MemoryMax")?);
        host.fails("ls /etc/systemd/system.control/machine-p1.slice.d/* | grep .").map(drop)
    });
    host.case("a container that does not run is limited, and what is taken back is the definition's", || {
        web.define("[Resources]\nMemoryMax=2G\n")?;
        host.ok("containerctl limit web-1 MemoryMax=1G TasksMax=100")?;
        host.ok("containerctl limit web-1 --json | jq -e '.[0] | .value == \"1G\" and .from == \"set\"'")?;
        web.start()?;
        let property = r"systemctl show --value -p MemoryMax 'machine-web\x2d1.slice'";
        ensure!(host.ok(property)?.trim() == "1073741824", "{}", host.ok(property)?);
        web.stop()?;
        host.ok("containerctl limit web-1 MemoryMax= && containerctl limit web-1 | grep -xE 'MemoryMax +2G +[^ ]+ +definition'")?;
        ensure!(host.ok(property)?.trim() == "2147483648", "{}", host.ok(property)?);
        Ok(())
    });
    host.case("a limit until the boot is told as such, and none that would not hold is taken", || {
        host.ok("containerctl limit p1 --runtime MemoryHigh=5M && containerctl limit p1 | grep -xE 'MemoryHigh +5M +[^ ]+ +set until boot'")?;
        host.ok("test -e /run/systemd/system.control/machine-p1.slice.d/50-MemoryHigh.conf")?;
        refused(&host, "containerctl limit web-1 --runtime TasksMax=5", 75, "'TasksMax' is set for good in '/etc/systemd")
    });
    host.case("of wrong limits none is set", || {
        for (arguments, code, words) in [
            ("p1 CPUWeight=5 MemoryMax=lots", 78, "MemoryMax=: 'lots' is not a size"),
            ("p1 CPUWeight=5 Memory=1G", 78, "there is no limit 'Memory'"),
            ("p1 CPUWeight=5 MemoryMax", 78, "'MemoryMax' is not KEY=VALUE"),
            ("p1 CPUWeight=5 CPUQuota=0%", 78, "CPUQuota=: '0%' is not a share"),
            ("p1 NFTSet=x", 78, "'NFTSet=' can be changed in a definition only"),
            ("nobody MemoryMax=1G", 66, "there is no container 'nobody'"),
            ("p1 --runtime", 78, "'--runtime' needs a limit"),
        ] {
            refused(&host, &format!("containerctl limit {arguments}"), code, words)?;
        }
        ensure!(
            host.ok("systemctl show --value -p CPUWeight machine-p1.slice")?.trim() == "[not set]",
            "it is set"
        );
        let nobody = "setpriv --reuid nobody --regid nogroup --clear-groups containerctl limit p1 TasksMax=9";
        refused(&host, nobody, 77, "failed to change 'machine-p1.slice'")
    });
    host.case("destroy takes limits away", || {
        host.ok("containerctl destroy web-1 && containerctl create web-1 --template busybox")?;
        host.ok("containerctl limit web-1 | grep -xE 'TasksMax +[1-9][0-9]* +[^ ]+ +-'").map(drop)
    });
    root.stop()?;
    host.finish()
}
