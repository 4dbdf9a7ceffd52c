//! Somebody flushes the rule set of the packet filter while containers run: told, and put back.

use crate::container::{Container, SOON};
use crate::harness::{Host, Result};

/// What `containerctl check` says of the rules.
fn checked(host: &Host) -> Result<String> {
    host.ok("containerctl check | sed -n 's/^rules of running containers *//p'")
}

#[test]
fn rules_that_somebody_has_flushed_come_back() -> Result<()> {
    let host = boot!();
    host.ok(
        "ip netns add world && ip link add up0 type veth peer name eth0 netns world && ip link set up0 up &&
        ip addr add 198.51.100.1/24 dev up0 && ip -n world link set eth0 up &&
        ip -n world addr add 198.51.100.2/24 dev eth0",
    )?;
    let all = "[Network]\nPort=8080:80\n[Interface eth0]\nIsolated=yes\nRateIn=8M\n[Interface eth1]\n";
    let p1 = Container::defined(&host, "p1", all)?;
    let p2 = Container::busybox(&host, "p2")?;
    p1.start()?;
    p2.start()?;
    let listed = "nft -s list ruleset | sed '/io.systemd.nat/,/^}/d' | sort";
    let before = host.ok(listed)?;
    ensure!(before.contains("8080") && before.contains("limit rate over"), "{before}");
    ensure!(checked(&host)?.starts_with("ok"), "{}", checked(&host)?);
    host.case("check names those without their rules, and says what to do", || {
        host.ok("nft flush ruleset")?;
        let told = checked(&host)?;
        ensure!(
            told.contains("not those of p1, p2") && told.contains("'containerctl network restore'"),
            "{told}"
        );
        // The way out has gone with them.
        host.fails(&format!("nsenter -t {} -n ping -c 1 -W 1 198.51.100.2", p2.leader()?)).map(drop)
    });
    host.case("network restore puts back all of them, and the way out", || {
        let told = host.ok("containerctl network restore")?;
        ensure!(told == "Put back the rules of p1, p2.\n", "{told}");
        let after = host.ok(listed)?;
        ensure!(after == before, "before\n{before}\nafter\n{after}");
        p2.inside("ping -c 1 -W 5 198.51.100.2")?;
        ensure!(host.ok("containerctl network restore")?.is_empty(), "there was more to put back");
        Ok(())
    });
    for (what, command) in [
        ("a table", "nft delete table bridge containerctl"),
        ("that of all ports", "nft delete table netdev containerctl"),
        ("the hook of one", "nft delete chain netdev containerctl guard_vb_2dp2"),
        ("a chain", "nft flush chain inet containerctl prerouting"),
        ("a rule of one", "nft flush chain netdev containerctl port_vb_2dp2"),
        ("an element", "nft delete element bridge containerctl members '{ vb-p2 }'"),
    ] {
        host.case(&format!("what lacks no more than {what}"), || {
            host.ok(command)?;
            ensure!(checked(&host)?.contains("p2"), "{}", checked(&host)?);
            host.ok("containerctl network restore")?;
            let after = host.ok(listed)?;
            ensure!(after == before, "before\n{before}\nafter\n{after}");
            Ok(())
        });
    }
    host.case("nftables.service, which flushes them, is followed", || {
        for verb in ["start", "reload", "restart"] {
            host.ok(&format!("systemctl {verb} nftables"))?;
            host.wait_until(SOON, "containerctl check | grep -E '^rules of running containers +ok'")?;
        }
        Ok(())
    });
    host.case("the next start or stop of any container puts back everybody's", || {
        let p3 = Container::busybox(&host, "p3")?;
        host.ok("nft flush ruleset")?;
        p3.start()?;
        ensure!(checked(&host)?.starts_with("ok"), "{}", checked(&host)?);
        host.ok("nft flush ruleset")?;
        p3.stop()?;
        ensure!(checked(&host)?.starts_with("ok"), "{}", checked(&host)?);
        Ok(())
    });
    host.case("one whose link somebody deleted keeps nobody from theirs", || {
        host.ok("nft flush ruleset; ip link del vb-p1")?;
        // Before Linux 6.16 a limit cannot be put on a link that is not there.
        let restored = host.run("containerctl network restore")?;
        ensure!(restored.code <= 1 && restored.stderr.lines().count() <= 1, "{restored}");
        ensure!(!checked(&host)?.contains("p2"), "{}", checked(&host)?);
        Ok(())
    });
    host.case("what was taken back stays away", || {
        host.ok("containerctl port add p2 9090:80; containerctl port remove p2 9090")?;
        host.ok("containerctl network attach p2 eth1 RateIn=8M; containerctl network detach p2 eth1")?;
        host.ok("systemctl stop container@p1; nft flush ruleset; containerctl network restore")?;
        host.fails("nft list ruleset | grep -E '9090|vb-p1|eth1|limit'").map(drop)
    });
    host.case("only root may", || {
        let refused = host.fails("setpriv --reuid 65534 --clear-groups containerctl network restore")?;
        ensure!(refused.code == 77, "{refused}");
        Ok(())
    });
    host.finish()
}
