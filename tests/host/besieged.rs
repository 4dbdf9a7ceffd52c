//! Attaching to a container that wants its host: nothing of the host's or the caller's can be got at inside, not even
//! in the moment before the command runs.

use std::fs;
use std::process::Command;
use std::time::Duration;

use crate::container::{Container, private_users};
use crate::harness::{Failure, Host, Result};

/// Tries what container root can, for as long as it is told to.
const BESIEGER: &str = include_str!("besieger.pl");
/// The host's perl inside, where it is at `/host` instead of `/usr`.
const PERL: &str = "/host/lib64/ld-linux-x86-64.so.2 --library-path /host/lib/x86_64-linux-gnu /host/bin/perl \
    -I/host/lib/x86_64-linux-gnu/perl-base";
/// What nobody inside may change: all of ours, and what it is linked with.
const HASHES: &str = "cat /usr/bin/containerctl /usr/lib/containerctl/* /usr/lib/x86_64-linux-gnu/*.so.* \
    /usr/lib64/ld-linux-x86-64.so.2 | sha256sum";

/// A container that has the host's perl.
fn armed<'a>(host: &'a Host, name: &'a str, definition: &str) -> Result<Container<'a>> {
    let container =
        Container::defined(host, name, &format!("{definition}\n[Files]\nBindReadOnly=/usr:/host\n"))?;
    host.ok(&format!(
        "mkdir -p {}/host {0}/tmp && echo secret >/srv/marker && chmod 600 /srv/marker",
        container.root()
    ))?;
    container.write("/besieger.pl", BESIEGER)?;
    container.start()?;
    Ok(container)
}

/// Attaches again and again while the besieger is at work; what it has seen.
fn besiege(host: &Host, container: &Container, attaches: u32, command: &str) -> Result<String> {
    let (name, root) = (container.name, container.root());
    let marker = host.ok("stat -c '%d %i' /srv/marker")?;
    let before = host.ok(HASHES)?;
    host.ok(&format!("rm -f {root}/tmp/*"))?;
    let output = host.run_within(
        Duration::from_secs(100),
        &format!(
            "exec 9</etc/shadow; export SECRET=word
            containerctl attach {name} -- {PERL} /besieger.pl {} </dev/null & besieger=$!; sleep 0.5
            for i in $(seq {attaches}); do {command}; done; touch {root}/tmp/stop; wait $besieger",
            marker.trim()
        ),
    )?;
    let loot = host.run(&format!("cat {root}/tmp/loot"))?;
    ensure!(output.code == 0 && loot.code != 0, "{output}\nloot: {loot}");
    ensure!(host.ok(HASHES)? == before, "files of the host have changed");
    let seen = host.ok(&format!("cat {root}/tmp/seen"))?;
    let looked = seen.lines().find_map(|line| line.strip_prefix("looked ")?.parse::<u32>().ok());
    ensure!(looked.is_some_and(|looked| looked > attaches), "the besieger was asleep: {seen}");
    Ok(seen)
}

/// SEC-9: a process that traces everything inside meets each attach.
#[test]
fn nothing_of_the_hosts_is_in_reach_while_a_command_comes_in() -> Result<()> {
    let host = boot!();
    host.case("with a user namespace, not even a look", || {
        let p1 = armed(&host, "p1", "")?;
        let seen = besiege(&host, &p1, 300, "containerctl attach p1 -- true </dev/null")?;
        ensure!(seen.contains("traced 0\n") && seen.contains("kept \n"), "{seen}");
        p1.stop()
    });
    host.case("without one, nothing that is worth it", || {
        let p2 = armed(&host, "p2", "[Exec]\nPrivateUsers=no\nPrivileged=yes\n")?;
        let seen = besiege(&host, &p2, 150, "containerctl attach p2 -- true </dev/null")?;
        // It is there to be seen, or this shows nothing; and it has only its streams, and for a moment its caller.
        let fds = seen.lines().filter(|line| line.starts_with(['0', '1', '2', 'm']));
        for line in fds {
            let fine = ["0 pipe:[N]", "1 pipe:[N]", "2 pipe:[N]", "more socket:[N]"].contains(&line);
            ensure!(fine, "{line} in: {seen}");
        }
        let seen = besiege(&host, &p2, 2, "containerctl audit p2 >/dev/null </dev/null")?;
        ensure!(seen.contains("kept /memfd:containerctl (deleted)\n"), "{seen}");
        // What it tries is to be had inside; it has a look at the container's own terminals, and may be seen at that.
        let more = seen.lines().filter(|line| line.starts_with("more ") && *line != "more /dev/pts/ptmx");
        ensure!(!seen.contains("shadow") && more.count() == 0, "{seen}");
        p2.stop()
    });
    host.case("a shell that is our own program once more cannot write to it", || {
        let p3 = armed(&host, "p3", "[Exec]\nPrivateUsers=no\nPrivileged=yes\n")?;
        let root = p3.root();
        host.ok(&format!("ln -s host/lib64 {root}/lib64; ln -s host/lib {root}/lib; echo '#!/proc/self/exe' >{root}/bin/me; chmod 755 {root}/bin/me"))?;
        let seen = besiege(&host, &p3, 100, "timeout 20 containerctl attach p3 -- /bin/me </dev/null >/dev/null 2>&1")?;
        ensure!(seen.contains("containerctl-enter"), "it was never seen: {seen}");
        p3.stop()
    });
    host.finish()
}

