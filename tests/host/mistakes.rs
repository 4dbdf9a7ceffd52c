//! What is typed or written wrong, or is not there: one sentence, a documented exit code, and nothing left.

use std::fs;

use crate::container::Container;
use crate::harness::{Host, Result};

/// Everything that a mistake could have left.
fn remains(host: &Host) -> Result<String> {
    host.ok("ls -AR /etc/containerctl /run/machines; ls -A /var/lib/containerctl /run/containerctl | grep -Ev '^[.](ids|seccomp)';
        cat /var/lib/containerctl/.ids; findmnt -rno TARGET; pgrep -a containerctl; true")
}

/// Runs what must fail like this: code, one line, these words in it, and nothing left.
fn refused(host: &Host, command_line: &str, code: i32, words: &str) -> Result<()> {
    let before = remains(host)?;
    let output = host.run(command_line)?;
    ensure!(output.code == code, "'{command_line}' should end with {code}: {output}");
    ensure!(output.stderr.lines().count() == 1 && output.stderr.contains(words), "no '{words}': {output}");
    let after = remains(host)?;
    ensure!(before == after, "left by '{command_line}': before\n{before}\nafter\n{after}");
    Ok(())
}

const TREES: &str = "mkdir -p /srv/empty /srv/noinit/bin && touch /srv/file /srv/noinit/bin/x && ln -sn /srv/noinit /srv/link &&
    tar -C /srv/noinit -cf /srv/noinit.tar . && head -c 10000 /dev/urandom >/srv/junk.tar";

/// Seccomp profiles that are none, or that ask for what is not there.
const PROFILES: &str =
    "printf '2\\nallowlist\\nno_such_call\\n' >/srv/call.profile; echo junk >/srv/junk.profile;
    printf '2\\ndenylist\\n[all]\\nmknod notify\\n' >/srv/notify.profile;
    mkdir -p /srv/linked/sbin && ln -s /proc /srv/linked/proc && cp /bin/busybox /srv/linked/sbin/init";

const NOBODY: &str = "setpriv --reuid nobody --regid nogroup --clear-groups";

#[test]
fn a_create_that_fails_leaves_nothing() -> Result<()> {
    let host = boot!();
    host.ok(TREES)?;
    Container::busybox(&host, "p1")?;
    for (arguments, code, words) in [
        ("'a b' --template busybox", 78, "'a b' is not a machine name"),
        ("../x --template busybox", 78, "'../x' is not a machine name"),
        ("p1 --template busybox", 75, "'p1' exists already"),
        ("x --rootfs /nowhere", 66, "'/nowhere' does not exist"),
        ("x --rootfs /srv/empty", 78, "root file system '/srv/empty' is empty"),
        ("x --rootfs /srv/file", 78, "root file system '/srv/file' is not a directory"),
        ("x --rootfs /srv/link", 78, "root file system '/srv/link' is a symbolic link"),
        ("x --rootfs srv", 78, "'srv' cannot be a root file system: the path is not absolute"),
        ("x --rootfs /srv/noinit", 66, "'/srv/noinit' has no init"),
        ("x --from-tar /nowhere.tar", 66, "'/nowhere.tar' does not exist"),
        ("x --from-tar /srv/noinit.tar", 66, "'/srv/noinit.tar' has no init"),
        ("x --from-tar /srv/junk.tar", 1, "failed to unpack '/srv/junk.tar'"),
        ("x --from-tar /srv/file", 1, "failed to unpack '/srv/file'"),
        ("x --template debian --mirror http://127.0.0.1:1/debian", 1, "'mmdebstrap' failed"),
        ("x --template debian --packages 'a b'", 78, "'a b' is not a package name"),
    ] {
        host.case(&format!("create {arguments}"), || {
            refused(&host, &format!("containerctl create {arguments}"), code, words)
        });
    }
    host.case("a full disk", || {
        host.ok(
            "mkdir /srv/small && mount -t tmpfs -o size=1m tmpfs /srv/small && mkdir /srv/small/store &&
            mount --bind /srv/small/store /var/lib/containerctl",
        )?;
        refused(&host, "containerctl create x --template busybox", 1, "No space left on device")?;
        host.ok("umount /var/lib/containerctl /srv/small").map(drop)
    });
    host.case("Ctrl-C at any moment", || {
        host.ok("mkdir /srv/big && cp -a /var/lib/containerctl/p1/rootfs/. /srv/big && head -c 100M /dev/zero >/srv/big/zeros && tar -C /srv/big -cf /srv/big.tar .")?;
        for millis in [0, 10, 30, 60, 100] {
            // Only the signal ends this archive. No pipe holds its first 1 MiB, so that the work is under way by then.
            let archive = format!(
                "head -c 1M /srv/big.tar; sleep {}; pkill -INT -f '^containerctl create x'; sleep 2",
                f64::from(millis) / 1000.0,
            );
            refused(
                &host,
                &format!("({archive}) | containerctl create x --from-tar - 2>&1 >/dev/null | tail -n 1 >&2; test ! -e /var/lib/containerctl/x && exit 130"),
                130,
                "interrupted",
            )?;
        }
        // Before it can say a word it has done nothing either.
        host.ok("timeout -s INT 0.001 containerctl create x --template busybox; test ! -e /var/lib/containerctl/x")?;
        Ok(())
    });
    host.case("and the name can still be used", || {
        host.ok("containerctl create x --template busybox && containerctl start x").map(drop)
    });
    host.finish()
}

/// REL-15: broken definitions and trees.
#[test]
fn a_start_that_fails_says_why_and_leaves_nothing() -> Result<()> {
    let host = boot!();
    host.ok(TREES)?;
    let bad = Container::busybox(&host, "bad")?;
    // From now on it has ids, which a start that fails keeps.
    bad.start()?;
    bad.stop()?;
    let other = Container::defined(&host, "other", "[Exec]\nPrivateUsers=1000000:1000\n")?;
    other.start()?;
    other.stop()?;
    host.ok(PROFILES)?;
    let before = remains(&host)?;
    for (definition, code, words) in [
        ("[Exec]\nBoot=perhaps\n", "78", "/etc/containerctl/bad.conf:2:6: Boot=: 'perhaps'"),
        ("[Exec]\nBoot\n", "78", "bad.conf:2:1: 'Boot' is no"),
        ("Boot=yes\n", "78", "bad.conf:1:1: 'Boot=' stands before the first section"),
        ("[Exec\n", "78", "bad.conf:1:1: '[Exec' is not a section"),
        ("[Exec]\nParameters=\"a\n", "78", "bad.conf:2:12: Parameters="),
        ("[Exec]\nCapability=CAP_X\n", "78", "bad.conf:2:12: Capability=: 'CAP_X'"),
        ("[Exec]\nSystemCallFilter=nonsense\n", "78", "'nonsense'"),
        ("[Exec]\nLimitNOFILE=5:1\n", "78", "bad.conf:2:13: LimitNOFILE="),
        ("[Exec]\nKillSignal=SIGX\n", "78", "bad.conf:2:12: KillSignal=: 'SIGX'"),
        ("[Files]\nBind=relative\n", "78", "bad.conf:2:6: Bind=: 'relative'"),
        ("[Files]\nBind=/nowhere\n", "1", "'/nowhere'"),
        ("[Files]\nRootDirectory=/nowhere\n", "66", "'/nowhere' does not exist"),
        ("[Files]\nRootDirectory=/srv/empty\n", "78", "'/srv/empty' is empty"),
        ("[Files]\nRootDirectory=/srv/file\n", "78", "'/srv/file' is not a directory"),
        ("[Files]\nRootDirectory=/srv/link\n", "78", "'/srv/link' is a symbolic link"),
        ("[Files]\nRootDirectory=/srv/noinit\n", "66", "'/srv/noinit' has no init"),
        ("[Exec]\nBoot=no\n", "78", "'bad' has Boot=no but no command"),
        ("[Exec]\nWorkingDirectory=/nowhere\n", "1", "'/nowhere'"),
        (
            "[Exec]\nPrivateUsers=1000999\n",
            "78",
            "bad.conf:2: PrivateUsers= '1000000:1000' belongs to container 'other'",
        ),
        (
            "[Exec]\nPrivateUsers=65000\n",
            "78",
            "bad.conf:2: PrivateUsers= '65534:1' belongs to user 'nobody'",
        ),
        ("[Exec]\nPrivateUsers=4294967295\n", "78", "bad.conf:2:14: PrivateUsers=:"),
        ("[Exec]\nPrivateUsers=5:6:7\n", "78", "bad.conf:2:16: PrivateUsers=:"),
        ("[Exec]\n\nSeccompProfile=/nowhere\n", "66", "bad.conf:3: SeccompProfile="),
        (
            "[Exec]\nSeccompProfile=/srv/call.profile\n",
            "78",
            "bad.conf:2: SeccompProfile= /srv/call.profile:3",
        ),
        (
            "[Exec]\nSeccompProfile=/srv/junk.profile\n",
            "78",
            "bad.conf:2: SeccompProfile= /srv/junk.profile:1",
        ),
        (
            "[Exec]\nSeccompProfile=/srv/notify.profile\n",
            "78",
            "bad.conf:2: SeccompProfile= /srv/notify.profile:4: 'notify' asks a program outside",
        ),
        (
            "[Exec]\nSeccompProfile=/srv/notify.profile\nSeccompNotifyProxy=/nowhere\n",
            "66",
            "bad.conf:3: SeccompNotifyProxy= nobody listens at '/nowhere'",
        ),
        ("[Exec]\nSeccompNotifyProxy=run/proxy\n", "78", "bad.conf:2:20: SeccompNotifyProxy=: 'run/proxy'"),
        ("[Exec]\nAppArmorProfile=no-such\n", "69", "bad.conf:2: AppArmorProfile="),
        ("[Exec]\nSELinuxContext=u:r:t:s0\n", "69", "bad.conf:2: SELinuxContext="),
        ("[Exec]\nDropCapability=all CAP_NONE\n", "78", "bad.conf:2:20: DropCapability=: 'CAP_NONE'"),
        ("[Files]\nDeviceAllow=/dev/nothing\n", "78", "bad.conf:2: DeviceAllow="),
        ("[Files]\nDeviceAllow=/etc/passwd\n", "78", "bad.conf:2:13: DeviceAllow="),
        ("[Files]\nDeviceAllow=/dev/shm\n", "78", "bad.conf:2: DeviceAllow="),
        ("[Files]\nDeviceAllow=/dev/null x\n", "78", "bad.conf:2:23: DeviceAllow="),
        ("[Files]\nRootDirectory=/srv/linked\n", "78", "'/srv/linked/proc' is a symbolic link"),
    ] {
        host.case(&definition.replace('\n', " "), || {
            fs::write(host.path("/etc/containerctl/bad.conf")?, definition)?;
            let told = host.run(
                "systemctl daemon-reload; systemctl reset-failed container@bad; systemctl start container@bad && exit 1
                 systemctl show --value -p ExecMainStatus -p StatusText container@bad",
            )?;
            let (status, exit) = told.stdout.trim_end().rsplit_once('\n').unwrap_or_default();
            ensure!(told.code == 0 && status.contains(words) && exit == code, "{told}");
            let after = remains(&host)?;
            ensure!(after == before, "left: before\n{before}\nafter\n{after}");
            Ok(())
        });
    }
    host.case("nothing of all these is left", || bad.is_gone());
    host.case("containerctl start passes the sentence on", || {
        bad.define("[Exec]\nBoot=perhaps\n")?;
        let output = host.fails("systemctl reset-failed container@bad; containerctl start bad")?;
        ensure!(output.stderr.contains("bad.conf:2:6:") && output.stderr.lines().count() == 1, "{output}");
        host.ok("containerctl list | grep bad; containerctl info bad | grep -F 'bad.conf:2:6'").map(drop)
    });
    host.case("an unknown key is a warning", || {
        bad.define("[Exec]\nNonsense=1\n")?;
        host.run("systemctl reset-failed container@bad")?;
        bad.start()?;
        host.ok("journalctl CONTAINER_NAME=bad -p warning -o cat | grep -F \"bad.conf:2: unknown key 'Nonsense='\"")?;
        bad.stop()
    });
    host.case("a container that is not there", || {
        host.fails("systemctl start container@nosuch")?;
        let status = host.ok("systemctl show -p StatusText --value container@nosuch")?;
        ensure!(status.contains("'nosuch' is not defined"), "{status}");
        for verb in [
            "start", "stop", "restart", "freeze", "thaw", "kill", "wait", "info", "destroy", "plan",
            "enable", "disable", "console",
        ] {
            refused(&host, &format!("containerctl {verb} nosuch"), 66, "'nosuch'")?;
        }
        Ok(())
    });
    host.case("no rights", || {
        bad.start()?;
        for verb in [
            "start",
            "stop",
            "stop --kill",
            "restart",
            "freeze",
            "thaw",
            "kill",
            "kill --whom all",
            "destroy",
            "plan",
            "console",
            "enable",
        ] {
            refused(&host, &format!("{NOBODY} containerctl {verb} bad"), 77, "")?;
        }
        refused(&host, &format!("{NOBODY} containerctl create x --template busybox"), 77, "only root")?;
        host.ok(&format!(
            "{NOBODY} containerctl list | grep bad && {NOBODY} containerctl info bad | grep running"
        ))
        .map(drop)
    });
    host.case("stop with a time limit", || {
        bad.stop()?;
        bad.define("[Exec]\nBoot=no\nParameters=/bin/sh -c \"trap : TERM; while :; do sleep 1; done\"\n")?;
        bad.start()?;
        let said = host.ok("containerctl stop bad --timeout 1 2>&1")?;
        ensure!(said.lines().count() == 1 && said.contains("'bad'") && said.contains("killed"), "{said}");
        ensure!(bad.property("Result")? == "success", "result {}", bad.property("Result")?);
        bad.is_gone()
    });
    host.finish()
}
