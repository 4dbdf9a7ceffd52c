#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Containers over D-Bus, with nothing but a D-Bus library (python3-jeepney).

usage: containers.py list
       containers.py start|stop NAME
       containers.py start-group|stop-group GROUP
       containers.py wait NAME STATE SECONDS
       containers.py follow NAME TEXT       print what it says, until TEXT is among it
       containers.py members                who is in the managed network, and what went through
       containers.py run NAME COMMAND…      run it there without input; the exit status is the command's
       containers.py console NAME LINE [TTY]   type LINE, and print what comes until it is quiet for a second
       containers.py watch SECONDS          print changes of states and of the network as they come

Who is not root needs polkit's leave: see the actions org.containerctl1.* in pkaction(1).
"""

import os
import select
import socket
import struct
import sys
import time

from jeepney import DBusAddress, MessageType, Properties, new_method_call
from jeepney.io.blocking import open_dbus_connection
from jeepney.wrappers import DBusErrorResponse, unwrap_msg

SERVICE = "org.containerctl1"
MANAGER = DBusAddress("/org/containerctl1", SERVICE, SERVICE + ".Manager")
NETWORK = DBusAddress("/org/containerctl1/network", SERVICE, SERVICE + ".Network")
FOREVER = 2**64 - 1


def call(bus, object_, method, signature=None, *arguments):
    """The results of a call; DBusErrorResponse where it fails."""
    message = new_method_call(object_, method, signature, arguments)
    return unwrap_msg(bus.send_and_get_reply(message, timeout=300))


def container(bus, name):
    (path,) = call(bus, MANAGER, "GetContainer", "s", name)
    return DBusAddress(path, SERVICE, SERVICE + ".Container")


def shown(text):
    """What a container chose must not move the cursor."""
    return text.encode("unicode_escape").decode()


def show_list(bus):
    (containers,) = call(bus, MANAGER, "ListContainers")
    for name, state, path in containers:
        message = Properties(DBusAddress(path, SERVICE, SERVICE + ".Container")).get("Leader")
        ((_, leader),) = unwrap_msg(bus.send_and_get_reply(message))
        print(name, state, leader or "-")


def console(bus, name, line, *tty):
    options = {"TTY": ("u", int(number)) for number in tty}
    (handle,) = call(bus, container(bus, name), "OpenConsole", "a{sv}", options)
    with handle.to_socket() as packets:
        packets.send(b"A" + struct.pack("<HH", 24, 80))
        packets.send(b"I" + line.encode() + b"\r")
        packets.settimeout(1)
        try:
            while packet := packets.recv(4097):
                if packet[:1] == b"O":
                    for row in packet[1:].decode(errors="replace").splitlines():
                        print(shown(row))
        except socket.timeout:
            pass


def run(bus, name, command):
    pipes = call(bus, container(bus, name), "Execute", "asa{sv}", command, {})
    input_, output, error, status = (pipe.to_file(mode) for pipe, mode in zip(pipes, ("wb", "rb", "rb", "rb")))
    input_.close()
    # What a command writes to its standard error fits into a pipe, or it waits: read both at once in earnest.
    sys.stdout.write(output.read().decode(errors="replace"))
    sys.stderr.write(error.read().decode(errors="replace"))
    return int(status.read())


def several(bus, method, group, *more):
    """Whatever fails is told, and the others are done all the same."""
    selection = {"Groups": ("as", [group])}
    failures = call(bus, MANAGER, method, "a{sv}" * (1 + len(more)), selection, *more)[0]
    for name, error, text in failures:
        print(f"{name}: {error}: {shown(text)}", file=sys.stderr)
    sys.exit(bool(failures))


def wait(bus, name, state, seconds):
    (reached,) = call(bus, container(bus, name), "Wait", "ast", [state], int(seconds * 1e6))
    with reached.to_file("rb") as pipe:
        if not (line := pipe.read()):
            sys.exit(f"{name} is not {state} after {seconds} seconds")
        print(line.decode().strip())


def follow(bus, name, text):
    """journalctl ends with the pipe from which its exit status could be read."""
    options = {"Follow": ("b", True), "Output": ("s", "cat"), "Lines": ("u", 1000)}
    pipes = call(bus, container(bus, name), "OpenJournal", "a{sv}", options)
    output, error, status = (pipe.to_raw_fd() for pipe in pipes)
    seen = ""
    while text not in seen:
        ready, _, _ = select.select([output, error], [], [])
        if not (data := os.read(ready[0], 4096)):
            break
        seen += data.decode(errors="replace")
    os.close(status)
    for line in seen.splitlines():
        print(shown(line))


def show_members(bus):
    (members,) = call(bus, NETWORK, "ListMembers")
    for member in members:
        values = {key: value for key, (_, value) in member.items()}
        counters = f"{values['ReceivedBytes']} in {values['SentBytes']} out" if "Port" in values else "-"
        print(values["Container"], values["Interface"], values["IPv4"], values["IPv6"], counters)


def watch(bus, seconds):
    call(bus, MANAGER, "Subscribe")
    print("watching", flush=True)
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        try:
            message = bus.receive(timeout=left)
        except TimeoutError:
            break
        header = message.header
        ours = header.fields.get(2) in (MANAGER.interface, NETWORK.interface)
        if header.message_type == MessageType.signal and ours:
            print(header.fields[3], *(shown(word) for word in message.body), flush=True)


def main(words):
    with open_dbus_connection(bus="SYSTEM", enable_fds=True) as bus:
        match words:
            case ["list"]:
                show_list(bus)
            case ["start", name]:
                call(bus, container(bus, name), "Start")
            case ["stop", name]:
                call(bus, container(bus, name), "Stop", "t", FOREVER)
            case ["start-group", group]:
                several(bus, "StartContainers", group)
            case ["stop-group", group]:
                several(bus, "StopContainers", group, {})
            case ["wait", name, state, seconds]:
                wait(bus, name, state, float(seconds))
            case ["follow", name, text]:
                follow(bus, name, text)
            case ["members"]:
                show_members(bus)
            case ["run", name, *command]:
                sys.exit(run(bus, name, command))
            case ["console", name, line, *tty]:
                console(bus, name, line, *tty[:1])
            case ["watch", seconds]:
                watch(bus, float(seconds))
            case _:
                sys.exit(__doc__)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except DBusErrorResponse as error:
        sys.exit(f"{error.name}: {shown(' '.join(map(str, error.data)))}")
