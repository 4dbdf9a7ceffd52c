//! SEC-32: frames of all shapes, made from a seed, are sent by a container, and an oracle says which of them may pass.
//! CONTAINERCTL_FRAMES=100000 makes it as many, CONTAINERCTL_SEED=N others.

use std::fs;

use crate::container::Container;
use crate::filter::{Ends, ends};
use crate::harness::{Host, Result};

/// Frames in the suite.
const FRAMES: &str = "4000";
/// A frame's number fits into what carries it.
const AT_A_TIME: usize = 20_000;

fn party(ends: &Ends) -> String {
    format!(r#"{{"mac": "{}", "v4": ["{}"], "v6": ["{}"]}}"#, ends.mac, ends.v4, ends.v6)
}

/// The bridge, as one end of what is sent to it.
fn router(host: &Host) -> Result<Ends> {
    let address = |family| {
        let show = format!("ip -{family} -o addr show dev ctl0 scope global | head -n 1");
        Ok::<_, crate::harness::Failure>(
            host.ok(&format!("{show} | sed 's/.*inet6* //; s,/.*,,'"))?.trim().to_owned(),
        )
    };
    let mac = host.ok("cat /sys/class/net/ctl0/address")?.trim().to_owned();
    Ok(Ends { mac, v4: address("4")?, v6: address("6")? })
}

/// An address of a network, by what stands behind its prefix.
fn in_network(address: &str, parts: usize, separator: char, rest: &str) -> String {
    let prefix: Vec<&str> = address.split(separator).take(parts).collect();
    format!("{}{rest}", prefix.join(&separator.to_string()))
}

#[test]
fn of_generated_frames_those_pass_that_the_oracle_allows() -> Result<()> {
    let host = boot!();
    fs::write(host.path("/srv/generated.py")?, include_str!("generated.py"))?;
    let [evil, victim] = ["evil", "victim"].map(|name| Container::busybox(&host, name));
    let (evil, victim) = (evil?, victim?);
    evil.start()?;
    victim.start()?;
    // Fragments come by as they are.
    host.ok(
        "for file in /proc/sys/net/bridge/bridge-nf-call-*tables; do ! test -e $file || echo 0 >$file; done",
    )?;
    let (own, other, router) = (ends(&evil)?, ends(&victim)?, router(&host)?);
    // What the neighbour has claimed is not the sender's.
    let claimed = in_network(&other.v6, 4, ':', "::c1a1:3ed");
    let enter = format!("nsenter -t {} -n", victim.leader()?);
    host.ok(&format!("{enter} ip addr add {claimed}/64 dev eth0 nodad"))?;
    host.ok(&format!("{enter} ping -c 1 -W 5 -I {claimed} {}", router.v6))?;
    let free4 = in_network(&router.v4, 3, '.', ".212");
    let free6 = in_network(&own.v6, 4, ':', "::f2ee:1");
    let theirs =
        format!(r#"{{"mac": "{}", "v4": ["{}"], "v6": ["{}", "{claimed}"]}}"#, other.mac, other.v4, other.v6);
    let config = format!(
        r#"{{"own": {}, "other": {theirs}, "host": {}, "free4": ["{free4}"], "free6": ["{free6}", "fe80::f2ee:1"]}}"#,
        party(&own),
        party(&router)
    );
    fs::write(host.path("/srv/generated.json")?, config)?;
    let frames = std::env::var("CONTAINERCTL_FRAMES").unwrap_or(FRAMES.to_owned());
    let frames: usize = frames.parse().map_err(|_| crate::harness::Failure::new("CONTAINERCTL_FRAMES"))?;
    let seed = std::env::var("CONTAINERCTL_SEED").unwrap_or("1".to_owned());
    let (from, to) = (evil.leader()?, victim.leader()?);
    host.case("none passes that must not, and each does that the container has a right to", || {
        for round in 0..frames.div_ceil(AT_A_TIME) {
            let count = AT_A_TIME.min(frames - round * AT_A_TIME);
            let judged = host.ok(&format!(
                "cd /tmp; rm -f stop seen.*; python='python3 /srv/generated.py'; config=/srv/generated.json
                nsenter -t {to} -n $python watch $config stop eth0 >seen.0 &
                $python watch $config stop ctl0 >seen.1 &
                $python watch $config stop vb-evil:0x800 vb-evil:0x86dd vb-evil:0x806 vb-evil:0x88cc vb-evil:0x4 >seen.2 &
                until test $(cat seen.* | grep -c watching) = 3; do sleep 0.05; done
                nsenter -t {from} -n $python send $config {seed}.{round} {count} eth0
                touch stop; wait; $python judge $config {seed}.{round} {count} seen.*"
            ))?;
            ensure!(judged.contains("MUST seen") && judged.contains("wrong 0\n"), "{judged}");
        }
        Ok(())
    });
    host.case("the bridge has learnt nothing from them", || {
        let learnt = host.ok("bridge fdb show br ctl0 dev vb-evil | grep -vE ' permanent| self '")?;
        ensure!(learnt.lines().all(|line| line.starts_with(&own.mac)), "{learnt}");
        victim.inside(&format!("ping -c 1 -W 5 {}", router.v4)).map(drop)
    });
    host.case("what was dropped is counted and shown", || {
        let shown = host.ok(
            "containerctl network info --json | jq '.members[] | select(.machine == \"evil\") | .dropped'",
        )?;
        let dropped: usize = shown.trim().parse().map_err(|_| crate::harness::Failure::new(shown))?;
        ensure!(dropped > frames / 4, "{dropped} of {frames}");
        host.ok("containerctl network info | grep -E '^CONTAINER.*DROPPED'").map(drop)
    });
    host.finish()
}
