//! The rest of what programs do over the bus: several containers at once, journals, waiting, commands of all kinds, and
//! the network.

use crate::bus::{by, container, manager, place_scripts};
use crate::container::{Container, SOON};
use crate::harness::{Host, Result};

/// A call of a container, with what its descriptors give.
fn reading(label: &str, call: &str) -> String {
    container(label, call).replacen("call.py ", "call.py --read ", 1)
}

fn network(call: &str) -> String {
    format!("python3 /srv/call.py /org/containerctl1/network {call}")
}

/// Each call fails with an error whose name and text begin so.
fn refuses(host: &Host, calls: &[(String, &str)]) -> Result<()> {
    for (call, said) in calls {
        let refused = host.fails(call)?;
        ensure!(refused.stderr.starts_with(&format!("org.containerctl1.Error.{said}")), "{call}: {refused}");
    }
    Ok(())
}

#[test]
fn programs_do_the_rest_of_what_verbs_do() -> Result<()> {
    let host = boot!();
    place_scripts(&host)?;
    let p1 = Container::busybox(&host, "p1")?;
    let definition = "[Exec]\nPrivateUsers=no\nPrivileged=yes\n[Container]\nGroups=web\nStartPriority=7\n[Console]\nTtys=1\n";
    let p2 = Container::defined(&host, "p2", definition)?;
    host.case("several at once, by name and by group", || {
        let started = host.ok(&manager(
            r#"StartContainers 'a{sv}' '{"Names":["as",["p1","p9"]],"Groups":["as",["web"]]}'"#,
        ))?;
        let said = r#"[[["p9", "org.containerctl1.Error.NotFound", "there is no container 'p9'"#;
        ensure!(started.starts_with(said) && started.matches("NotFound").count() == 1, "{started}");
        ensure!(p1.leader()? > 0 && p2.leader()? > 0, "not started");
        let freeze = |verb: &str| manager(&format!(r#"{verb}Containers 'a{{sv}}' '{{"All":["b",true]}}'"#));
        host.ok(&freeze("Freeze"))?;
        host.ok("containerctl list --json | jq -e 'map(.state) == [\"frozen\", \"frozen\"]'")?;
        host.ok(&freeze("Thaw"))?;
        let before = p1.leader()?;
        ensure!(host.ok(&freeze("Restart"))?.trim() == "[[]]" && p1.leader()? != before, "not restarted");
        host.ok(&freeze("Enable"))?;
        let listed = host.ok(&manager("ListAutostart"))?;
        ensure!(listed.trim() == r#"[[["p2", 7, 0, ["web"]], ["p1", 0, 0, []]]]"#, "{listed}");
        host.ok(&freeze("Disable"))?;
        ensure!(
            host.ok(&manager("ListGroups"))?.trim() == r#"[[["web", ["p2"]]]]"#,
            "{}",
            host.ok(&manager("ListGroups"))?
        );
        Ok(())
    });
    host.case("several are signalled and stopped, at once or without waiting", || {
        let web = r#"'{"Groups":["as",["web"]]}'"#;
        host.ok(&manager(&format!("KillContainers 'a{{sv}}si' {web} '\"leader\"' 12")))?;
        p2.becomes("inactive")?;
        host.ok(&manager(&format!("StartContainers 'a{{sv}}' {web}")))?;
        let stopped = host.ok(&manager(&format!(
            "StopContainers 'a{{sv}}a{{sv}}' {web} '{{\"TimeoutUSec\":[\"t\",0]}}'"
        )))?;
        ensure!(stopped.trim() == "[[], []]", "{stopped}");
        p2.is_gone()?;
        host.ok(&manager(&format!("StartContainers 'a{{sv}}' {web}")))?;
        host.ok(&manager(&format!("StopContainers 'a{{sv}}a{{sv}}' {web} '{{\"NoWait\":[\"b\",true]}}'")))?;
        p2.becomes("inactive")
    });
    host.case("the example does all that, too", || {
        host.ok("python3 /srv/containers.py start-group web")?;
        ensure!(host.ok("python3 /srv/containers.py wait p2 running 20")? == "running\n", "not running");
        host.ok("python3 /srv/containers.py members | grep -E '^p2 eth0 10[.].* in .* out$'")?;
        host.ok("python3 /srv/containers.py stop-group web")?;
        let late = host.fails("python3 /srv/containers.py wait p2 running 0.2")?;
        ensure!(late.stderr.trim() == "p2 is not running after 0.2 seconds", "{late}");
        p2.is_gone()
    });
    host.case("all are looked at, and their units", || {
        let only = |filter: &str| {
            host.ok(&format!(
                "{} | jq -r '.[0] | fromjson | map(.name) | join(\" \")'",
                manager(&format!("DescribeContainers 'a{{sv}}' '{filter}'"))
            ))
        };
        ensure!(only("{}")?.trim() == "p1 p2", "{}", only("{}")?);
        ensure!(only(r#"{"States":["as",["running"]]}"#)?.trim() == "p1", "not by state");
        ensure!(
            only(r#"{"Groups":["as",["web"]],"Patterns":["as",["p*"]]}"#)?.trim() == "p2",
            "not by group"
        );
        host.ok(&format!(
            "{} | jq -e '.[0] | fromjson | any(.machine == \"p1\" and .inside == 1)'",
            manager("DescribeProcesses")
        ))?;
        let load = manager(r#"DescribeLoad 'a{sv}' '{"IntervalUSec":["t",100000],"Order":["s","name"]}'"#);
        host.ok(&format!("{load} | jq -e '.[0] | fromjson | .[0] | .name == \"p1\" and .cpu_percent >= 0'"))?;
        host.ok(&format!("{} | jq -re '.[0]' | grep -F 'container@p1.service.d'", manager("DescribeUnits")))
            .map(drop)
    });
    host.case("one is looked at: plan, limits, stages of its start, scrollback", || {
        host.ok(&format!(
            "containerctl plan p1 --json >/srv/plan && {} | jq -e '.[0] | fromjson | [.outside, .inside, .capabilities] == ($verb[0] | [.outside, .inside, .capabilities])' --slurpfile verb /srv/plan",
            container("p1", "DescribePlan")
        ))?;
        host.ok(&container("p1", r#"SetLimits asb '["TasksMax=77"]' true"#))?;
        host.ok(&format!(
            "{} | jq -e '.[0] | fromjson | any(.key == \"TasksMax\" and .value == \"77\")'",
            container("p1", "DescribeLimits")
        ))?;
        host.ok(&format!(
            "{} | jq -e '.[0] | length > 3 and all(.[1] >= 0)'",
            container("p1", "ListTimings")
        ))?;
        let shown =
            |options: &str| host.ok(&container("p1", &format!("ReadScrollback 'a{{sv}}' '{options}'")));
        ensure!(shown(r#"{"Clear":["b",true]}"#)?.contains("p1 is up"), "nothing is shown");
        ensure!(shown("{}")?.trim() == r#"["b''"]"#, "{}", shown("{}")?);
        Ok(())
    });
    host.case("the definition as a whole", || {
        let text =
            |call: &str| host.ok(&format!("{} | jq -r '.[{call}]'", container("p1", "ReadDefinition")));
        ensure!(text("0")?.trim() == "/etc/containerctl/p1.conf", "{}", text("0")?);
        let before = host.ok("jq -Rs . /etc/containerctl/p1.conf")?.replace('\'', "'\\''");
        let write =
            |before: &str, text: &str| container("p1", &format!("WriteDefinition ss '{before}' '{text}'"));
        let written = host.ok(&write(before.trim(), r##""# mine\n[Exec]\nHostname=other\n""##))?;
        ensure!(written.trim() == r#"[[["Exec", "Hostname", "restart"]], []]"#, "{written}");
        refuses(
            &host,
            &[
                (
                    write(before.trim(), r#""[Exec]\n""#),
                    "Busy: '/etc/containerctl/p1.conf' was changed meanwhile",
                ),
                (
                    write(r##""# mine\n[Exec]\nHostname=other\n""##, r#""[Exec]\nBoot=perhaps\n""#),
                    "Config: /etc/containerctl/p1.conf:2:",
                ),
            ],
        )?;
        host.ok("grep -x '# mine' /etc/containerctl/p1.conf").map(drop)
    });
    host.case("the journal, to its end or on and on", || {
        let journal = |options: &str| host.ok(&reading("p1", &format!("OpenJournal 'a{{sv}}' '{options}'")));
        let console = journal(r#"{"Source":["s","console"],"Output":["s","cat"]}"#)?;
        ensure!(console.contains("p1 is up") && console.trim().ends_with(r#""", "0\n"]"#), "{console}");
        ensure!(!console.contains("systemd"), "{console}");
        let wrong = journal(r#"{"Since":["s","nonsense"]}"#)?;
        ensure!(wrong.contains("nonsense") && wrong.trim().ends_with(r#""1\n"]"#), "{wrong}");
        let last = journal(r#"{"Lines":["u",1],"SinceStart":["b",true]}"#)?;
        ensure!(last.matches("\\n").count() == 2, "{last}");
        host.ok(&container("p1", r#"OpenJournal 'a{sv}' '{"Follow":["b",true]}'"#))?;
        host.wait_until(SOON, "! pgrep -f '[j]ournalctl --unit=container@p1'")?;
        let followed = host.ok("timeout 20 python3 /srv/containers.py follow p1 'p1 is up'")?;
        ensure!(followed.contains("p1 is up"), "{followed}");
        Ok(())
    });
    host.case("a state is waited for, as long as the caller is there", || {
        let wait = |states: &str, usec: &str| format!("Wait ast '{states}' {usec}");
        ensure!(
            host.ok(&reading("p1", &wait(r#"["running"]"#, "18446744073709551615")))?.trim()
                == r#"["running\n"]"#,
            "not at once"
        );
        ensure!(host.ok(&reading("p1", &wait(r#"["frozen"]"#, "300000")))?.trim() == r#"[""]"#, "not late");
        host.ok(&format!(
            "{} >/srv/reached 2>&1 &",
            reading("p2", &wait(r#"["running","failed"]"#, "60000000"))
        ))?;
        host.wait_until(SOON, "pgrep -f 'containerctl-worke[r] call'")?;
        p2.start()?;
        host.wait_until(SOON, r#"grep -F '["running\n"]' /srv/reached"#)?;
        host.ok(&container("p1", &wait(r#"["frozen"]"#, "18446744073709551615")))?;
        host.wait_until(SOON, "! pgrep -f 'containerctl-worke[r] call'")
    });
    host.case("a terminal beside the console", || {
        let typed = host.ok("python3 /srv/containers.py console p2 over-there 1")?;
        ensure!(typed.contains("over-there"), "{typed:?}");
        let console = host.ok(&container("p2", "ReadScrollback 'a{sv}' '{}'"))?;
        ensure!(!console.contains("over-there"), "{console}");
        refuses(
            &host,
            &[
                (
                    container("p2", r#"OpenConsole 'a{sv}' '{"TTY":["u",2]}'"#),
                    "NotFound: container 'p2' has no tty2",
                ),
                (
                    container("p2", r#"OpenConsole 'a{sv}' '{"TTY":["u",64]}'"#),
                    "Config: there is no terminal 64",
                ),
            ],
        )
    });
    host.case("a command with more rights, in some namespaces, without variables", || {
        let run = |call: &str| host.ok(&reading("p1", call));
        let bounds = r#"'["sh","-c","grep CapBnd /proc/self/status; id -u"]' '{}'"#;
        let (own, all) = (run(&format!("Execute 'asa{{sv}}' {bounds}"))?, run(&format!("ExecuteElevated 'asa{{sv}}' {bounds}"))?);
        ensure!(own != all && all.contains("\\n0\\n") && all.trim().ends_with(r#""0\n"]"#), "{own} {all}");
        let net = run(r#"ExecuteElevated 'asa{sv}' '["/bin/sh","-c","ls /etc/containerctl; ip link show eth0"]' '{"Namespaces":["as",["net"]]}'"#)?;
        ensure!(net.contains("p1.conf") && net.contains("eth0"), "{net}");
        let bare = run(r#"Execute 'asa{sv}' '["/usr/bin/env"]' '{"ClearEnvironment":["b",true],"Environment":["as",["A=b"]]}'"#)?;
        ensure!(bare.contains(r#""container=containerctl\nA=b\n""#), "{bare}");
        host.ok(&container("p1", "OpenElevatedShell 'a{sv}' '{}'")).map(drop)
    });
    host.case("a container for one command", || {
        p1.stop()?;
        let alone = |command: &str, options: &str| {
            host.ok(&reading("p1", &format!("ExecuteAlone 'asa{{sv}}' '{command}' '{options}'")))
        };
        let ran = alone(
            r#"["sh","-c","echo $$; echo err >&2; touch /root/mark; exit 7"]"#,
            r#"{"Ephemeral":["b",true]}"#,
        )?;
        ensure!(ran.contains(r#""err\n", "7\n"]"#), "{ran}");
        p1.is_gone()?;
        ensure!(p1.read("/root/mark").is_err(), "it is not forgotten");
        host.ok(&container("p1", r#"ExecuteAlone 'asa{sv}' '["sleep","4321"]' '{"Terminal":["b",true]}'"#))?;
        host.wait_until(SOON, "! pgrep -f 'slee[p] 4321'")?;
        p1.becomes("inactive")?;
        p1.start()
    });
    host.case("the process that audits is a sealed copy of its program", || {
        let audit = container("p2", "Audit");
        host.ok(&format!("{audit} >/srv/audited & until readlink $(pgrep -f 'containerctl-worke[r] audit' | sed 's,.*,/proc/&/exe,') /nowhere | grep memfd:containerctl; do kill -0 $! || exit 1; done; wait"))?;
        host.ok("jq -e '.[0] | fromjson | all(.holds)' /srv/audited").map(drop)
    });
    host.case("mistakes have a name and a sentence", || {
        refuses(&host, &[
            (manager("StartContainers 'a{sv}' '{}'"), "Config: one of the options 'Names', 'Groups' and 'All'"),
            (manager(r#"StartContainers 'a{sv}' '{"Names":["as",["a b"]]}'"#), "Config: 'a b' is not a machine name"),
            (manager(r#"StartContainers 'a{sv}' '{"Groups":["as",["nosuch"]]}'"#), "NotFound: no container is in group"),
            (manager(r#"StopContainers 'a{sv}a{sv}' '{"All":["b",true]}' '{"NoWait":["b",true],"TimeoutUSec":["t",1]}'"#), "Config: the options 'NoWait'"),
            (manager(r#"DescribeContainers 'a{sv}' '{"States":["as",["asleep"]]}'"#), "Config: 'asleep'"),
            (manager(r#"DescribeLoad 'a{sv}' '{"IntervalUSec":["t",0]}'"#), "Config: the interval"),
            (manager(r#"DescribeLoad 'a{sv}' '{"Order":["s","colour"]}'"#), "Config: 'colour' is none of"),
            (container("p9", "DescribePlan"), "NotFound: there is no container 'p9'"),
            (container("p9", "ListTimings"), "NotFound: there is no container 'p9'"),
            (container("p1", r#"OpenJournal 'a{sv}' '{"Source":["s","host"]}'"#), "Config: 'host' is none of"),
            (container("p1", r#"OpenJournal 'a{sv}' '{"File":["s","/etc/shadow"]}'"#), "Config: option 'File' means"),
            (container("p1", r#"Wait ast '["asleep"]' 1"#), "Config: 'asleep'"),
            (container("p1", "Wait ast '[]' 1"), "Config: there is no state to wait for"),
            (container("p9", r#"Wait ast '["running"]' 1"#), "NotFound: there is no container 'p9'"),
            (container("p1", r#"Execute 'asa{sv}' '["ls"]' '{"Namespaces":["as",["net"]]}'"#), "Config: option 'Namespaces' means"),
            (container("p1", r#"ExecuteElevated 'asa{sv}' '["ls"]' '{"Namespaces":["as",["time"]]}'"#), "Config: 'time'"),
            (container("p1", r#"ExecuteAlone 'asa{sv}' '["ls"]' '{}'"#), "Busy: container 'p1' is running"),
            (container("p1", "ExecuteAlone 'asa{sv}' '[]' '{}'"), "Config: there is no command"),
        ])
    });
    host.finish()
}

#[test]
fn programs_see_and_change_the_network() -> Result<()> {
    let host = boot!();
    place_scripts(&host)?;
    let p1 = Container::busybox(&host, "p1")?;
    let get = |name: &str| {
        host.ok(&format!("busctl get-property --json=short org.containerctl1 /org/containerctl1/network org.containerctl1.Network {name} | jq -c .data"))
    };
    let members = |filter: &str| host.ok(&format!("{} | jq -ec '.[0] | {filter}'", network("ListMembers")));
    host.case("before a container needs it there is none", || {
        ensure!(
            host.ok(&network("Describe"))?.trim() == r#"["null"]"# && get("Up")?.trim() == "false",
            "there is one"
        );
        ensure!(host.ok(&network("ListMembers"))?.trim() == "[[]]", "it has members");
        host.ok(&network(r#"ListPorts s '""'"#)).map(drop)
    });
    p1.start()?;
    host.case("it is seen, and who is in it", || {
        ensure!(get("Name")?.trim() == r#""ctl0""# && get("Up")?.trim() == "true", "{} {}", get("Name")?, get("Up")?);
        ensure!(get("IPv4")?.starts_with("\"10."), "{}", get("IPv4")?);
        members(r#"length == 1 and (.[0].Container[1] == "p1") and (.[0].Port[1] == "vb-p1") and (.[0].SentBytes[1] > 0)"#)?;
        host.ok(&format!("{} | jq -e '.[0] | fromjson | .members[0].machine == \"p1\"'", network("Describe"))).map(drop)
    });
    host.case("links come and go, and are told of", || {
        host.ok("python3 /srv/containers.py watch 50 >/srv/told 2>&1 & echo $! >/srv/watcher")?;
        host.wait_until(SOON, "grep -x watching /srv/told")?;
        let attach = |rest: &str| network(&format!("Attach 'ssasa{{sv}}' '\"p1\"' {rest}"));
        let made = host.ok(&attach("'\"eth1\"' '[]' '{}'"))?;
        ensure!(made.contains("eth1: veth") && made.contains("a port of 'ctl0'"), "{made}");
        members("length == 2")?;
        p1.inside("ip link show eth1")?;
        host.ok(&network(r#"Detach ss '"p1"' '"eth1"'"#))?;
        p1.inside("! ip link show eth1 2>&1")?;
        host.wait_until(SOON, "grep -x 'MemberRemoved p1 eth1' /srv/told")?;
        host.ok("grep -E '^MemberNew p1 eth1 10[.][0-9.]+ fd' /srv/told && kill $(cat /srv/watcher)")?;
        host.ok("ip link add nic type veth peer name far && ip link set nic up")?;
        host.ok(&container("p1", r#"AddDevice sssb '"nic"' '"lan0"' '""' false"#))?;
        p1.inside("ip link show lan0")?;
        ensure!(
            host.ok(&container("p1", "ListDevices"))?.trim() == r#"[[["nic", ""]]]"#,
            "{}",
            host.ok(&container("p1", "ListDevices"))?
        );
        host.ok(&container("p1", r#"RemoveDevice ssb '"nic"' '""' false"#))?;
        host.ok("ip link show nic")?;
        host.ok(&attach(r#"'"eth2"' '["Type=macvlan","Parent=nic"]' '{"Persist":["b",true]}'"#))?;
        host.ok("containerctl config get p1 'Interface eth2.Parent' | grep -x nic")?;
        host.ok(&network(r#"Detach ss '"p1"' '"eth2"'"#)).map(drop)
    });
    host.case("ports lead in and are taken back", || {
        host.ok("nft flush ruleset")?;
        ensure!(host.ok(&network("Restore"))?.trim() == r#"[["p1"]]"#, "not restored");
        ensure!(host.ok(&network("Restore"))?.trim() == "[[]]", "restored twice");
        p1.inside("mkdir /www; echo first >/www/index.html; httpd -p 80 -h /www")?;
        host.ok(&network(r#"AddPort 'ssa{sv}' '"p1"' '"8080:80"' '{}'"#))?;
        host.ok("busybox wget -T 5 -q -O - http://127.0.0.1:8080/ | grep -x first")?;
        host.ok(&format!(
            "{} | jq -e '.[0][0][0:3] == [\"tcp\", 8080, \"p1\"]'",
            network(r#"ListPorts s '"p1"'"#)
        ))?;
        host.ok(&network(r#"RemovePort ss '"p1"' '"8080"'"#))?;
        ensure!(host.ok(&network(r#"ListPorts s '""'"#))?.trim() == "[[]]", "it is left");
        Ok(())
    });
    host.case("mistakes have a name and a sentence", || {
        refuses(
            &host,
            &[
                (
                    network(r#"Attach 'ssasa{sv}' '"p1"' '"eth0"' '[]' '{}'"#),
                    "Busy: container 'p1' has an interface 'eth0'",
                ),
                (network(r#"Attach 'ssasa{sv}' '"p1"' '"e9"' '["Colour=red"]' '{}'"#), "Config: "),
                (
                    network(r#"Attach 'ssasa{sv}' '"p9"' '"e9"' '[]' '{}'"#),
                    "NotFound: there is no container 'p9'",
                ),
                (network(r#"Detach ss '"p1"' '"e9"'"#), "NotFound: container 'p1' has no interface 'e9'"),
                (network(r#"AddPort 'ssa{sv}' '"p1"' '"70000"' '{}'"#), "Config: '70000' is not a port"),
                (
                    network(r#"AddPort 'ssa{sv}' '"p1"' '"80"' '{"For":["s","ever"]}'"#),
                    "Config: option 'For' means nothing",
                ),
                (network(r#"RemovePort ss '"p1"' '"4711"'"#), "NotFound: tcp port 4711"),
                (
                    container("p1", r#"AddDevice sssb '"nosuch"' '""' '""' false"#),
                    "NotFound: the host has no interface",
                ),
            ],
        )
    });
    host.case("who may not is told nothing of it", || {
        host.ok("useradd joe")?;
        for call in [network("ListMembers"), network(r#"Detach ss '"p1"' '"eth0"'"#)] {
            let refused = host.fails(&by("joe", &call))?;
            ensure!(refused.stderr.contains("InteractiveAuthorizationRequired"), "{refused}");
        }
        p1.inside("ip link show eth0").map(drop)
    });
    host.finish()
}
