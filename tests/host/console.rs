//! The console: attached to, typed into, and unable to hold the container up.

use std::time::{Duration, Instant};

use crate::container::{Container, SOON};
use crate::harness::{Host, Result};

/// Runs `containerctl console p1` on a terminal of 33 rows and 101 columns and types each text, half a second apart.
const TERMINAL: &str = r#"
import fcntl, os, pty, select, struct, sys, termios, time
def read(seconds):
    end = time.time() + seconds
    while time.time() < end:
        if select.select([fd], [], [], 0.05)[0]:
            try: data = os.read(fd, 65536)
            except OSError: return
            if not data: return
            os.write(1, data)
pid, fd = pty.fork()
if pid == 0:
    time.sleep(0.1)
    os.execvp("containerctl", ["containerctl", "console", "p1"])
fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 101, 0, 0))
read(0.7)
for typed in sys.argv[1:]:
    os.write(fd, typed.encode().decode("unicode_escape").encode()); read(0.5)
done, status = os.waitpid(pid, os.WNOHANG)
print("ended with", os.waitstatus_to_exitcode(status) if done else "nothing")
if not done: os.kill(pid, 9)
"#;

/// A supervisor from before it could be asked for the scrollback cuts off whoever asks.
const OLDER: &str = r#"python3 -c '
import os, socket
os.makedirs("/run/containerctl/old")
listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
listener.bind("/run/containerctl/old/control")
listener.listen(1)
if os.fork() == 0:
    os.setsid()
    connection, _ = listener.accept()
    connection.recv(4098)
' >/dev/null 2>&1"#;

fn on_terminal(host: &Host, typed: &str) -> Result<String> {
    host.ok(&format!("python3 /srv/terminal.py {typed}"))
}