/// Loaded into whatever is executed inside; tells what program that is, and tries to write to it for good.
const LIBRARY: &str = r#"
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
__attribute__((constructor)) static void begin(void)
{
    char name[200] = "", link[64];
    int program = open("/proc/self/exe", O_RDONLY);
    readlink("/proc/self/exe", name, sizeof name - 1);
    dprintf(1, "inside %s\n", name);
    snprintf(link, sizeof link, "/proc/self/fd/%d", program);
    for (;;) {
        int again = open(link, O_WRONLY);
        if (again >= 0 && write(again, "x", 1) == 1) dprintf(1, "wrote %s\n", name);
        if (again >= 0) close(again);
        usleep(100);
    }
}
"#;

/// SEC-12: the init is `#!/proc/self/exe` and waits for our program to be writable.
#[test]
fn an_init_that_is_our_own_program_cannot_write_to_it() -> Result<()> {
    let host = boot!();
    for (name, users) in [("no", "no"), ("same", "identity")] {
        host.case(&format!("PrivateUsers={users}"), || {
            let c1 = Container::defined(
                &host,
                name,
                &format!("[Exec]\n{}Boot=no\nParameters=/init\n[Files]\nBindReadOnly=/usr:/host\n", private_users(users)),
            )?;
            let root = c1.root();
            host.ok(&format!("mkdir -p {root}/host {root}/lib64 {root}/usr/lib/x86_64-linux-gnu"))?;
            let library = host.path(format!("{root}/library.so"))?;
            let source = host.dir().join("library.c");
            fs::write(&source, LIBRARY)?;
            let compiled = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).status();
            if !compiled.is_ok_and(|status| status.success()) {
                skip!("no C compiler for a hostile library");
            }
            host.ok(&format!(
                "cp -L /usr/lib/x86_64-linux-gnu/lib[cmg]*.so.[16] {root}/usr/lib/x86_64-linux-gnu/; echo /library.so >{root}/etc/ld.so.preload; cp -L /usr/lib64/ld-linux-x86-64.so.2 {root}/lib64/
                ln -sfn usr/lib {root}/lib; echo '#!/proc/self/exe' >{root}/init && chmod 755 {root}/init"
            ))?;
            let before = host.ok(HASHES)?;
            c1.start()?;
            c1.says("inside ")?;
            // Now, if ever, nobody else runs the program on disk.
            host.ok(&format!("systemctl kill -s KILL --kill-whom=main container@{name}; sleep 1"))?;
            c1.becomes("active")?;
            let said = host.ok(&format!("journalctl -q CONTAINER_NAME={name} -o cat"))?;
            ensure!(said.contains("inside /memfd:") && !said.contains("wrote"), "{said}");
            ensure!(host.ok(HASHES)? == before, "files of the host have changed");
            host.ok(&format!("systemctl stop container@{name}; true")).map(drop)
        });
    }
    host.finish()
}

