//! The console: attached to, typed into, and unable to hold the container up.

use std::time::Duration;

use crate::container::Container;
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
        Ok(())
    });
    host.finish()
}

/// Prints without end, and counts how often.
const FLOOD: &str =
    "i=0; while :; do i=$((i+1)); echo line $i of a flood that nobody asked for; echo $i >/count; done";

/// How far it is. The file is empty for a moment with each line.
fn count(p1: &Container) -> Result<u64> {
    loop {
        if let Ok(count) = p1.read("/count")?.trim().parse() {
            return Ok(count);
        }
    }
}

fn goes_on(p1: &Container) -> Result<()> {
    let before = count(p1)?;
    std::thread::sleep(Duration::from_secs(2));
    let after = count(p1)?;
    ensure!(after > before + 500, "it is held up: {before} lines, two seconds later {after}");
    Ok(())
}

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