#[test]
fn people_attach_to_the_console() -> Result<()> {
    let host = boot!();
    std::fs::write(host.path("/srv/terminal.py")?, TERMINAL)?;
    let p1 = Container::busybox(&host, "p1")?;
    p1.start()?;
    p1.says("p1 is up")?;
    host.case("a pipe is typed in, after the scrollback", || {
        let printed = host.ok("printf '\\necho h\"\"i\\n' | timeout 20 containerctl console p1")?;
        let (up, hi) = (printed.find("p1 is up"), printed.find("\nhi\r"));
        ensure!(up.is_some() && hi.is_some() && up < hi, "{printed}");
        p1.says("hi")
    });
    host.case("the window's size goes in, Ctrl-a q detaches, and the shell stays", || {
        let printed = on_terminal(&host, "'\\r' 'stty size\\r' 'keep=word\\r' '\\x01q'")?;
        ensure!(printed.contains("33 101") && printed.contains("ended with 0"), "{printed}");
        let printed = on_terminal(&host, "'\\recho $keep-kept\\r' '\\x01q'")?;
        ensure!(printed.contains("word-kept"), "{printed}");
        Ok(())
    });
    host.case("two see the same", || {
        let printed = host.ok("python3 /srv/terminal.py '' '' '' '\\x01q' >/tmp/one & sleep 0.5;
            python3 /srv/terminal.py '\\recho to-\"\"both\\r' '\\x01q' >/tmp/two; wait; cat /tmp/one /tmp/two")?;
        ensure!(printed.matches("\nto-both").count() == 2, "{printed}");
        Ok(())
    });
    host.case("the log is what was printed, twice the same, and goes on when it was cleared", || {
        let log = host.ok("containerctl console p1 --log")?;
        ensure!(log.contains("p1 is up\r\n") && log.contains("word-kept"), "{log}");
        ensure!(host.ok("containerctl console p1 --log </dev/null")? == log, "another the second time");
        ensure!(host.ok("containerctl console p1 --clear")?.is_empty(), "clear prints");
        ensure!(host.ok("containerctl console p1 --log")?.is_empty(), "it is still there");
        p1.inside("echo later >/dev/console")?;
        p1.says("later")?;
        ensure!(host.ok("containerctl console p1 --log --clear")? == "later\r\n", "not what came since");
        ensure!(host.ok("containerctl console p1 --log")?.is_empty(), "it was not emptied");
        host.ok("journalctl -q CONTAINER_NAME=p1 -o cat | grep -x 'p1 is up'").map(drop)
    });
    host.case("on a terminal the log is text", || {
        p1.inside("printf '\\033[31mred\\033[6n\\n' >/dev/console")?;
        p1.says("red")?;
        ensure!(host.ok("containerctl console p1 --log")?.contains("\x1b[31mred\x1b[6n"), "not raw");
        let shown = host.ok("script -qec 'containerctl console p1 --log' /dev/null </dev/null")?;
        ensure!(shown == "red\r\n", "{shown:?}");
        Ok(())
    });
    host.case("of a log that was too long the end is there, and for the next supervisor too", || {
        p1.inside("i=0; while [ $i -lt 30000 ]; do i=$((i+1)); echo line $i of what makes it wrap, and wrap again; done >/dev/console")?;
        host.wait_until(SOON, "containerctl console p1 --log | tail -n 1 | grep 'line 30000 of'")?;
        host.ok("systemctl kill -s KILL --kill-whom=main container@p1; sleep 1")?;
        p1.becomes("active")?;
        let log = host.ok("containerctl console p1 --log")?;
        ensure!(log.len() == 1 << 20, "{} bytes", log.len());
        ensure!(log.ends_with("line 30000 of what makes it wrap, and wrap again\r\n") && !log.contains("line 1 of"), "not the end");
        host.ok("containerctl console p1 --log | head -n 1").map(drop)
    });
    host.case("a supervisor that does not know of it is told from an empty log", || {
        host.ok("touch /etc/containerctl/old.conf")?;
        host.ok(OLDER)?;
        let refused = host.fails("containerctl console old --log")?;
        host.ok("rm -r /run/containerctl/old /etc/containerctl/old.conf")?;
        ensure!(
            refused.code == 69 && refused.stderr.contains("'systemctl reload container@old'"),
            "{refused}"
        );
        ensure!(refused.stdout.is_empty(), "{refused}");
        Ok(())
    });
    host.case("the end of the container ends the client", || {
        let output = host.run_within(
            Duration::from_secs(20),
            "(sleep 1; systemctl stop container@p1) & sleep 15 | containerctl console p1 & client=$!; sleep 5; kill -0 $client && exit 3; exit 0",
        )?;
        ensure!(output.code == 0 || output.stdout.contains("going down"), "{output}");
        Ok(())
    });
    host.case("nobody's console is refused", || {
        let refused = host.fails("containerctl console p1 </dev/null")?;
        ensure!(refused.code == 66 && refused.stderr.contains("'p1'"), "{refused}");
        for option in ["--log", "--clear"] {
            let refused = host.fails(&format!("containerctl console p1 {option}"))?;
            ensure!(refused.code == 66 && refused.stderr.contains("'containerctl start p1'"), "{refused}");
        }
        Ok(())
    });
    host.finish()
}

/// Prints long lines without end, and counts how often.
const FLOOD: &str = "i=0; wide=$(printf '%01000d' 0); \
                     while :; do i=$((i+1)); echo line $i of a flood $wide; echo $i >/count; done";
/// More lines than all buffers between the container and a client take in.
const LINES: u64 = 800;

/// How far it is. The file is empty for a moment with each line.
fn count(p1: &Container) -> Result<u64> {
    loop {
        if let Ok(count) = p1.read("/count")?.trim().parse() {
            return Ok(count);
        }
    }
}

fn goes_on(p1: &Container) -> Result<()> {
    let (before, begun) = (count(p1)?, Instant::now());
    while count(p1)? < before + LINES {
        ensure!(
            begun.elapsed() < Duration::from_secs(30),
            "it is held up after {} lines",
            count(p1)? - before
        );
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

/// REL-14: floods and readers that stop.
#[test]
fn nobody_can_block_the_container() -> Result<()> {
    let host = boot!();
    let p1 = Container::running(&host, "p1", FLOOD)?;
    p1.define("[Exec]\nBoot=no\nParameters=/bin/sh /script\n[Console]\nLogRateLimitIntervalSec=2\nLogRateLimitBurst=100\n")?;
    p1.write("/count", "0")?;
    p1.start()?;
    host.case("a flood passes, and its cut is told", || {
        goes_on(&p1)?;
        host.wait_until(
            Duration::from_secs(15),
            "journalctl CONTAINER_NAME=p1 -o cat | grep -E 'lines of the console were dropped here'",
        )
    });
    host.case("a client that is stopped", || {
        host.ok("sleep 1000 | setsid containerctl console p1 >/dev/null 2>&1 & sleep 0.5; kill -STOP $(pgrep -x containerctl)")?;
        goes_on(&p1)?;
        host.ok("pkill -KILL -x containerctl").map(drop)
    });
    host.case("a client that does not read", || {
        host.ok("sleep 1000 | setsid containerctl console p1 2>/dev/null | setsid sleep 1000 >/dev/null 2>&1 & sleep 0.5")?;
        goes_on(&p1)?;
        host.ok("pkill -KILL -x containerctl").map(drop)
    });
    host.case("a journal that is stopped", || {
        host.ok("systemctl kill -s STOP systemd-journald")?;
        let result = goes_on(&p1);
        host.ok("systemctl kill -s CONT systemd-journald")?;
        result
    });
    host.case("a supervisor that is killed meanwhile", || {
        host.ok("systemctl kill -s KILL --kill-whom=main container@p1; sleep 1")?;
        p1.becomes("active")?;
        goes_on(&p1)
    });
    host.finish()
}