/// SEC-8, SEC-10, SEC-11, SEC-13: descriptors, working directory, environment and terminal of an attached command.
#[test]
fn a_command_has_its_streams_and_nothing_of_its_caller() -> Result<()> {
    let host = boot!();
    let p1 = armed(&host, "p1", "")?;
    let attach = "exec 9</etc/shadow 8</srv; cd /srv; SECRET=word containerctl attach p1";
    host.case("three descriptors, none of the caller's", || {
        // The fourth is the directory that is being listed.
        for stdin in ["</dev/null", "</etc/passwd"] {
            let seen =
                host.ok(&format!("{attach} -- sh -c 'ls /proc/self/fd; readlink /proc/self/cwd' {stdin}"))?;
            ensure!(seen == "0\n1\n2\n3\n/root\n", "{seen}");
        }
        let leader = host.ok(&format!("ls /proc/{}/fd", p1.leader()?))?;
        ensure!(leader == "0\n1\n2\n", "{leader}");
        Ok(())
    });
    host.case("before it is executed, too: the rest was closed by then", || {
        host.ok("strace -f -o /srv/trace -e trace=close_range,execve,setsid,ioctl containerctl attach p1 -- /bin/true </dev/null")?;
        let trace = host.ok("cat /srv/trace")?;
        let last = trace.lines().find(|line| line.contains("execve(\"/bin/true\"")).unwrap_or_default();
        let pid = last.split_whitespace().next().unwrap_or("none");
        let calls: Vec<&str> = trace.lines().filter(|line| line.starts_with(pid)).collect();
        let first = calls.first().copied().unwrap_or_default();
        ensure!(first.contains("close_range(3, 4294967295, 0)") && first.ends_with("= 0"), "{calls:?}");
        Ok(())
    });
    host.case("no secret of the environment", || {
        let seen =
            host.ok(&format!("{attach} -- sh -c 'env; cat /proc/self/environ /proc/1/environ' </dev/null"))?;
        ensure!(!seen.contains("SECRET") && seen.contains("container=containerctl"), "{seen}");
        Ok(())
    });
    host.case("working directories that lead to what is open are refused", || {
        let mut directories: Vec<String> = (0..=20).map(|number| format!("/proc/self/fd/{number}")).collect();
        p1.inside("ln -s /proc/self/fd/3 /link; ln -s /proc/1/root /root-link")?;
        directories.extend(
            ["/proc/1/root", "/proc/1/cwd", "/proc/self/cwd", "/link", "/root-link", "/proc/1/root/etc"]
                .map(String::from),
        );
        for directory in directories {
            let told = host.fails(&format!("{attach} --cwd {directory} -- echo executed </dev/null"))?;
            ensure!(told.code == 1 && told.stdout.is_empty() && told.stderr.contains(&directory), "{told}");
        }
        Ok(())
    });
    host.case("no input can be forged, on whatever stream", || {
        p1.write("/forge.pl", "for my $n (0..2, '/dev/tty') { open my $t, $n =~ /tty/ ? ('+<', $n) : ('+<&=', $n) or next;
            for my $c (split //, \"touch /srv/forged\\n\") { ioctl($t, 0x5412, $c) and print 'forged'; print \"$n: $!\\n\"; last } }")?;
        fs::write(host.path("/srv/attach.py")?, include_str!("attach.py"))?;
        host.ok("head -c 10 /dev/zero >/srv/seed")?;
        for streams in ["", "</dev/null", ">/srv/out", "2>/srv/err", "<&-", ">&-", "</dev/null >/srv/out 2>&1", "<&- 2>&-"] {
            fs::write(
                host.path("/srv/forge.sh")?,
                format!("containerctl attach p1 -- {PERL} /forge.pl {streams}; read line; echo typed $line"),
            )?;
            let command = "python3 /srv/attach.py terminal 'sh /srv/forge.sh' 'mine\\r'";
            let seen = host.ok(&format!("rm -f /srv/out /srv/err; touch /srv/out /srv/err; {command}; cat /srv/out /srv/err"))?;
            ensure!(seen.contains("typed mine") && !seen.contains("forged"), "{streams}: {seen}");
            let tried = seen.lines().filter(|line| line.contains(": ")).all(|line| {
                line.contains("not permitted") || line.contains("ioctl for device") || line.contains("SECRET")
            });
            ensure!(tried, "{streams}: {seen}");
        }
        host.fails("test -e /srv/forged").map(drop)?;
        match host.ok("cat /proc/sys/dev/tty/legacy_tiocsti")?.trim() {
            "1" => Ok(()),
            _ => skip!("the kernel refuses TIOCSTI to everybody here (dev.tty.legacy_tiocsti)"),
        }
    });
    host.finish()
}

/// SEC-14: control sequences in names, os-release, passwd and status.
#[test]
fn nothing_that_a_container_says_reaches_the_terminal_as_it_is() -> Result<()> {
    let host = boot!();
    let p1 = armed(&host, "p1", "[Exec]\nNotifyReady=no\n")?;
    const HOSTILE: &str = "\\033]52;c;eA==\\007\\033[6n\\033]0;pwned\\007\\342\\200\\256\\302\\233";
    host.ok(&format!(
        "r={}; for f in etc/os-release usr/lib/os-release; do mkdir -p $r/${{f%/*}}; printf 'ID=\"{HOSTILE}\"\\nPRETTY_NAME=\"{HOSTILE}\"\\n' >$r/$f; done
        printf 'root:x:0:0::/{HOSTILE}:/{HOSTILE}\\n' >$r/etc/passwd; printf '{HOSTILE}' >$r/etc/machine-id",
        p1.root()
    ))?;
    host.case("in tables, texts and errors", || {
        p1.inside(&format!("hostname \"$(printf 'a{HOSTILE}')\""))?;
        p1.inside(&format!(
            "{PERL} -e 'socket(S,1,2,0); send(S,\"STATUS={}\",0,pack(\"S a*\",1,\"/run/host/notify\"))'; true",
            HOSTILE.replace('\\', "\\\\")
        ))?;
        let all = "for c in 'list' 'info p1' 'list --json' 'info p1 --json' 'plan p1' 'audit p1' 'attach p1' 'attach p1 --user nosuch' 'attach p1 -- nosuch' 'generate --dry-run'; do containerctl $c </dev/null; done >/srv/said 2>&1; true";
        host.ok(all)?;
        let said = fs::read(host.path("/srv/said")?)?;
        let text = String::from_utf8(said).map_err(|_| Failure::new("what was said is not UTF-8"))?;
        let moves = |c: &char| (c.is_control() && !matches!(c, '\n' | '\t')) || ('\u{202a}'..='\u{202e}').contains(c);
        ensure!(text.contains("pwned"), "nothing hostile was shown at all: {text}");
        ensure!(!text.chars().any(|c| moves(&c)), "{text:?}");
        Ok(())
    });
    host.finish()
}
