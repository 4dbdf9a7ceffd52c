"""Runs `containerctl attach` with streams of every kind. Without arguments: all combinations, with a megabyte through
each. `terminal COMMAND TYPED…`: COMMAND on a terminal of 33 rows and 101 columns, each text typed after half a second;
`resize` instead makes it 44 by 77, `kill` kills COMMAND, `hang-up` takes the terminal away."""

import fcntl, os, pty, select, struct, subprocess, sys, termios, time, tty

LIMIT = 20
SEED = open("/srv/seed", "rb").read()
GOT = "/var/lib/containerctl/p1/rootfs/tmp/got"


def resize(fd, rows, columns):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def combination(kinds):
    """What is wrong with one."""
    seen, kept, fds, mine, writes = [bytearray() for _ in kinds], [], [], [], None
    master, slave = pty.openpty()
    tty.setraw(slave)
    for number, kind in enumerate(kinds):
        path = f"/srv/stream-{number}"
        if kind == "tty":
            fds.append(slave)
        elif kind == "file":
            if number == 0:
                open(path, "wb").write(SEED)
            fds.append(os.open(path, os.O_RDONLY if number == 0 else os.O_RDWR | os.O_CREAT | os.O_TRUNC))
        elif kind == "pipe":
            reader, writer = os.pipe()
            fds.append(reader if number == 0 else writer)
            if number == 0:
                writes = writer
            else:
                mine.append((reader, number))
        else:
            fds.append(None)
    os.path.exists(GOT) and os.unlink(GOT)
    script = "cat >/tmp/got; cat /seed; cat /seed >&2; sleep 1000 & exit 9"
    pid = os.fork()
    if pid == 0:
        os.setsid()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
        high = [fd if fd is None else fcntl.fcntl(fd, fcntl.F_DUPFD, 50) for fd in fds]
        for number, fd in enumerate(high):
            os.close(number) if fd is None else os.dup2(fd, number)
        os.closerange(3, 100)
        os.execvp("containerctl", ["containerctl", "attach", "p1", "--", "sh", "-c", script])
    for fd in fds:
        if fd not in (None, slave):
            os.close(fd)
    screen, sent, typed, status = bytearray(), 0, False, None
    end = time.time() + LIMIT
    writes is not None and os.set_blocking(writes, False)
    while status is None or select.select([master] + [fd for fd, _ in mine], [], [], 0)[0]:
        if time.time() > end:
            os.kill(pid, 9)
            os.waitpid(pid, 0)
            return "no end"
        readable, writable, _ = select.select([master] + [fd for fd, _ in mine], [writes] if writes is not None else [], [], 0.05)
        if writable:
            try:
                sent += os.write(writes, SEED[sent : sent + 65536])
            except BrokenPipeError:
                sent = len(SEED)
            if sent == len(SEED):
                os.close(writes)
                writes = None
        for fd in readable:
            data = os.read(fd, 65536)
            if fd == master:
                screen += data
            elif data:
                seen[[number for other, number in mine if other == fd][0]] += data
            else:
                mine = [(other, number) for other, number in mine if other != fd]
        if kinds[0] == "tty" and not typed and os.path.exists(GOT):
            typed = True
            time.sleep(0.05)
            os.write(master, b"typed\n\x04")
        if status is None:
            done, code = os.waitpid(pid, os.WNOHANG)
            status = os.waitstatus_to_exitcode(code) if done else None
    os.close(slave)
    os.close(master)
    if status != 9:
        return f"exit code {status}, {bytes(seen[2])[:200]} {bytes(screen)[:200]}"
    expected = {"tty": b"typed\n", "closed": b""}.get(kinds[0], SEED)
    got = open(GOT, "rb").read()
    if got != expected:
        return f"{len(got)} bytes came in instead of {len(expected)}"
    for number in (1, 2):
        if kinds[number] == "file":
            seen[number] = open(f"/srv/stream-{number}", "rb").read()
        if kinds[number] in ("file", "pipe") and bytes(seen[number]) != SEED:
            return f"{len(seen[number])} bytes came out at {number} instead of {len(SEED)}"
    shown = SEED.replace(b"\n", b"\r\n") * (kinds[1:].count("tty"))
    if shown not in screen:
        return f"{len(screen)} bytes on the terminal instead of {len(shown)}"
    if not shown and len(screen) > 200:
        return "the terminal shows what was not for it"


def all_combinations():
    kinds = ["tty", "pipe", "file", "closed"]
    bad = 0
    for stdin in kinds:
        for stdout in kinds:
            for stderr in kinds:
                wrong = combination([stdin, stdout, stderr])
                if wrong:
                    bad += 1
                    print(f"{stdin} {stdout} {stderr}: {wrong}")
    print("bad combinations:", bad)


def terminal(command, *typed):
    pid, fd = pty.fork()
    if pid == 0:
        time.sleep(0.1)
        os.execvp("sh", ["sh", "-c", "exec " + command])

    def show(seconds):
        end = time.time() + seconds
        while time.time() < end:
            if select.select([fd], [], [], 0.05)[0]:
                try:
                    data = os.read(fd, 65536)
                except OSError:
                    return
                os.write(1, data)

    resize(fd, 33, 101)
    show(1)
    for text in typed:
        if text == "resize":
            resize(fd, 44, 77)
        elif text == "kill":
            os.kill(pid, 9)
        elif text == "hang-up":
            os.close(fd)
            print("ended with", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
            return
        else:
            os.write(fd, text.encode().decode("unicode_escape").encode())
        show(0.5)
    done, end = 0, time.time() + 10
    while not done and time.time() < end:
        show(0.1)
        done, status = os.waitpid(pid, os.WNOHANG)
    print("\nended with", os.waitstatus_to_exitcode(status) if done else "nothing")
    done or os.kill(pid, 9)


if sys.argv[1:2] == ["terminal"]:
    terminal(*sys.argv[2:])
else:
    all_combinations()
