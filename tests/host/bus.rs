//! The bus service: what each method does, who may call it, and when it comes and goes.

use std::fs;
use std::time::Duration;

use crate::container::{Container, SOON};
use crate::harness::{Host, Result};

const DIRECTORY: &str = "/org/containerctl1/container";
/// systemd's word for no limit.
pub const FOREVER: &str = "t 18446744073709551615";

/// The end of the service, not of the calls that it has begun.
const KILL: &str = "systemctl kill -s KILL --kill-whom=main containerctld";
/// What `SetConfig` says of a key that takes effect at the next start, and of one that does at once.
const CHANGED: &str = r#"[[["Exec", "Hostname", "restart"], ["Resources", "MemoryMax", "live"]], []]"#;

/// Puts the example and our scripts into the host.
pub fn place_scripts(host: &Host) -> Result<()> {
    for (name, text) in [
        ("containers", include_str!("../../contrib/examples/containers.py")),
        ("call", include_str!("bus/call.py")),
        ("contract", include_str!("bus/contract.py")),
        ("everything", include_str!("bus/everything.py")),
        ("shell", include_str!("bus/shell.py")),
        ("noise", include_str!("bus/noise.py")),
    ] {
        fs::write(host.path(format!("/srv/{name}.py"))?, text)?;
    }
    Ok(())
}

/// A call of the manager; the arguments are JSON.
pub fn manager(call: &str) -> String {
    format!("python3 /srv/call.py /org/containerctl1 {call}")
}

/// A call of a container, by the last part of its path.
pub fn container(label: &str, call: &str) -> String {
    format!("python3 /srv/call.py {DIRECTORY}/{label} {call}")
}

/// The same as another user.
pub fn by(user: &str, command_line: &str) -> String {
    format!("setpriv --reuid {user} --regid {user} --init-groups {command_line}")
}

/// A property of a container.
fn property(host: &Host, label: &str, property: &str) -> Result<String> {
    let get = format!("busctl get-property --json=short org.containerctl1 {DIRECTORY}/{label}");
    let value = host.ok(&format!("{get} org.containerctl1.Container {property} | jq -r .data"))?;
    Ok(value.trim().to_owned())
}

/// Pid of the service; 0 where it does not run.
pub fn service(host: &Host) -> Result<String> {
    Ok(host.ok("systemctl show --value -p MainPID containerctld")?.trim().to_owned())
}

