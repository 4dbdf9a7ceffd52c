"""shell.py NAME LINE: types LINE into a shell on a terminal of 33 rows, prints all until it ends, ends as it does."""

import fcntl
import os
import struct
import sys
import termios

from jeepney import DBusAddress, new_method_call
from jeepney.io.blocking import open_dbus_connection
from jeepney.wrappers import unwrap_msg

name, line = sys.argv[1:]
with open_dbus_connection(bus="SYSTEM", enable_fds=True) as bus:
    object_ = DBusAddress("/org/containerctl1/container/" + name, "org.containerctl1", "org.containerctl1.Container")
    options = {"Environment": ("as", ["GREETING=hello"]), "WorkingDirectory": ("s", "/etc")}
    call = new_method_call(object_, "OpenShell", "a{sv}", (options,))
    terminal, status = (fd.to_raw_fd() for fd in unwrap_msg(bus.send_and_get_reply(call, timeout=60)))
fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 99, 0, 0))
os.write(terminal, line.encode() + b"\r")
while True:
    try:
        print(os.read(terminal, 4096).decode(errors="replace"), end="", flush=True)
    except OSError:
        break
sys.exit(int(os.read(status, 10)))
