#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Containers over D-Bus, with nothing but a D-Bus library (python3-jeepney).

usage: containers.py list
       containers.py start|stop NAME
       containers.py run NAME COMMAND…      run it there without input; the exit status is the command's
       containers.py console NAME LINE      type LINE, and print what comes until it is quiet for a second
       containers.py watch SECONDS          print changes of state as they come

Who is not root needs polkit's leave: see the actions org.containerctl1.* in pkaction(1).
"""

import socket
import struct
import sys
import time

from jeepney import DBusAddress, MessageType, Properties, new_method_call
from jeepney.io.blocking import open_dbus_connection
from jeepney.wrappers import DBusErrorResponse, unwrap_msg

SERVICE = "org.containerctl1"
MANAGER = DBusAddress("/org/containerctl1", SERVICE, SERVICE + ".Manager")
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


def console(bus, name, line):
    (handle,) = call(bus, container(bus, name), "OpenConsole")
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
        if header.message_type == MessageType.signal and header.fields.get(2) == MANAGER.interface:
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
            case ["run", name, *command]:
                sys.exit(run(bus, name, command))
            case ["console", name, line]:
                console(bus, name, line)
            case ["watch", seconds]:
                watch(bus, float(seconds))
            case _:
                sys.exit(__doc__)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except DBusErrorResponse as error:
        sys.exit(f"{error.name}: {shown(' '.join(map(str, error.data)))}")
