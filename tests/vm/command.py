#!/usr/bin/python3
"""Runs a command in a virtual machine by the first of its ports that is free: command.py DIR LIMIT STDIN COMMAND…

Output, error output and exit code are the command's; 124 after LIMIT seconds, 125 if the machine goes away.
"""
import base64
import fcntl
import json
import os
import select
import socket
import sys
import time

PORTS = 4
# An emulated machine that has much to do answers late.
GRACE_SECONDS = 20


def fail(code, text):
    print(f"machine: {text}", file=sys.stderr)
    sys.exit(code)


def free_port(directory, end):
    """The lock of a port that nobody else talks to, and the port's number."""
    while time.monotonic() < end:
        for number in range(PORTS):
            lock = open(f"{directory}/port{number}.lock", "w")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return lock, number
            except OSError:
                lock.close()
        time.sleep(0.05)
    fail(124, "no port is free")


def call(directory, limit, with_input, command):
    end = time.monotonic() + limit + GRACE_SECONDS
    lock, number = free_port(directory, end)
    port = socket.socket(socket.AF_UNIX)
    try:
        port.connect(f"{directory}/port{number}.sock")
    except OSError as error:
        fail(125, f"failed to connect to '{directory}': {error.strerror}")
    request = int.from_bytes(os.urandom(6), "big")

    def send(**message):
        port.sendall((json.dumps({"id": request, **message}) + "\n").encode())

    # The rest of what somebody sent who was killed.
    port.sendall(b"\n")
    send(command=command, limit=limit, stdin=with_input)
    buffer = b""
    reading = [port] + ([sys.stdin.buffer] if with_input else [])
    while True:
        ready, _, _ = select.select(reading, [], [], max(0, end - time.monotonic()))
        if not ready:
            fail(124, "no answer in time")
        if sys.stdin.buffer in ready:
            data = os.read(0, 49152)
            if data:
                send(**{"in": base64.b64encode(data).decode()})
            else:
                send(end=True)
                reading.remove(sys.stdin.buffer)
        if port in ready:
            try:
                data = port.recv(65536)
            except OSError:
                data = b""
            if not data:
                fail(125, "the machine went away")
            *lines, buffer = (buffer + data).split(b"\n")
            for line in lines:
                code = answer(line, request)
                if code is not None:
                    return code


def answer(line, request):
    """Passes output on; the exit code if this is the end."""
    try:
        message = json.loads(line)
    except ValueError:
        return None
    if message.get("id") != request:
        return None
    for name, stream in ("out", sys.stdout.buffer), ("err", sys.stderr.buffer):
        if name in message:
            stream.write(base64.b64decode(message[name]))
            stream.flush()
    return message.get("code")


sys.exit(call(sys.argv[1], float(sys.argv[2]), sys.argv[3] == "stdin", sys.argv[4:]))
