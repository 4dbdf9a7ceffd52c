#!/usr/bin/python3
"""Runs commands in the virtual machine for tests/vm/command.py: one process for each virtio-serial port.

A request is a line of JSON: {"id", "command": [argument…], "limit": seconds, "stdin": bool}. If it has standard input,
lines {"id", "in": base64} follow and one {"id", "end": true}. Answers are lines {"id", "out"|"err": base64} and at the
end {"id", "code"}: the exit code, 128 plus the signal's number, 124 after the limit or 127 if nothing could be run.
A command whose caller hangs up is killed.
"""
import base64
import errno
import json
import os
import select
import signal
import subprocess
import sys
import time

ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root", "USER": "root", "LOGNAME": "root", "SHELL": "/bin/bash", "LANG": "C.UTF-8", "TERM": "dumb",
}
# What a background process of the command still holds open is waited for this long after the command's end.
LEFT_OPEN_SECONDS = 0.3


class HungUp(Exception):
    """The caller has closed its end."""


class Port:
    """The port as lines of JSON."""

    def __init__(self, path):
        self.fd = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        self.buffer = b""
        self.came = []

    def wait_for_caller(self):
        while self.hung_up():
            time.sleep(0.2)

    def hung_up(self):
        # It counts as readable, too, then.
        poll = select.poll()
        poll.register(self.fd, select.POLLIN)
        return any(event & select.POLLHUP for _, event in poll.poll(0))

    def receive(self):
        """Reads what there is into `came`, message by message."""
        try:
            data = os.read(self.fd, 65536)
        except BlockingIOError:
            return
        if not data and self.hung_up():
            self.buffer, self.came = b"", []
            raise HungUp
        *lines, self.buffer = (self.buffer + data).split(b"\n")
        for line in lines:
            try:
                self.came.append(json.loads(line))
            except ValueError:
                # The end of what somebody sent who hung up.
                pass

    def next_request(self):
        while True:
            while self.came:
                message = self.came.pop(0)
                if "command" in message:
                    return message
            select.select([self.fd], [], [])
            self.receive()

    def send(self, **message):
        data = (json.dumps(message) + "\n").encode()
        while data:
            try:
                data = data[os.write(self.fd, data):]
            except BlockingIOError:
                if self.hung_up():
                    raise HungUp from None
                select.select([], [self.fd], [], 1)


class Command:
    """One command, from its request to its exit code."""

    def __init__(self, port, request):
        self.port = port
        self.id = request["id"]
        self.limit = time.monotonic() + request.get("limit", 60)
        self.waiting = []
        self.process = subprocess.Popen(
            request["command"], cwd="/root", env=ENVIRONMENT, start_new_session=True, preexec_fn=be_ordinary,
            stdin=subprocess.PIPE if request.get("stdin") else subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.outputs = {self.process.stdout.fileno(): "out", self.process.stderr.fileno(): "err"}
        self.input = self.process.stdin and self.process.stdin.fileno()
        if self.input is not None:
            os.set_blocking(self.input, False)

    def run(self):
        ended = None
        while self.outputs:
            if time.monotonic() > self.limit:
                return self.kill(124)
            self.take_input()
            writable = [self.input] if self.input is not None and self.waiting else []
            reading = list(self.outputs) + ([self.port.fd] if len(self.waiting) < 16 else [])
            ready, free, _ = select.select(reading, writable, [], 0.1 if ended else 0.5)
            for fd in ready:
                if fd == self.port.fd:
                    self.port.receive()
                else:
                    self.pass_output(fd)
            if free:
                self.feed()
            if self.process.poll() is not None:
                ended = ended or time.monotonic()
                if not ready and time.monotonic() > ended + LEFT_OPEN_SECONDS:
                    break
        while self.process.poll() is None:
            if time.monotonic() > self.limit:
                return self.kill(124)
            time.sleep(0.02)
        code = self.process.returncode
        return code if code >= 0 else 128 - code

    def pass_output(self, fd):
        data = os.read(fd, 32768)
        if data:
            self.port.send(id=self.id, **{self.outputs[fd]: base64.b64encode(data).decode()})
        else:
            del self.outputs[fd]

    def take_input(self):
        while self.port.came:
            message = self.port.came.pop(0)
            if message.get("id") == self.id and self.input is not None:
                self.waiting.append(None if message.get("end") else base64.b64decode(message["in"]))

    def feed(self):
        data = self.waiting.pop(0)
        if data is None:
            return self.close_input()
        try:
            rest = data[os.write(self.input, data):]
            if rest:
                self.waiting.insert(0, rest)
        except BlockingIOError:
            self.waiting.insert(0, data)
        except BrokenPipeError:
            self.close_input()

    def close_input(self):
        self.process.stdin.close()
        self.input = None
        self.waiting = []

    def kill(self, code):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        return code

    def close(self):
        for file in self.process.stdout, self.process.stderr, self.process.stdin:
            if file:
                file.close()


def be_ordinary():
    """Nothing of the agent's own protection is passed on."""
    with open("/proc/self/oom_score_adj", "w") as file:
        file.write("0")


def serve(port):
    request = port.next_request()
    try:
        command = Command(port, request)
    except OSError as error:
        text = f"{request['command'][0]}: {os.strerror(error.errno or errno.EIO)}\n"
        port.send(id=request["id"], err=base64.b64encode(text.encode()).decode())
        return port.send(id=request["id"], code=127)
    try:
        port.send(id=command.id, code=command.run())
    except HungUp:
        command.kill(0)
    finally:
        command.close()


def main():
    port = Port(sys.argv[1])
    # Whoever outlives its command is nobody's child then, but still has to be reaped.
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    while True:
        port.wait_for_caller()
        try:
            serve(port)
        except HungUp:
            pass


main()
