//! Definitions changed by `containerctl config`, and what becomes of that in a container that runs.

use crate::container::Container;
use crate::harness::Result;
use crate::looking::refused;

#[test]
fn definitions_are_changed_and_take_effect() -> Result<()> {
    let host = boot!();
    let p1 = Container::defined(&host, "p1", "# Written by hand\n[Exec]\nBoot=yes\n")?;
    p1.start()?;
    let leader = p1.leader()?;
    let environment = || p1.inside("tr '\\000' ' ' </proc/1/environ");
    host.case("a change says when it takes effect, and does", || {
        let said = host.ok(
            "containerctl config set p1 Environment=ROLE=web MemoryMax=1G LogRateLimitBurst=3 BufferSize=8K",
        )?;
        let lines: Vec<&str> = said.lines().collect();
        ensure!(
            lines
                == [
                    "Environment= takes effect when 'p1' is restarted",
                    "MemoryMax= is in effect",
                    "LogRateLimitBurst= takes effect by 'systemctl reload container@p1'",
                    "BufferSize= takes effect by 'systemctl reload container@p1'",
                ],
            "{said}"
        );
        let limit = host.ok("systemctl show --value -p MemoryMax machine-p1.slice")?;
        ensure!(limit.trim() == "1073741824", "{limit}");
        ensure!(!environment()?.contains("ROLE"), "it is there at once");
        host.ok("grep -x '# Written by hand' /etc/containerctl/p1.conf").map(drop)
    });
    host.case("a reload applies the console's keys, and the container goes on", || {
        host.ok("systemctl reload container@p1")?;
        host.wait_until(crate::container::SOON, "grep -x RATE_BURST=3 /run/containerctl/p1/state && grep -x BUFFER_BYTES=8192 /run/containerctl/p1/state")?;
        p1.inside("for i in 1 2 3 4 5 6 7 8 9; do echo flood-$i >/dev/console; done")?;
        p1.says("flood-1")?;
        host.fails("sleep 0.5; journalctl -q CONTAINER_NAME=p1 -o cat | grep -x flood-9")?;
        ensure!(p1.leader()? == leader && p1.property("ActiveState")? == "active", "restarted");
        p1.stop()?;
        p1.start()?;
        ensure!(environment()?.contains("ROLE=web"), "{}", environment()?);
        Ok(())
    });
    host.case("show tells file and line, get the value", || {
        host.ok("mkdir -p /run/containerctl/p1.conf.d && printf '[Exec]\\nNotifyReady=no\\n' >/run/containerctl/p1.conf.d/20-x.conf")?;
        host.ok("containerctl config show p1 | grep -xE '\\[Exec\\] +NotifyReady +no +/run/containerctl/p1.conf.d/20-x.conf:2'")?;
        host.ok("containerctl config show p1 --json | jq -e 'any(.key == \"Environment\" and .value == \"ROLE=web\" and .line == 4)'")?;
        ensure!(host.ok("containerctl config get p1 Exec.Environment")? == "ROLE=web\n", "another value");
        refused(&host, "containerctl config set p1 NotifyReady=yes", 75, "/20-x.conf', line 2; change it there")
    });
    host.case("unset takes it out again", || {
        host.ok("containerctl config unset p1 MemoryMax Environment && ! grep -E 'MemoryMax|Environment' /etc/containerctl/p1.conf")?;
        let limit = host.ok("systemctl show --value -p MemoryMax machine-p1.slice")?;
        ensure!(limit.trim() == "infinity", "{limit}");
        ensure!(host.ok("containerctl config unset p1 Hostname")? == "nothing changed\n", "something did");
        Ok(())
    });
    host.case("a limit that was set wins, and that is said", || {
        host.ok("containerctl limit p1 TasksMax=77")?;
        let output = host.run("containerctl config set p1 TasksMax=99")?;
        ensure!(
            output.code == 0 && output.stderr.contains("'containerctl limit p1 TasksMax=' takes that back"),
            "{output}"
        );
        Ok(())
    });
    host.case("what is wrong changes nothing", || {
        let before = host.ok("cat /etc/containerctl/p1.conf")?;
        for (arguments, code, words) in [
            ("set p1 Hostname=x Boot=perhaps", 78, "Boot=: 'perhaps' is neither yes nor no"),
            ("set p1 Hostname=x Booot=no", 78, "there is no key 'Booot'"),
            ("set p1 Hostname=x Bind=relative", 78, "Bind=: 'relative'"),
            ("set p1 Hostname=x SystemCallFilter=nonsense", 78, "'nonsense'"),
            ("set p1 Hostname", 78, "'Hostname' is not KEY=VALUE"),
            ("set nobody Hostname=x", 66, "there is no container 'nobody'"),
            ("get p1 MachineID", 66, "'MachineID=' is not set for 'p1'"),
        ] {
            refused(&host, &format!("containerctl config {arguments}"), code, words)?;
        }
        refused(
            &host,
            "setpriv --reuid nobody --regid nogroup --clear-groups containerctl config set p1 Hostname=x",
            77,
            "only root may change a definition",
        )?;
        ensure!(host.ok("cat /etc/containerctl/p1.conf")? == before, "changed");
        Ok(())
    });
    host.case("an editor's mistakes are told with their place, and are not written", || {
        let edit = |editor: &str| format!("EDITOR=\"{editor}\" containerctl config edit p1");
        refused(
            &host,
            &edit("sed -i s/Boot=yes/Boot=perhaps/"),
            78,
            "/etc/containerctl/p1.conf:3:6: Boot=: 'perhaps' is neither yes nor no; nothing was changed",
        )?;
        refused(&host, &edit("false"), 1, "the editor 'false' failed; nothing was changed")?;
        refused(&host, &edit("nowhere -x"), 66, "there is no editor 'nowhere -x'")?;
        ensure!(host.ok(&edit("true"))? == "nothing changed\n", "something did");
        let said = host.ok(&edit("sed -i 's/Boot=yes/Boot=yes\\nHostname=ed/'"))?;
        ensure!(said == "Hostname= takes effect when 'p1' is restarted\n", "{said}");
        host.ok("ls -A /run/containerctl | grep -F .edit; test $? = 1").map(drop)
    });
    host.case("on a terminal it is edited until it is right", || {
        let editor = "grep -q Boot=perhaps $1 && exec sed -i s/Boot=perhaps/Boot=on/ $1\nexec sed -i s/Boot=yes/Boot=perhaps/ $1\n";
        std::fs::write(host.path("/root/editor")?, editor)?;
        let typed = host.ok("(sleep 0.5; echo y; sleep 1) | EDITOR='sh /root/editor' script -qec 'containerctl config edit p1' /dev/null")?;
        ensure!(typed.contains("Edit it again? [Y/n]"), "{typed}");
        host.ok("grep -x Boot=on /etc/containerctl/p1.conf").map(drop)
    });
    host.case("a reload of a broken definition fails and the container goes on", || {
        host.ok("sed -i s/Boot=on/Boot=maybe/ /etc/containerctl/p1.conf")?;
        let leader = p1.leader()?;
        host.fails("systemctl reload container@p1")?;
        host.ok("journalctl -u container@p1 -o cat | grep -F \"p1.conf:3:6: Boot=: 'maybe' is neither\"")?;
        ensure!(p1.leader()? == leader && p1.property("ActiveState")? == "active", "it ended");
        host.ok("containerctl config set p1 Boot=yes").map(drop)
    });
    host.finish()
}