#[test]
fn programs_do_over_the_bus_what_verbs_do() -> Result<()> {
    let host = boot!();
    place_scripts(&host)?;
    let p1 = Container { host: &host, name: "p1" };
    host.case("the first call starts the service", || {
        ensure!(service(&host)? == "0", "it runs already");
        ensure!(host.ok(&manager("ListContainers"))?.trim() == "[[]]", "there are containers");
        ensure!(service(&host)? != "0", "it does not run");
        Ok(())
    });
    host.case("introspection is the contract, and the library's own", || {
        for (object, name) in [("", "Manager"), ("/container/p1", "Container"), ("/network", "Network")] {
            let file = format!("/usr/share/dbus-1/interfaces/org.containerctl1.{name}.xml");
            host.ok(&format!("python3 /srv/contract.py /org/containerctl1{object} {file}"))?;
        }
        host.ok("busctl call org.containerctl1 / org.freedesktop.DBus.Peer Ping")?;
        host.ok(
            "busctl call org.containerctl1 / org.freedesktop.DBus.Peer GetMachineId | grep $(cat /etc/machine-id)",
        )
        .map(drop)
    });
    host.case("a container is created, started, looked at, stopped", || {
        let made = host.ok(&manager(r#"CreateContainer 'sa{sv}' '"p1"' '{"Template":["s","busybox"]}'"#))?;
        ensure!(made.trim() == format!("[\"{DIRECTORY}/p1\", []]"), "{made}");
        ensure!(property(&host, "p1", "State")? == "stopped", "{}", property(&host, "p1", "State")?);
        host.ok(&container("p1", "Start"))?;
        p1.says("p1 is up")?;
        let leader = p1.leader()?.to_string();
        for (name, value) in [("State", "running"), ("Leader", &leader), ("Scope", &p1.scope()?)] {
            ensure!(property(&host, "p1", name)? == value, "{name} is {}", property(&host, "p1", name)?);
        }
        let list = host.ok(&manager("ListContainers"))?;
        ensure!(list.trim() == format!("[[[\"p1\", \"running\", \"{DIRECTORY}/p1\"]]]"), "{list}");
        host.ok(&format!("{} | jq -e '.[0] | fromjson | .leader == {leader}'", container("p1", "Describe")))?;
        host.ok(&format!("{} | jq -e '.[0] | fromjson | all(.holds)'", container("p1", "Audit")))?;
        host.ok(&container("p1", &format!("Stop {FOREVER}")))?;
        p1.is_gone()
    });
    host.case("autostart", || {
        host.ok(&container("p1", "Enable"))?;
        ensure!(property(&host, "p1", "AutoStart")? == "true", "not enabled");
        host.ok(&container("p1", "Disable"))?;
        ensure!(property(&host, "p1", "AutoStart")? == "false", "not disabled");
        host.fails("systemctl is-enabled container@p1").map(drop)
    });
    host.case("limits", || {
        host.ok(&container("p1", r#"SetLimits asb '["MemoryMax=64M","CPUWeight=50"]' false"#))?;
        let limit = "systemctl show --value -p MemoryMax machine-p1.slice";
        ensure!(host.ok(limit)?.trim() == "67108864", "limit {}", host.ok(limit)?);
        host.ok(&container("p1", r#"SetLimits asb '["MemoryMax="]' false"#))?;
        ensure!(host.ok(limit)?.trim() == "infinity", "limit {}", host.ok(limit)?);
        let refused = host.fails(&container("p1", r#"SetLimits asb '["MemoryMax=lots"]' true"#))?;
        ensure!(
            refused.stderr.starts_with("org.containerctl1.Error.Config: MemoryMax=: 'lots'"),
            "{refused}"
        );
        Ok(())
    });
    host.case("an archive comes as a descriptor, a name with a dash has its own path", || {
        host.ok("tar -C /var/lib/containerctl/p1/rootfs -cf /srv/p1.tar .")?;
        let archive = r#"'{"Archive":["h","@/srv/p1.tar"]}'"#;
        let made = host.ok(&manager(&format!("CreateContainer 'sa{{sv}}' '\"web-1\"' {archive}")))?;
        ensure!(made.contains("/web_2d1"), "{made}");
        host.ok(&container("web_2d1", "Start"))?;
        ensure!(property(&host, "web_2d1", "State")? == "running", "not running");
        let refused = host.fails(&manager(r#"DestroyContainer ss '"web-1"' '"refuse"'"#))?;
        ensure!(refused.stderr.starts_with("org.containerctl1.Error.Busy: 'web-1' is running"), "{refused}");
        host.ok(&manager(r#"DestroyContainer ss '"web-1"' '"stop"'"#))?;
        Container { host: &host, name: "web-1" }.is_gone()
    });
    host.case("the example lists, starts, types and stops", || {
        host.ok("python3 /srv/containers.py start p1")?;
        let list = host.ok("python3 /srv/containers.py list")?;
        ensure!(list == format!("p1 running {}\n", p1.leader()?), "{list}");
        // The first line only wakes the console up.
        host.ok("python3 /srv/containers.py console p1 ''")?;
        let typed = host.ok("python3 /srv/containers.py console p1 'echo bus$((6*7))'")?;
        ensure!(typed.contains("bus42"), "{typed}");
        host.ok("python3 /srv/containers.py stop p1")?;
        p1.is_gone()
    });
    host.case("a command has pipes, a shell a terminal, and both tell how they ended", || {
        p1.start()?;
        let run = |command: &str| host.run(&format!("python3 /srv/containers.py run p1 {command}"));
        let ran = run("sh -c 'echo out; echo err >&2; exit 7'")?;
        ensure!((ran.stdout.as_str(), ran.stderr.as_str(), ran.code) == ("out\n", "err\n", 7), "{ran}");
        let ran = run("sh -c 'kill -9 $$'")?;
        ensure!(ran.code == 137, "{ran}");
        let ran = run("nosuchprogram")?;
        ensure!(ran.code == 127 && ran.stderr.contains("'nosuchprogram'"), "{ran}");
        let line = "echo $GREETING $PWD $(stty size) $(tty | cut -c 1-9); exit 3";
        let ran = host.run(&format!("python3 /srv/shell.py p1 '{line}'"))?;
        ensure!(ran.code == 3 && ran.stdout.contains("hello /etc 33 99 /dev/pts/"), "{ran}");
        Ok(())
    });
    host.case("devices and processes", || {
        host.ok(&container("p1", r#"AddDevice sssb '"/dev/fuse"' '""' '"rw"' false"#))?;
        ensure!(host.ok(&container("p1", "ListDevices"))?.contains(r#"["/dev/fuse", "rw"]"#), "not listed");
        p1.inside("test -c /dev/fuse")?;
        host.ok(&container("p1", r#"RemoveDevice ssb '"/dev/fuse"' '""' false"#))?;
        host.ok(&format!("{} | jq -e '.[0] == []'", container("p1", "ListDevices")))?;
        let processes = format!("{} | jq -e '.[0] | fromjson | .[0]", container("p1", "DescribeProcesses"));
        host.ok(&format!("{processes} | .pid == {} and .inside == 1'", p1.leader()?))?;
        let refused = host.fails(&container("p1", r#"AddDevice sssb '"/etc/passwd"' '""' '"rw"' false"#))?;
        ensure!(refused.stderr.starts_with("org.containerctl1.Error.Config: "), "{refused}");
        Ok(())
    });
    host.case("who lets go of a command ends it", || {
        let call = container("p1", r#"Execute 'asa{sv}' '["sleep", "4321"]' '{}'"#);
        host.ok(&call)?;
        host.wait_until(SOON, "! pgrep -f 'slee[p] 4321'")?;
        p1.stop()?;
        p1.is_gone()
    });
    host.case("it is frozen, thawed, restarted, signalled, renamed", || {
        host.ok(&container("p1", "Restart"))?;
        let before = p1.leader()?;
        host.ok(&container("p1", "Restart"))?;
        ensure!(p1.leader()? != before, "the leader is still {before}");
        host.ok(&container("p1", "Freeze"))?;
        ensure!(property(&host, "p1", "State")? == "frozen", "{}", property(&host, "p1", "State")?);
        let refused = host.fails(&container("p1", r#"Execute 'asa{sv}' '["true"]' '{}'"#))?;
        ensure!(
            refused.stderr.starts_with("org.containerctl1.Error.Busy: container 'p1' is frozen"),
            "{refused}"
        );
        host.ok(&container("p1", "Thaw"))?;
        ensure!(property(&host, "p1", "State")? == "running", "{}", property(&host, "p1", "State")?);
        // busybox' init powers off at SIGUSR2.
        host.ok(&container("p1", r#"Kill si '"leader"' 12"#))?;
        p1.becomes("inactive")?;
        let renamed = host.ok(&manager(r#"RenameContainer ss '"p1"' '"p2"'"#))?;
        ensure!(renamed.trim() == format!("[\"{DIRECTORY}/p2\", []]"), "{renamed}");
        host.ok(&container("p2", "Start"))?;
        host.ok(&container("p2", &format!("Stop {FOREVER}")))?;
        host.ok(&manager(r#"RenameContainer ss '"p2"' '"p1"'"#)).map(drop)
    });
    host.case("the host is checked", || {
        host.ok(&format!("{} | jq -e '.[0] | fromjson | length > 5'", manager("CheckHost")))?;
        host.ok(&format!("{} | jq -e '.[0] | fromjson | length > 2'", manager("ExamineHost"))).map(drop)
    });
    host.case("the definition", || {
        let changed = host.ok(&container(
            "p1",
            r#"SetConfig asas '["Hostname=changed","MemoryMax=1G"]' '["KillSignal"]'"#,
        ))?;
        ensure!(changed.trim() == CHANGED, "{changed}");
        let value = host.ok(&container("p1", r#"GetConfig s '"Hostname"'"#))?;
        ensure!(value.trim() == r#"[["changed"]]"#, "{value}");
        let shown = format!("{} | jq -r '.[0] | fromjson | .[] | .key'", container("p1", "DescribeConfig"));
        ensure!(host.ok(&shown)?.contains("Hostname"), "{}", host.ok(&shown)?);
        host.ok(&container("p1", r#"SetConfig asas '[]' '["Hostname","Resources.MemoryMax"]'"#)).map(drop)
    });
    host.case("changes are told to those who subscribed, and to nobody else", || {
        host.ok("python3 /srv/containers.py watch 50 >/srv/told 2>&1 & echo $! >/srv/watcher")?;
        host.ok("timeout 50 busctl wait org.containerctl1 /org/containerctl1 org.containerctl1.Manager StateChanged >/srv/waited 2>&1 &")?;
        host.wait_until(SOON, "grep -x watching /srv/told")?;
        // Nobody but the bus itself says that somebody has left.
        host.ok("for name in $(busctl list --no-legend | awk '$3 == \"python3\" {print $1}'); do busctl emit --destination=org.containerctl1 /org/freedesktop/DBus org.freedesktop.DBus NameOwnerChanged sss $name $name ''; done")?;
        host.ok("cp -a /var/lib/containerctl/p1/rootfs /srv/tree")?;
        host.ok("containerctl start p1 && containerctl stop p1")?;
        host.ok("containerctl create p3 --rootfs /srv/tree && containerctl destroy p3")?;
        host.wait_until(SOON, &format!("grep -x 'ContainerRemoved p3 {DIRECTORY}/p3' /srv/told"))?;
        let told = host.ok("cat /srv/told")?;
        for change in ["StateChanged p1", "ContainerNew p3"] {
            let state = if change.starts_with("State") { " running" } else { "" };
            let path = &change[change.len() - 2..];
            let line = format!("{change} {DIRECTORY}/{path}{state}");
            ensure!(told.lines().filter(|told| *told == line).count() == 1, "'{line}' not once in: {told}");
        }
        host.fails("grep . /srv/waited")?;
        host.ok("kill $(cat /srv/watcher)").map(drop)
    });
    host.case("a slow stop delays nobody, and takes no longer than asked", || {
        let slow = Container::running(&host, "slow", "trap : TERM\nwhile :; do sleep 1; done\n")?;
        slow.start()?;
        let stop = container("slow", "Stop t 3000000");
        host.ok(&format!("({stop} >/srv/stopped 2>&1; echo $? >>/srv/stopped) >/dev/null 2>&1 &"))?;
        slow.becomes("deactivating")?;
        host.ok(&manager("ListContainers"))?;
        host.fails("grep . /srv/stopped")?;
        host.wait_until(SOON, "grep -x 0 /srv/stopped")?;
        ensure!(slow.property("Result")? == "success", "result {}", slow.property("Result")?);
        slow.becomes("inactive")
    });
    host.case("mistakes have a name and a sentence", || {
        for (call, said) in [
            (container("p9", "Start"), "org.containerctl1.Error.NotFound: there is no container 'p9'"),
            (container("p9", &format!("Stop {FOREVER}")), "org.containerctl1.Error.NotFound: there is no"),
            (container("p9", "Describe"), "org.containerctl1.Error.NotFound: there is no container 'p9'"),
            (
                container("p1", r#"Execute 'asa{sv}' '["ls"]' '{}'"#),
                "org.containerctl1.Error.NotFound: container 'p1' is not running",
            ),
            (
                container("p1", r#"Execute 'asa{sv}' '[]' '{}'"#),
                "org.containerctl1.Error.Config: there is no",
            ),
            (
                container("p1", r#"OpenShell 'a{sv}' '{"User":["s","a b"]}'"#),
                "org.containerctl1.Error.Config: 'a b' is not a user",
            ),
            (
                container("p1", r#"OpenShell 'a{sv}' '{"Environment":["as",["X"]]}'"#),
                "org.containerctl1.Error.Config: 'X' is not NAME=VALUE",
            ),
            (
                container("p1", r#"GetConfig s '"Bo"'"#),
                "org.containerctl1.Error.Config: there is no key 'Bo'",
            ),
            (
                container("p1", "OpenConsole 'a{sv}' '{}'"),
                "org.containerctl1.Error.NotFound: container 'p1' has no console",
            ),
            (container("p1", "Audit"), "org.containerctl1.Error.NotFound: container 'p1' is not running"),
            (container("_2e_2e", "Start"), "org.containerctl1.Error.Config: '..' is not a machine name"),
            (container("p_31", "Start"), "org.freedesktop.DBus.Error.UnknownObject: unknown object"),
            (container("p1", "Stop s '\"x\"'"), "org.freedesktop.DBus.Error.InvalidArgs: the arguments are"),
            (container("p1", r#"Kill si '"me"' 9"#), "org.containerctl1.Error.Config: 'me' is not"),
            (container("p1", r#"Kill si '"all"' 99"#), "org.containerctl1.Error.Config: "),
            (container("p1", "Freeze"), "org.containerctl1.Error.NotFound: container 'p1' is not running"),
            (
                manager(r#"RenameContainer ss '"p1"' '"a/b"'"#),
                "org.containerctl1.Error.Config: 'a/b' is not a machine name",
            ),
            (container("p1", "Vanish"), "org.freedesktop.DBus.Error.UnknownMethod: unknown method 'Vanish'"),
            (
                manager(r#"GetContainer s '"p9"'"#),
                "org.containerctl1.Error.NotFound: there is no container 'p9'",
            ),
            (
                manager(r#"DestroyContainer ss '"p9"' '"stop"'"#),
                "org.containerctl1.Error.NotFound: there is no",
            ),
            (
                manager(r#"DestroyContainer ss '"p1"' '"now"'"#),
                "org.containerctl1.Error.Config: 'now' is not",
            ),
            (
                manager(r#"CreateContainer 'sa{sv}' '"p9"' '{}'"#),
                "org.containerctl1.Error.Config: one of the",
            ),
            (
                manager(r#"CreateContainer 'sa{sv}' '"p9"' '{"Template":["u",7]}'"#),
                "org.containerctl1.Error.Config: option 'Template' is of another type",
            ),
            (
                manager(
                    r#"CreateContainer 'sa{sv}' '"p9"' '{"Template":["s","busybox"],"Release":["s","x"]}'"#,
                ),
                "org.containerctl1.Error.Config: option 'Release' means nothing here",
            ),
            (
                manager(r#"CreateContainer 'sa{sv}' '"p1"' '{"Template":["s","busybox"]}'"#),
                "org.containerctl1.Error.Busy: 'p1' exists already",
            ),
        ] {
            let refused = host.fails(&call)?;
            ensure!(refused.stderr.starts_with(said), "{call}: {refused}");
        }
        host.fails("ls -d /etc/containerctl/p9* /var/lib/containerctl/p9 /var/lib/containerctl/.[pt]*")
            .map(drop)
    });
    host.finish()
}

#[test]
fn polkit_decides_before_anybody_looks() -> Result<()> {
    let host = boot!();
    place_scripts(&host)?;
    let p1 = Container::busybox(&host, "p1")?;
    host.ok("groupadd operators && useradd joe && useradd -G operators ann")?;
    host.case("a user without rights learns nothing, not even which containers there are", || {
        p1.start()?;
        let ask = |name: &str| by("joe", &format!("python3 /srv/everything.py {name} >/srv/{name}.said"));
        host.ok("chmod 0777 /srv")?;
        host.ok(&ask("p1"))?;
        host.ok(&ask("p2"))?;
        // Every method was refused: what is told is which may ask for a password.
        let said = host.ok("cat /srv/p1.said")?;
        let open = ["org.freedesktop.DBus.Peer", "org.freedesktop.DBus.Introspectable", " ", "<", "\"http"];
        let is_open = |line: &str| line.is_empty() || open.iter().any(|start| line.starts_with(start));
        let judged: Vec<&str> = said.lines().filter(|line| !is_open(line)).collect();
        let refused = [
            " 0 org.freedesktop.DBus.Error.InteractiveAuthorizationRequired ",
            " 4 org.freedesktop.DBus.Error.AccessDenied ",
        ];
        let answered = judged.iter().find(|line| !refused.iter().any(|words| line.contains(words)));
        ensure!(answered.is_none() && judged.len() > 120, "{answered:?} of {}", judged.len());
        ensure!(p1.property("ActiveState")? == "active", "it was stopped");
        host.ok("cmp /srv/p1.said /srv/p2.said")?;
        host.fails("grep -v '^ *<' /srv/p1.said | grep 'p1\\|p2'").map(drop)
    });
    host.case("a rule lets a group start and stop, and not destroy", || {
        let rule = "polkit.addRule(function(action, subject) {\n\
            if (action.id == 'org.containerctl1.operate' && subject.isInGroup('operators')\n\
                && action.lookup('container') != 'secret') return polkit.Result.YES;\n\
            if (action.id == 'org.containerctl1.create' && subject.isInGroup('operators')\n\
                && action.lookup('container') == 'toy') return polkit.Result.YES;\n});\n";
        fs::write(host.path("/etc/polkit-1/rules.d/10-operators.rules")?, rule)?;
        host.ok("systemctl restart polkit")?;
        let stop = format!("Stop {FOREVER}");
        host.ok(&by("ann", &container("p1", &stop)))?;
        ensure!(p1.property("ActiveState")? == "inactive", "it was not stopped");
        host.ok(&by("ann", &container("p1", "Start")))?;
        ensure!(p1.property("ActiveState")? == "active", "it was not started");
        for call in [
            manager(r#"DestroyContainer ss '"p1"' '"stop"'"#),
            manager("ListContainers"),
            container("p1", "OpenConsole 'a{sv}' '{}'"),
            container("p1", "Enable"),
            container("secret", "Start"),
            // Each of several is asked for, and who is in a group is not for all to know.
            manager(r#"StartContainers 'a{sv}' '{"Names":["as",["p1","secret"]]}'"#),
            manager(r#"StartContainers 'a{sv}' '{"All":["b",true]}'"#),
            manager(r#"StartContainers 'a{sv}' '{"Groups":["as",["web"]]}'"#),
            // Takes two rights, of which this user has one.
            container("p1", r#"ExecuteAlone 'asa{sv}' '["true"]' '{}'"#),
        ] {
            let refused = host.fails(&by("ann", &call))?;
            let said = "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired: ";
            ensure!(refused.stderr.starts_with(said), "{call}: {refused}");
        }
        let several = r#"RestartContainers 'a{sv}' '{"Names":["as",["p1"]]}'"#;
        ensure!(host.ok(&by("ann", &manager(several)))?.trim() == "[[]]", "it was not restarted");
        let missing = host.fails(&by("ann", &manager(r#"DestroyContainer ss '"toy"' '"stop"'"#)))?;
        ensure!(missing.stderr.starts_with("org.containerctl1.Error.NotFound: "), "{missing}");
        host.fails(&by("joe", &container("p1", &stop)))?;
        ensure!(p1.property("ActiveState")? == "active", "it was stopped");
        Ok(())
    });
    host.case("who has the right is told what there is not", || {
        let refused = host.fails(&by("ann", &container("p9", "Start")))?;
        ensure!(refused.stderr.starts_with("org.containerctl1.Error.NotFound: "), "{refused}");
        Ok(())
    });
    host.case("noise is answered, call by call, and nothing comes of it", || {
        host.ok(&manager("ListContainers"))?;
        let before = service(&host)?;
        for (user, count) in [("joe", 10_000), ("root", 300)] {
            let noise = by(user, &format!("python3 /srv/noise.py {count} 7"));
            let answered = host.run_within(Duration::from_secs(120), &noise)?;
            ensure!(answered.stdout.trim() == count.to_string(), "{user}: {answered}");
        }
        ensure!(service(&host)? == before, "it was {before} and is {}", service(&host)?);
        let kilobytes =
            host.ok(&format!("sed -n 's/^VmRSS:[^0-9]*\\([0-9]*\\).*/\\1/p' /proc/{before}/status"))?;
        ensure!(kilobytes.trim().parse().is_ok_and(|size: u32| size < 32_768), "resident: {kilobytes}");
        ensure!(p1.property("ActiveState")? == "active", "it was stopped");
        let list = host.ok("containerctl list --json | jq -r '.[].name'")?;
        ensure!(list == "p1\n", "there are {list}");
        Ok(())
    });
    host.case("without polkit root may and nobody else", || {
        host.ok("systemctl mask --now polkit")?;
        host.ok(&container("p1", "Describe"))?;
        let refused = host.fails(&by("ann", &container("p1", "Start")))?;
        let said = "org.freedesktop.DBus.Error.AccessDenied: not authorized to start and stop containers";
        ensure!(refused.stderr.trim() == said, "{refused}");
        Ok(())
    });
    host.finish()
}

#[test]
fn the_service_comes_and_goes_and_containers_do_not_notice() -> Result<()> {
    let host = boot!();
    place_scripts(&host)?;
    let p1 = Container::busybox(&host, "p1")?;
    host.ok("mkdir -p /etc/systemd/system/containerctld.service.d && printf '[Service]\\nExecStart=\\nExecStart=/usr/lib/containerctl/containerctld serve 1\\n' >/etc/systemd/system/containerctld.service.d/soon.conf && systemctl daemon-reload")?;
    host.case("it leaves when nobody calls", || {
        host.ok(&container("p1", "Start"))?;
        host.wait_until(SOON, "systemctl show -p ActiveState containerctld | grep -x ActiveState=inactive")?;
        let result = host.ok("systemctl show --value -p Result containerctld")?;
        ensure!(result.trim() == "success", "result {result}");
        Ok(())
    });
    host.case("no call is lost while it leaves", || {
        let calls = "for i in $(seq 12); do python3 /srv/call.py /org/containerctl1 ListContainers || exit 1; sleep 0.$((90 + i)); done";
        host.ok(calls).map(drop)
    });
    host.case("it stays while somebody watches", || {
        host.ok("python3 /srv/containers.py watch 100 >/srv/told 2>&1 & echo $! >/srv/watcher")?;
        host.wait_until(SOON, "grep -x watching /srv/told")?;
        let before = service(&host)?;
        std::thread::sleep(Duration::from_secs(3));
        ensure!(service(&host)? == before && before != "0", "it was {before} and is {}", service(&host)?);
        host.ok("kill $(cat /srv/watcher)")?;
        host.wait_until(SOON, "systemctl show -p ActiveState containerctld | grep -x ActiveState=inactive")
    });
    host.case("killed, it is started by the next call", || {
        let leader = p1.leader()?;
        host.ok(&manager("ListContainers"))?;
        host.ok(KILL)?;
        host.ok(&container("p1", "Describe"))?;
        ensure!(p1.leader()? == leader && p1.property("NRestarts")? == "0", "the container noticed");
        Ok(())
    });
    host.case("what was begun is finished though it is killed", || {
        host.ok("tar -C /var/lib/containerctl/p1/rootfs -cf /srv/p1.tar . && mkfifo /srv/slow")?;
        host.ok(
            "(head -c 100000 /srv/p1.tar; sleep 3; tail -c +100001 /srv/p1.tar) >/srv/slow 2>/dev/null &",
        )?;
        let create = manager(r#"CreateContainer 'sa{sv}' '"slow"' '{"Archive":["h","@/srv/slow"]}'"#);
        host.ok(&format!("{create} >/dev/null 2>&1 &"))?;
        host.wait_until(SOON, "pgrep -f 'containerctl-worke[r] call'")?;
        host.ok(KILL)?;
        host.fails("containerctl info slow")?;
        host.wait_until(SOON, "containerctl info slow")?;
        host.ok("containerctl start slow && containerctl destroy slow --force").map(drop)
    });
    host.case("a shell lives on though it is killed", || {
        let line = "sleep 3; echo still $((40+2)); exit 5";
        host.ok(&format!("(python3 /srv/shell.py p1 '{line}' >/srv/shell 2>&1; echo ended $? >>/srv/shell) >/dev/null 2>&1 &"))?;
        host.wait_until(SOON, "grep 'sleep 3' /srv/shell")?;
        host.ok(KILL)?;
        host.wait_until(SOON, "grep '^ended 5$' /srv/shell && grep 'still 42' /srv/shell")
    });
    host.case("the bus is restarted", || {
        let leader = p1.leader()?;
        host.ok(&manager("ListContainers"))?;
        host.ok("systemctl restart dbus")?;
        host.wait_until(SOON, &manager("ListContainers"))?;
        ensure!(p1.leader()? == leader && p1.property("NRestarts")? == "0", "the container noticed");
        Ok(())
    });
    host.finish()
}
