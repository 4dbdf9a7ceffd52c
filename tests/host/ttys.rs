//! Terminals beside the console: logins on them, and that nothing of them holds the container up or is lost.

use std::time::Duration;

use crate::container::{Container, SOON};
use crate::harness::{Host, Result};

/// More than a boot needs here.
const BOOT: Duration = Duration::from_secs(60);

/// Types into a terminal until what it shows holds a text.
fn answers(host: &Host, name: &str, tty: u8, typed: &str, expected: &str) -> Result<()> {
    let console = format!("timeout 10 containerctl console {name} --tty {tty}");
    host.wait_until(BOOT, &format!("(printf '{typed}'; sleep 1) | {console} | grep -aF -- '{expected}'"))
}

/// Joins a terminal and goes on reading; what it shows goes to a file.
fn watch(host: &Host, tty: u8, file: &str) -> Result<()> {
    host.ok(&format!(
        "(sleep 60 | setsid containerctl console p1 --tty {tty} >{file} 2>&1) >/dev/null 2>&1 & sleep 0.5"
    ))
    .map(drop)
}

/// More than all buffers between a container and nobody take in.
const MUCH: &str = "timeout 20 sh -c 'head -c 1048576 /dev/zero | tr \"\\0\" x >/dev/tty2'";

#[test]
fn terminals_beside_the_console() -> Result<()> {
    let host = boot!();
    let p1 = Container::defined(&host, "p1", "[Console]\nTtys=2\n")?;
    host.ok(&format!("echo 'tty1::respawn:/sbin/getty 0 tty1' >>{}/etc/inittab", p1.root()))?;
    // The template's root has no password to log in by.
    host.ok(&format!("sed -i 's/^root:[*]:/root::/' {}/etc/passwd", p1.root()))?;
    p1.start()?;
    host.case("a getty of the guest's lets in who attaches", || {
        answers(&host, "p1", 1, "\\n", "p1 login: ")?;
        host.ok("printf 'root\\n' | timeout 10 containerctl console p1 --tty 1")?;
        answers(&host, "p1", 1, "kept=wo\"\"rd; echo at-$(tty)\\n", "at-/dev/tty1")?;
        host.ok("containerctl info p1 | grep -x ' *Terminals: tty1 to tty2'").map(drop)
    });
    host.case("two see the same, and the other terminals' see nothing of it", || {
        watch(&host, 1, "/tmp/one")?;
        watch(&host, 1, "/tmp/two")?;
        watch(&host, 2, "/tmp/three")?;
        answers(&host, "p1", 1, "echo to-\"\"both\\n", "to-both")?;
        for file in ["/tmp/one", "/tmp/two"] {
            host.wait_until(SOON, &format!("grep -a '^to-both' {file}"))?;
        }
        p1.inside("echo only-here >/dev/tty2")?;
        host.wait_until(SOON, "grep -a only-here /tmp/three")?;
        host.fails("grep -a to-both /tmp/three")?;
        host.fails("grep -a only-here /tmp/one")?;
        host.fails("containerctl console p1 --log | grep -aE 'to-both|only-here'")?;
        host.fails("journalctl -q CONTAINER_NAME=p1 -o cat | grep -E 'to-both|only-here'").map(drop)
    });
    host.case("whoever is attached stays so when the supervisor is killed", || {
        p1.kill_supervisor()?;
        host.wait_until(SOON, "grep -a 'the supervisor was restarted' /tmp/three")?;
        p1.inside("echo after-the-kill >/dev/tty2")?;
        host.wait_until(SOON, "grep -a after-the-kill /tmp/three")?;
        host.ok("pkill -KILL -x containerctl")?;
        answers(&host, "p1", 1, "echo $kept-kept\\n", "word-kept")
    });
    host.case("and a reload keeps them, too", || {
        host.ok("systemctl reload container@p1")?;
        answers(&host, "p1", 1, "echo $kept-again\\n", "word-again")?;
        p1.inside("stty -a </dev/tty2").map(drop)
    });
    host.case("who prints where nobody looks is not held up", || p1.inside(MUCH).map(drop));
    host.case("nor by who looks and does not read", || {
        watch(&host, 2, "/tmp/stopped")?;
        host.ok("kill -STOP $(pgrep -x containerctl)")?;
        p1.inside(MUCH)?;
        host.ok("pkill -KILL -x containerctl").map(drop)
    });
    host.case("one that it does not have is refused, and told what there is", || {
        let refused = host.fails("containerctl console p1 --tty 3 </dev/null")?;
        ensure!(refused.code == 66 && refused.stderr.contains("it has tty1 to tty2"), "{refused}");
        ensure!(refused.stderr.contains("'containerctl config set p1 Ttys=3'"), "{refused}");
        let cut_off = "python3 -c 'import socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.connect(\"/run/containerctl/p1/control\")
s.settimeout(5)
s.send(b\"Y\\x03\")
s.send(b\"A\\0\\0\\0\\0\")
assert s.recv(10) == b\"\"'";
        host.ok(cut_off)?;
        for wrong in ["--tty 0", "--tty 64", "--tty one", "--tty 1 --log", "--tty 1 --clear"] {
            let refused = host.fails(&format!("containerctl console p1 {wrong} </dev/null"))?;
            ensure!(refused.code == 2 && refused.stderr.contains("--tty"), "{wrong}: {refused}");
        }
        Ok(())
    });
    host.case("nothing of them is left of one that has stopped", || {
        p1.stop()?;
        p1.is_gone()?;
        host.fails("systemd-analyze fdstore container@p1 | grep -w tty")?;
        let refused = host.fails("containerctl console p1 --tty 1 </dev/null")?;
        ensure!(refused.code == 66 && refused.stderr.contains("'containerctl start p1'"), "{refused}");
        Ok(())
    });
    host.case("as many as a machine has outlive their supervisor", || {
        p1.define("[Console]\nTtys=63\n")?;
        p1.start()?;
        p1.kill_supervisor()?;
        ensure!(host.ok("systemd-analyze fdstore container@p1 | grep -c '^tty '")?.trim() == "63", "not 63");
        watch(&host, 63, "/tmp/last")?;
        p1.inside("echo the-last >/dev/tty63")?;
        host.wait_until(SOON, "grep -a the-last /tmp/last")?;
        p1.stop()?;
        p1.is_gone()
    });
    host.case("more are refused in the definition, and none is none", || {
        p1.define("[Console]\nTtys=64\n")?;
        let refused = host.fails("containerctl start p1")?;
        ensure!(refused.code == 78 && refused.stderr.contains("p1.conf:2:6: "), "{refused}");
        ensure!(refused.stderr.contains("'64' is not a number from 0 to 63"), "{refused}");
        p1.define("[Console]\nTtys=0\n")?;
        p1.start()?;
        let refused = host.fails("containerctl console p1 --tty 1 </dev/null")?;
        ensure!(refused.code == 66 && refused.stderr.contains("it has none"), "{refused}");
        p1.inside("test ! -e /dev/tty1 && test \"$(ls /dev/pts | tr '\\n' ' ')\" = '0 ptmx '")?;
        p1.stop()
    });
    host.finish()
}

#[test]
fn guests_run_logins_of_their_own() -> Result<()> {
    let host = boot!("--guest", "--rc-guest");
    host.ok("containerctl create d1 --from-tar /srv/guests/debian.tar")?;
    host.ok("containerctl create g1 --from-tar /srv/guests/openrc.tar")?;
    let (d1, g1) = (Container { host: &host, name: "d1" }, Container { host: &host, name: "g1" });
    d1.define("[Console]\nTtys=2\n")?;
    g1.define("[Console]\nTtys=1\n")?;
    // As it is on a machine; the package has put it out of use in what it took for a container without terminals.
    host.ok("sed -i 's/^#1:2345:/1:2345:/' /var/lib/containerctl/g1/rootfs/etc/inittab")?;
    d1.start()?;
    g1.start()?;
    host.case("systemd is told of them, and sees no virtual console", || {
        host.wait_until(BOOT, "systemctl -M d1 is-system-running | grep -x running")?;
        for tty in [1, 2] {
            host.ok(&format!("systemctl -M d1 is-active container-getty@{tty}.service"))?;
            answers(&host, "d1", tty, "\\n", " login: ")?;
        }
        d1.inside("test ! -e /dev/tty1").map(drop)
    });
    host.case("its logins go on after the supervisor was killed", || {
        answers(&host, "d1", 1, "root\\n", "Password: ")?;
        d1.kill_supervisor()?;
        answers(&host, "d1", 1, "\\n", " login: ")?;
        ensure!(host.ok("systemctl -M d1 --failed --no-legend")?.trim().is_empty(), "a unit has failed");
        d1.stop()?;
        d1.is_gone()
    });
    host.case("sysvinit finds them where its inittab has them", || {
        answers(&host, "g1", 1, "\\n", " login: ")?;
        g1.stop()?;
        g1.is_gone()
    });
    host.finish()
}
